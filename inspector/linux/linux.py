"""A Linux that was found: its symbols, its types, its address space, and the few ways in which it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from inspector.base.errors import UNREADABLE
from inspector.kernels.structures import Structures
from inspector.linux.btf import ARRAY, VAR, Btf
from inspector.linux.image import Image
from inspector.linux.kallsyms import Kallsyms
from structs.frozen import frozen
from structs.xen.errors import ProfileError
from structs.xen.profile import POINTER_SIZE

CPUS_LIMIT = 8192
"""The most that CONFIG_NR_CPUS can be."""
STRING_LIMIT = 256
MASK64 = (1 << 64) - 1


@frozen
class Linux(Structures):
    """One Linux in a target's memory. Virtual addresses are its own.

    Attributes:
        image: what its page tables map of it.
        kallsyms, btf: its symbols and its types.
        release: `6.12.74+deb13-amd64`.
        found_by: what led to it.
    """

    image: Image
    kallsyms: Kallsyms
    btf: Btf
    release: str
    found_by: str

    @property
    def version(self) -> tuple[int, int] | None:
        """The release as (major, minor); None if it is not of that form."""
        parts = self.release.split(".")
        return (int(parts[0]), int(parts[1])) if len(parts) > 1 and all(map(str.isdecimal, parts[:2])) else None

    @cached_property
    def cpu_count(self) -> int:
        """How many CPUs there may be: `nr_cpu_ids`."""
        return min(self.variable("nr_cpu_ids", 4), CPUS_LIMIT)

    @cached_property
    def areas(self) -> list[int]:
        """What is added to a per-CPU symbol for each CPU: `__per_cpu_offset`."""
        return self.array("__per_cpu_offset", 8, self.cpu_count)

    def per_cpu(self, name: str, cpu: int) -> int:
        """The address of a CPU's instance of a per-CPU variable."""
        return self.profile.symbol(name) + self.areas[cpu] & MASK64

    def size_of(self, variable: str) -> int:
        """Bytes of a per-CPU variable, of which BTF tells the types. Raises ProfileError if it does not of this one."""
        found = self.btf.named(variable, (VAR,))
        if found is None:
            raise ProfileError(f"the BTF of {self.profile.name} tells of no variable {variable}")
        kind = self.btf.plain(found.size)
        if kind.kind != ARRAY:
            return kind.size
        element, count = self.btf.array(kind)
        return self.btf.plain(element).size * count

    def cpus_of(self, raw: bytes) -> tuple[int, ...]:
        """The CPUs of a `struct cpumask`."""
        mask = int.from_bytes(raw, "little") & (1 << self.cpu_count) - 1
        return tuple(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)

    @property
    def mask_bytes(self) -> int:
        """Bytes of a CPU mask, as far as CPUs may be."""
        return -(-self.cpu_count // 64) * 8

    def masks(self, struct: str, member: str, rows: Sequence[Mapping[str, int]]) -> list[tuple[int, ...] | None]:
        """The CPUs of each structure's `cpumask_var_t`: a pointer, or, with few CPUs, the mask itself."""
        if self.profile.member(struct, member).type["kind"] != "pointer":
            return [self.cpus_of(row[member].to_bytes(8, "little")) for row in rows]
        parts = self.memory.read_parts([(row[member], self.mask_bytes) for row in rows])
        return [None if part is None else self.cpus_of(part) for part in parts]

    def strings(self, addresses: Sequence[int]) -> list[str | None]:
        """The text at each address, up to its NUL; None where there is none, or what is there is no text."""
        found: list[str | None] = []
        # What follows a string may lie beyond the last page.
        parts = self.memory.read_parts([(at, min(STRING_LIMIT, 4096 - at % 4096)) for at in addresses])
        for at, part in zip(addresses, parts, strict=True):
            raw = (part or b"").split(b"\0")[0]
            if part and b"\0" not in part and len(part) < STRING_LIMIT:
                rest = self.memory.read_parts([(at + len(part), STRING_LIMIT - len(part))])[0] or b""
                raw += rest.split(b"\0")[0]
            text = raw.decode("ascii", "replace")
            found.append(text if part and text.isprintable() and text.isascii() else None)
        return found

    def optional(self, struct: str, *paths: str) -> list[str]:
        """Those of these members that this build has."""
        return [path for path in paths if self.profile.has(struct, path)]

    def pointers(self, addresses: Sequence[int]) -> list[int | None]:
        """The pointer at each address; None where it cannot be read."""
        parts = self.memory.read_parts([(at, POINTER_SIZE) for at in addresses])
        return [None if part is None else int.from_bytes(part, "little") for part in parts]

    def function(self, address: int) -> str | None:
        """What of the image an address lies in: `default_idle+0xf`; None if it lies elsewhere."""
        last = self.image.stretches[-1]
        if not self.image.text <= address < last.address + last.size:
            return None
        found = self.kallsyms.at(address)
        return f"{found[0]}+{found[1]:#x}" if found else None

    @cached_property
    def build_id(self) -> str | None:
        """`vmlinux_build_id`, in hex; None if it cannot be read."""
        try:
            return self.memory.read(self.profile.symbol("vmlinux_build_id"), 20).hex()
        except UNREADABLE:
            return None
