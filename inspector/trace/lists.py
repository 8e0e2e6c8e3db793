"""Where each vCPU is on the blocking lists, and which list's lock guards it: read again after every store to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.model.snapshot import BlockingList, Vcpu
from inspector.targets.watchpoint import Write
from inspector.xen.xen import Xen
from structs.xen import variants

LINKS = 16
"""Bytes of a list head or node: next, then prev."""
NODE = 24
"""Of a vCPU's `pi_blocking`: its node, then the pointer to the lock."""

Membership = tuple[int | None, int | None]
"""The CPU on whose list a vCPU is, and the one whose lock its node names; None for none."""


class Lists:
    """The lists of a machine's CPUs, and these vCPUs' nodes on them.

    Attributes:
        known: each vCPU's place, as last read.
    """

    def __init__(self, xen: Xen, lists: Sequence[BlockingList], vcpus: Sequence[Vcpu]) -> None:
        self._target = xen.memory.target
        translate = xen.memory.translate
        path = variants.vmx(xen.profile) or variants.VMX[0]
        first = xen.profile.offset("vcpu", f"{path}.pi_blocking.list")
        lock = xen.profile.offset("vcpu", f"{path}.pi_blocking.lock")
        self._lock_at = lock - first
        self._heads = {each.head: each.cpu for each in lists}
        self._locks = {each.lock: each.cpu for each in lists}
        self._nodes = {vcpu.node: vcpu.name for vcpu in vcpus if vcpu.node}
        self._places = [(translate(head), LINKS) for head in self._heads]
        self._places += [(translate(node), NODE) for node in self._nodes]
        self.writes = [Write(head, place, size) for head, (place, size) in zip(self._heads, self._places, strict=False)]
        self.writes += [
            Write(node, place, size)
            for node, (place, size) in zip(self._nodes, self._places[len(self._heads) :], strict=True)
        ]
        self._parts = self._read()
        self.known = self._look()

    def changed(
        self, address: int | None = None, word: int | None = None
    ) -> Mapping[str, tuple[Membership, Membership]]:
        """The vCPUs whose place is another one than when last asked: before and after.

        Args:
            address, word: if only one store is to be looked at, where it was and what it left, see StopEvent.
        """
        if address is None or word is None:
            self._parts = self._read()
        else:
            self._parts = [
                with_word(part, address - place, word)
                for part, (place, _) in zip(self._parts, self._places, strict=True)
            ]
        now = self._look()
        found = {name: (self.known[name], now[name]) for name in now if now[name] != self.known[name]}
        self.known = now
        return found

    def _read(self) -> list[bytes]:
        return [part or b"" for part in self._target.read_parts(self._places)]

    def _look(self) -> dict[str, Membership]:
        links, locks = {}, {}
        for address, part in zip((*self._heads, *self._nodes), self._parts, strict=True):
            links[address] = int.from_bytes(part[:8], "little")
            locks[address] = int.from_bytes(part[self._lock_at :][:8], "little")
        on: dict[int, int] = {}
        for head, cpu in self._heads.items():
            node = links[head]
            while node in self._nodes and node not in on:
                on[node] = cpu
                node = links[node]
        return {name: (on.get(node), self._locks.get(locks[node])) for node, name in self._nodes.items()}


def with_word(raw: bytes, offset: int, word: int) -> bytes:
    """These bytes with the aligned 8 bytes that `offset` is in replaced, as far as they are among them."""
    start = offset & -8
    if not 0 <= start <= len(raw) - 8:
        return raw
    return raw[:start] + word.to_bytes(8, "little") + raw[start + 8 :]
