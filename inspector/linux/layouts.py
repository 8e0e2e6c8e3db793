"""A profile made of a Linux's own kallsyms and BTF: what is asked of it is looked up then, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inspector.linux.btf import ARRAY, ENUM, ENUM64, FLOAT, INT, PTR, STRUCT, UNION, Btf, BtfError, Member, Type
from inspector.linux.kallsyms import Kallsyms
from structs.xen.profile import Profile

BY_NUMBER = "#"
"""Begins the name of a structure that is told by its number: names within BTF may occur twice, or be missing."""

TOLD_BY = {"irq_info": "evtchn"}
"""A member by which a structure is told from others of its name (here of drivers/tty/serial/8250)."""

_NUMBERS: dict[str, Any] = {f"u{size}": {"size": size} for size in range(17)}
_POINTER = {"kind": "pointer"}
_DEPTH = 16
SIZE_LIMIT = 1 << 20
"""Bytes that no structure has."""


class Symbols(Mapping[str, Any]):
    """Symbols as an ISF document has them. Its length is not that of what it has been asked for."""

    def __init__(self, kallsyms: Kallsyms) -> None:
        self._kallsyms = kallsyms
        self._known: dict[str, int | None] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._kallsyms.find([name]).get(name)
        address = self._known[name]
        if address is None:
            raise KeyError(name)
        return {"address": address}

    def __iter__(self) -> Iterator[str]:
        return (self._kallsyms.name(at) for at in range(len(self)))

    def __len__(self) -> int:
        return len(self._kallsyms)


class Types(Mapping[str, Any]):
    """Structures as an ISF document has them, by name."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def _made(self, name: str) -> Any:
        try:
            found = self._btf.plain(int(name[1:])) if name.startswith(BY_NUMBER) else self._named(name)
            if found is None or found.kind not in (STRUCT, UNION):
                raise KeyError(name)
            members = list(self._btf.members(found))
            if found.size > SIZE_LIMIT or any(each.bit > 8 * found.size for each in members):
                raise KeyError(f"{name}: its members do not fit its {found.size} bytes")
            fields = {each.name or f"{BY_NUMBER}{at}": self._field(each) for at, each in enumerate(members)}
        except BtfError as error:
            raise KeyError(f"{name}: {error}") from None
        return {"kind": "struct" if found.kind == STRUCT else "union", "size": found.size, "fields": fields}

    def _named(self, name: str) -> Type | None:
        found = self._btf.all_named(name)
        if name in TOLD_BY:
            return next((of for of in found if any(m.name == TOLD_BY[name] for m in self._btf.members(of))), None)
        return next(found, None)

    def _field(self, member: Member) -> dict[str, Any]:
        kind = self._kind(member.type, _DEPTH)
        field = {"offset": member.bit // 8, "type": kind, "anonymous": not member.name}
        if member.width:
            size = _NUMBERS[kind["name"]]["size"] if kind["kind"] == "base" else 8
            unit = member.bit // (8 * size) * size
            place = {"bit_position": member.bit - 8 * unit, "bit_length": member.width}
            field |= {"offset": unit, "type": {"kind": "bitfield", "type": kind, **place}}
        return field

    def _kind(self, number: int, depth: int) -> dict[str, Any]:
        """A type as ISF has it. Raises BtfError."""
        found = self._btf.plain(number) if number else None
        if depth == 0 or found is None:
            raise BtfError(f"the BTF's type {number} is no type of a member")
        if found.kind in (INT, ENUM, FLOAT, ENUM64) and found.size in range(17):
            return {"kind": "base", "name": f"u{found.size}"}
        if found.kind == ARRAY:
            element, count = self._btf.array(found)
            return {"kind": "array", "count": count, "subtype": self._kind(element, depth - 1)}
        if found.kind in (STRUCT, UNION):
            return {"kind": "struct", "name": f"{BY_NUMBER}{found.number}"}
        if found.kind == PTR:
            return _POINTER
        raise BtfError(f"the BTF's type {number}, of kind {found.kind}, is no type of a member")


def profile(release: str, build_id: str, kallsyms: Kallsyms, btf: Btf) -> Profile:
    """The profile of a Linux."""
    return Profile(
        {
            "metadata": {"linux": {"build_id": build_id, "version": release}},
            "base_types": _NUMBERS,
            "user_types": Types(btf),
            "symbols": Symbols(kallsyms),
        }
    )
