"""The RAM of the machine that a Bochs emulates."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.bochs_process import BochsProcess
from inspector.targets.ranges import Range

HEADER = 64
"""How many 8-byte words of BX_MEM_C are looked at for what tells where RAM is."""
BLOCK_SIZES = [1 << bits for bits in range(12, 31)]


class BochsMemory:
    """Guest-physical memory, by the blocks in which Bochs keeps it. Blocks come to be when the machine touches them.

    Raises:
        TargetError: this build of Bochs keeps its RAM otherwise.
    """

    def __init__(self, process: BochsProcess) -> None:
        self._process = process
        self.size, self.block, self._table = self._find()
        self._blocks: tuple[int, ...] = ()
        self._look()

    def read(self, address: int, size: int) -> bytes:
        """Memory as it is now. Raises NotReadable where there is none, TargetError if Bochs is gone."""
        return self._process.read(self.places(address, size))

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """Many pieces, as `Target.read_parts`."""
        places: list[tuple[int, int]] = []
        found = []
        for address, size in wanted:
            try:
                places += self.places(address, size)
                found.append(True)
            except NotReadable:
                found.append(False)
        data = self._process.read(places)
        parts: list[bytes | None] = []
        at = 0
        for (_, size), there in zip(wanted, found, strict=True):
            parts.append(data[at : at + size] if there else None)
            at += size if there else 0
        return parts

    def write(self, address: int, data: bytes) -> None:
        """Write memory that the machine has touched already. Raises as `read`."""
        self._process.write(self.places(address, len(data)), data)

    def ranges(self) -> list[Range]:
        """The blocks that are there, joined where they follow each other."""
        self._look()
        found: list[Range] = []
        for number, place in enumerate(self._blocks):
            if not place:
                continue
            start, end = number * self.block, min((number + 1) * self.block, self.size)
            found.append(Range(found.pop().start, end) if found and found[-1].end == start else Range(start, end))
        return found

    def places(self, address: int, size: int) -> list[tuple[int, int]]:
        """Where in Bochs' own memory the bytes are. Raises NotReadable."""
        end = address + size
        if address < 0 or end > self.size:
            raise NotReadable(max(address, self.size), size, f"this machine has {self.size >> 20} MiB of RAM")
        places = []
        while address < end:
            place = self._blocks[address // self.block]
            if not place:
                self._look()
                place = self._blocks[address // self.block]
                if not place:
                    raise NotReadable(address, end - address, "the machine has not touched this memory yet")
            inside = address % self.block
            piece = min(end - address, self.block - inside)
            places.append((place + inside, piece))
            address += piece
        return places

    def _look(self) -> None:
        self._blocks = self._process.unsigned(self._table, -(-self.size // self.block))

    def _find(self) -> tuple[int, int, int]:
        """Size, size of a block and the table of blocks: BX_MEM_C holds its length, what of it is allocated and the
        block's size one after the other, then pointers to the memory and to the table, which points into it."""
        words = self._process.unsigned(self._process.symbol("bx_mem"), HEADER)
        for at in range(HEADER - 6):
            size, allocated, block, _, memory, table = words[at : at + 6]
            if 0 < allocated <= size < 1 << 40 and block in BLOCK_SIZES and size % block == 0 and memory and table:
                try:
                    first = self._process.unsigned(table, size // block)
                except TargetError:
                    continue
                if all(not place or memory <= place < memory + allocated for place in first):
                    return size, block, table
        raise TargetError("this Bochs keeps its RAM otherwise than those known, 3.1: no table of blocks in bx_mem")
