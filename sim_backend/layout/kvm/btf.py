"""BTF written: the types of a profile, as a kernel or a module carries them.

Source: kernel documentation, bpf/btf.rst; include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

HEADER = struct.Struct("<HBBIIIII")
MAGIC, VERSION = 0xEB9F, 1
INT, PTR, ARRAY, STRUCT, UNION, VAR = 1, 2, 3, 4, 5, 14
VOID, GLOBAL = 0, 1
INDEX = "u4"


class BtfWriter:
    """Types and their strings, numbered on from a base's.

    >>> base = BtfWriter()
    >>> left = {"offset": 0, "type": {"kind": "pointer"}}
    >>> base.add({"pair": {"kind": "struct", "size": 8, "fields": {"left": left}}})
    >>> base.raw()[:4].hex(), BtfWriter(base).first == base.last + 1
    ('9feb0100', True)
    """

    def __init__(self, base: BtfWriter | None = None) -> None:
        self.first = base.last + 1 if base else 1
        self._numbers: dict[str, int] = dict(base._numbers) if base else {}
        self._string_base: int = base._string_base + len(base._strings) if base else 0
        self._strings: bytearray = bytearray(b"" if base else b"\0")
        self._names: dict[str, int] = dict(base._names) if base else {"": 0}
        self._types: list[bytes] = []

    @property
    def last(self) -> int:
        """The number of the last type."""
        return self.first + len(self._types) - 1

    def add(self, structs: Mapping[str, Mapping[str, Any]]) -> None:
        """Structures and unions as an ISF document has them; a name that begins with # is none."""
        known = {name: self.last + 1 + at for at, name in enumerate(structs)}
        # Numbers first, for they refer to each other; what has no name of its own follows them.
        self._numbers |= known
        self._types += [b""] * len(structs)
        for name, of in structs.items():
            self._types[known[name] - self.first] = self._struct(name, of)

    def add_variable(self, name: str, kind: Mapping[str, Any]) -> None:
        """A global variable and its type."""
        self._append(VAR, name, self._number(kind), struct.pack("<I", GLOBAL))

    def raw(self) -> bytes:
        """Header, types, strings."""
        body = b"".join(self._types)
        head = HEADER.pack(MAGIC, VERSION, 0, HEADER.size, 0, len(body), len(body), len(self._strings))
        return head + body + bytes(self._strings)

    def _struct(self, name: str, of: Mapping[str, Any]) -> bytes:
        fields = of["fields"]
        has_bits = any(field["type"]["kind"] == "bitfield" for field in fields.values())
        members = b""
        for member, field in sorted(fields.items(), key=lambda each: each[1]["offset"]):
            kind, bit = field["type"], 8 * field["offset"]
            if kind["kind"] == "bitfield":
                bit = kind["bit_length"] << 24 | bit + kind["bit_position"]
                kind = kind["type"]
            members += struct.pack("<III", self._name(member), self._number(kind), bit)
        code = STRUCT if of["kind"] == "struct" else UNION
        return self._type(code, name, of["size"], members, len(fields), has_bits)

    def _number(self, kind: Mapping[str, Any]) -> int:
        """The number of a member's type, which is added if it is none yet."""
        match kind["kind"]:
            case "base":
                return self._known(kind["name"], INT)
            case "pointer":
                return self._known("*", PTR)
            case "array":
                element, index = self._number(kind["subtype"]), self._known(INDEX, INT)
                key = f"{element}[{kind['count']}]"
                if key not in self._numbers:
                    more = struct.pack("<III", element, index, kind["count"])
                    self._numbers[key] = self._append(ARRAY, "", 0, more)
                return self._numbers[key]
            case _:
                return self._numbers[kind["name"]]

    def _known(self, name: str, code: int) -> int:
        if name not in self._numbers:
            size = 0 if code == PTR else int(name[1:])
            more = b"" if code == PTR else struct.pack("<I", 8 * size)
            self._numbers[name] = self._append(code, "" if code == PTR else f"unsigned{8 * size}", size, more)
        return self._numbers[name]

    def _append(self, code: int, name: str, size: int, more: bytes = b"") -> int:
        self._types.append(self._type(code, name, size, more))
        return self.last

    def _type(
        self, code: int, name: str, size: int, more: bytes = b"", count: int = 0, has_bits: bool = False
    ) -> bytes:
        return struct.pack("<III", self._name(name), has_bits << 31 | code << 24 | count, size) + more

    def _name(self, text: str) -> int:
        """Where a string is; what begins with # is a name of the profile only."""
        if text.startswith("#"):
            text = ""
        if text not in self._names:
            self._names[text] = self._string_base + len(self._strings)
            self._strings += text.encode() + b"\0"
        return self._names[text]


def of_types(
    structs: Mapping[str, Mapping[str, Any]], names: Iterable[str], base: BtfWriter | None = None
) -> BtfWriter:
    """The BTF of these structures of a profile."""
    writer = BtfWriter(base)
    writer.add({name: structs[name] for name in names})
    return writer
