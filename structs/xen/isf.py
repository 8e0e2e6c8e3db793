"""An ISF document that nobody of us wrote, checked before a profile is made of it.

Names lead to what is described, members lie within their structures, no structure holds itself, and numbers are such
as a machine has. So whoever reads memory by it asks for what can be there.

Source: volatility3, `schemas/schema-6.2.0.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from structs.xen.errors import ProfileError

ADDRESS_END = 1 << 64
LARGEST_STRUCT = 1 << 24
LARGEST_BASE = 16

Text = Annotated[str, Meta(max_length=1000)]
Count = Annotated[int, Meta(ge=0, le=1 << 32)]
Size = Annotated[int, Meta(ge=0, le=LARGEST_STRUCT)]


class Base(Struct, tag="base", tag_field="kind"):
    """A base type by its name."""

    name: Text


class Pointer(Struct, tag="pointer", tag_field="kind"):
    """Its subtype need not be described."""

    subtype: Type


class Array(Struct, tag="array", tag_field="kind"):
    """Elements of one type."""

    count: Count
    subtype: Type


class Bitfield(Struct, tag="bitfield", tag_field="kind"):
    """Bits of an integer."""

    bit_position: Annotated[int, Meta(ge=0, le=127)]
    bit_length: Annotated[int, Meta(ge=1, le=64)]
    type: Type


class StructName(Struct, tag="struct", tag_field="kind"):
    """A structure by its name."""

    name: Text


class UnionName(Struct, tag="union", tag_field="kind"):
    """A union by its name."""

    name: Text


class ClassName(Struct, tag="class", tag_field="kind"):
    """A C++ class by its name."""

    name: Text


class EnumName(Struct, tag="enum", tag_field="kind"):
    """An enumeration by its name."""

    name: Text


class Function(Struct, tag="function", tag_field="kind"):
    """A function, of which nothing is told."""


Type = Base | Pointer | Array | Bitfield | StructName | UnionName | ClassName | EnumName | Function


class BaseType(Struct):
    """How a base type lies in memory."""

    size: Annotated[int, Meta(ge=0, le=LARGEST_BASE)]


class Member(Struct):
    """A member of a structure."""

    offset: Size
    type: Type
    anonymous: bool = False


class UserType(Struct):
    """A structure or union."""

    size: Size
    fields: dict[Text, Member]


class Symbol(Struct):
    """A symbol, and of a variable the type."""

    address: int
    type: Type | None = None


class Build(Struct):
    """Which build."""

    build_id: Annotated[str, Meta(pattern="^([0-9a-f]{2}){1,64}$")]
    version: Text


class OfXen(Struct):
    """Whose document it is: a Xen's."""

    xen: Build


class OfLinux(Struct):
    """Whose document it is: a Linux's."""

    linux: Build


Metadata = TypeVar("Metadata")


class Document(Struct, Generic[Metadata]):
    """All of it, as far as vtdpi asks."""

    metadata: Metadata
    base_types: dict[Text, BaseType]
    user_types: dict[Text, UserType]
    symbols: dict[Text, Symbol]
    enums: dict[Text, Any] = field(default_factory=dict)


Known = Document[OfXen] | Document[OfLinux]
Kernel = Literal["xen", "linux"]
DOCUMENTS: Mapping[Kernel, type[Known]] = {"xen": Document[OfXen], "linux": Document[OfLinux]}


def loads(raw: bytes, kernel: Kernel = "xen") -> dict[str, Any]:
    """The document of a kernel that a file holds.

    Raises:
        ProfileError: it is no JSON, or not such a document; the message says where.
    """
    try:
        document: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProfileError(f"no JSON: {str(error)[:200]}") from None
    check(document, kernel)
    return dict(document)


def check(document: Mapping[str, Any], kernel: Kernel = "xen") -> None:
    """Raise ProfileError for a document that no profile can be made of; says where it is wrong."""
    try:
        known = msgspec.convert(document, DOCUMENTS[kernel])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProfileError(f"{str(error)[:300]}") from None
    for name, symbol in known.symbols.items():
        if not 0 <= symbol.address < ADDRESS_END:
            raise ProfileError(f"symbol {name[:80]}: {symbol.address:#x} is no 64-bit address")
        if symbol.type is not None:
            _size(known, symbol.type, f"symbol {name[:80]}")
    for name, kind in known.user_types.items():
        for member, at in kind.fields.items():
            _check_member(known, kind, at, f"{name[:80]}.{member[:80]}")
    _check_nesting(known)


def _check_member(known: Known, kind: UserType, at: Member, where: str) -> None:
    if at.anonymous and not isinstance(at.type, StructName | UnionName | ClassName):
        raise ProfileError(f"{where} is anonymous but no structure")
    size = _size(known, at.type, where)
    if isinstance(at.type, Bitfield):
        # Its offset is that of its first bit's byte, so the integer that it is part of may begin before.
        size = -(-(at.type.bit_position + at.type.bit_length) // 8)
    if at.offset + size > kind.size:
        raise ProfileError(f"{where}: {size} bytes at offset {at.offset} do not lie within the {kind.size} of it all")


def _size(known: Known, kind: Type, where: str) -> int:
    """Bytes of a type whose names all lead somewhere. Pointees need not be known."""
    match kind:
        case Base(name=name):
            if name not in known.base_types:
                raise ProfileError(f"{where} is of base type {name[:80]!r}, which is not described")
            return known.base_types[name].size
        case Pointer():
            return 8
        case Array(count=count, subtype=subtype):
            return count * _size(known, subtype, where)
        case Bitfield(type=whole):
            return _size(known, whole, where)
        case StructName(name=name) | UnionName(name=name) | ClassName(name=name):
            if name not in known.user_types:
                raise ProfileError(f"{where} is a structure {name[:80]!r}, which is not described")
            return known.user_types[name].size
        case EnumName(name=name):
            described = known.enums.get(name)
            return int(described.get("size", 4)) if isinstance(described, dict) else 4
        case _:
            return 0


def _check_nesting(known: Known) -> None:
    """Raise ProfileError if a structure holds itself, directly or in another one."""
    done: set[str] = set()
    for first in known.user_types:
        path: list[str] = []
        waiting = [(first, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                path.remove(name)
                done.add(name)
                continue
            if name in path:
                raise ProfileError(f"structure {name[:80]!r} holds itself")
            if name in done:
                continue
            path.append(name)
            waiting.append((name, True))
            waiting += [(inner, False) for at in known.user_types[name].fields.values() if (inner := _held(at.type))]


def _held(kind: Type) -> str | None:
    """The structure that lies within a type."""
    match kind:
        case Array(subtype=inner) | Bitfield(type=inner):
            return _held(inner)
        case StructName(name=name) | UnionName(name=name) | ClassName(name=name):
            return name
        case _:
            return None
