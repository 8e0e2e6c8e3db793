"""A profile: the addresses of one Xen build's symbols and the layout of its structures, keyed by its build-id.

The file format is the Intermediate Symbol Format (ISF, JSON) that volatility3 and dwarf2json share, reduced to what
`structs.xen.profile_contents` names.

    >>> profile = Profile({
    ...     "metadata": {"xen": {"build_id": "00", "version": "demo"}},
    ...     "base_types": {"int": {"size": 4, "signed": True, "kind": "int", "endian": "little"}},
    ...     "user_types": {"vcpu": {"kind": "struct", "size": 8, "fields": {
    ...         "vcpu_id": {"offset": 0, "type": {"kind": "base", "name": "int"}},
    ...         "processor": {"offset": 4, "type": {"kind": "base", "name": "int"}}}}},
    ...     "symbols": {"domain_list": {"address": 0xffff82d040000000}}})
    >>> profile.offset("vcpu", "processor")
    4
    >>> profile.selection("vcpu", "processor").record.parse(bytes([3, 0, 0, 0])).processor
    3
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structs.bits import BitRecord, Field, field
from structs.frozen import frozen
from structs.xen.errors import ProfileError

POINTER_SIZE = 8


@frozen
class Member:
    """A member of a structure: its first byte, its size in bytes, and its ISF type."""

    offset: int
    size: int
    type: Mapping[str, Any]


@frozen
class Selection:
    """Members of a structure as a schema of the bytes from `offset` on; a field is named by its path."""

    offset: int
    record: BitRecord


class Profile:
    """Symbols and structure layouts of one build of Xen, or of another kernel.

    Args:
        document: an ISF document with `metadata.xen` naming `build_id` (hex) and `version`, or `metadata.linux`.

    Raises:
        ProfileError: the document lacks one of these parts.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self.document = document
            kernel = "linux" if "linux" in document["metadata"] else "xen"
            self.build_id: str = document["metadata"][kernel]["build_id"]
            self.version: str = document["metadata"][kernel]["version"]
            self.name = f"{kernel.capitalize()} {self.version}"
            self._symbols: Mapping[str, Any] = document["symbols"]
            self._types: Mapping[str, Any] = document["user_types"]
            self._base: Mapping[str, Any] = document["base_types"]
        except (KeyError, TypeError) as error:
            raise ProfileError(f"a profile is an ISF document with metadata.xen; {error} is missing") from None

    def has_symbol(self, name: str) -> bool:
        """Whether this build has the symbol."""
        return name in self._symbols

    def symbol(self, name: str) -> int:
        """The virtual address of a symbol. Raises ProfileError if this build has none of that name."""
        try:
            return int(self._symbols[name]["address"])
        except KeyError:
            raise ProfileError(f"{self.name} has no symbol {name}, as far as its profile tells") from None

    def count(self, name: str) -> int:
        """How many elements the array variable has. Raises ProfileError if its type is not known or no array."""
        kind = self._symbols.get(name, {}).get("type", {})
        if kind.get("kind") != "array":
            raise ProfileError(f"the profile of {self.name} does not tell the length of {name}")
        return int(kind["count"])

    def has(self, struct: str, path: str) -> bool:
        """Whether the structure is known and has that member."""
        try:
            self.member(struct, path)
        except ProfileError:
            return False
        return True

    def offset(self, struct: str, path: str) -> int:
        """Bytes from the start of `struct` to the member `path` (`arch.hvm.vmx.pi_desc`)."""
        return self.member(struct, path).offset

    def size(self, struct: str) -> int:
        """Bytes that one `struct` occupies."""
        return int(self._user_type(struct)["size"])

    def member(self, struct: str, path: str) -> Member:
        """The member that a dotted path leads to; anonymous unions and structures on the way are looked through.

        Raises:
            ProfileError: there is none.
        """
        offset = 0
        current: Mapping[str, Any] = {"kind": "struct", "name": struct}
        # A profile that was not made of DWARF names members by their whole path.
        steps = [path] if path in self._user_type(struct)["fields"] else path.split(".")
        for step in steps:
            if current["kind"] not in ("struct", "union"):
                raise ProfileError(f"struct {struct}: {path} leads into a {current['kind']} before {step}")
            found = self._find(current["name"], step)
            if found is None:
                raise ProfileError(f"struct {struct} of {self.name} has no member {path}, as far as its profile tells")
            offset += found[0]
            current = found[1]
        return Member(offset, self._sizeof(current), current)

    @lru_cache(maxsize=256)  # noqa: B019 - profiles are few and live as long as the process
    def selection(self, struct: str, *paths: str) -> Selection:
        """The chosen members of a structure, and the part of it that has to be read for them.

        Raises:
            ProfileError: a member is missing.
        """
        members = {path: self.member(struct, path) for path in paths}
        if not members:
            raise ProfileError(f"the profile of {self.name} describes no wanted member of struct {struct}")
        first = min(member.offset for member in members.values())
        last = max(member.offset + member.size for member in members.values())
        fields = (_field(path, member, first) for path, member in members.items())
        try:
            record = BitRecord(f"struct {struct}", last - first, *fields, source=self.name)
        except ValueError as error:
            raise ProfileError(f"struct {struct} of {self.name}, by its profile: {error}") from None
        return Selection(first, record)

    def _find(self, struct: str, name: str) -> tuple[int, Mapping[str, Any]] | None:
        fields = self._user_type(struct)["fields"]
        if name in fields:
            return int(fields[name]["offset"]), fields[name]["type"]
        for inner in fields.values():
            # Padding without a name is no structure to look into.
            nested = inner.get("anonymous") and inner["type"]["kind"] in ("struct", "union")
            if nested and (found := self._find(inner["type"]["name"], name)):
                return int(inner["offset"]) + found[0], found[1]
        return None

    def _user_type(self, name: str) -> Mapping[str, Any]:
        try:
            known: Mapping[str, Any] = self._types[name]
        except KeyError:
            raise ProfileError(f"the profile of {self.name} does not describe struct {name}") from None
        return known

    def _sizeof(self, kind: Mapping[str, Any]) -> int:
        match kind["kind"]:
            case "base":
                return int(self._base[kind["name"]]["size"])
            case "pointer":
                return POINTER_SIZE
            case "array":
                return int(kind["count"]) * self._sizeof(kind["subtype"])
            case "bitfield":
                return self._sizeof(kind["type"])
            case "struct" | "union":
                return self.size(kind["name"])
            case other:
                raise ProfileError(f"a member of kind {other} has no size")


def _field(path: str, member: Member, first: int) -> Field:
    # Of what is no number (a lock, of whatever size its build's options give it) the first word is taken.
    low, width = (member.offset - first) * 8, min(member.size, POINTER_SIZE) * 8
    if member.type["kind"] == "bitfield":
        low, width = low + member.type["bit_position"], member.type["bit_length"]
    return field(path, (low + width - 1, low))
