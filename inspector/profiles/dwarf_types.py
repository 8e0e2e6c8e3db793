"""The types in a xen-syms' DWARF, as drgn reads them: a program of its own, for a damaged file may crash drgn. It
can read that file, and touch nothing else, where the kernel has Landlock.

    python -m inspector.profiles.dwarf_types XEN_SYMS

It prints JSON: the parts of a profile (ISF), `{"missing": WHY}` where there is no DWARF, or `{"damaged": WHY}`.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from typing import Any

import drgn

from inspector.base.landlock import confine_to
from structs.xen import profile_contents

SECONDS, MEMORY, CHARACTERS = 20, 1 << 30, 64 << 20
"""What a damaged file may take: of CPU time, of address space, of text."""
DEBUG_FILES = "/usr/lib/debug"
"""Where distributions put the parts that several files' DWARF has in common."""


class NoTypes(Exception):
    """No DWARF in it."""


class Types:
    """drgn's types turned into ISF, each structure once, with the structures that it contains."""

    def __init__(self, path: str) -> None:
        self.program = drgn.Program()
        module = self.program.extra_module("xen-syms", 0, create=True)
        try:
            module.try_file(path, force=True)
            self.program.type("struct vcpu")
        except (LookupError, OSError, ValueError, drgn.MissingDebugInfoError) as error:
            raise NoTypes(str(error)) from None
        self.base: dict[str, Any] = {}
        self.structs: dict[str, Any] = {}
        self.enums: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """The parts of a profile that DWARF tells; of symbols the types."""
        for name in profile_contents.STRUCTS:
            try:
                self.describe(self.program.type(f"struct {name}"))
            except LookupError:
                continue
        for name in profile_contents.TYPEDEFS:
            try:
                kind = self.program.type(name)
            except LookupError:
                continue
            while kind.kind == drgn.TypeKind.TYPEDEF:
                kind = kind.type
            self.compound(kind, name)
        symbols = {name: kind for name in profile_contents.SYMBOLS if (kind := self.variable(name))}
        return {"base_types": self.base, "user_types": self.structs, "enums": self.enums, "symbols": symbols}

    def variable(self, name: str) -> dict[str, Any]:
        try:
            return {"type": self.describe(self.program.variable(name).type_)}
        except LookupError:
            return {}

    def describe(self, kind: drgn.Type) -> dict[str, Any]:
        """The ISF type descriptor of a type; what it contains is described on the way."""
        kinds = drgn.TypeKind
        match kind.kind:
            case kinds.TYPEDEF:
                return self.describe(kind.type)
            case kinds.INT | kinds.BOOL | kinds.FLOAT:
                how = {kinds.INT: "int", kinds.BOOL: "bool", kinds.FLOAT: "float"}[kind.kind]
                signed = kind.kind == kinds.INT and kind.is_signed
                self.base[kind.name] = {"size": kind.size, "signed": signed, "kind": how, "endian": "little"}
                return {"kind": "base", "name": kind.name}
            case kinds.POINTER:
                return {"kind": "pointer", "subtype": self.pointee(kind.type)}
            case kinds.ARRAY:
                return {"kind": "array", "count": kind.length or 0, "subtype": self.describe(kind.type)}
            case kinds.ENUM if kind.enumerators is not None:
                return self.describe(kind.type)
            case kinds.STRUCT | kinds.UNION if kind.members is not None:
                return self.compound(kind)
        return {"kind": "function"} if kind.kind == kinds.FUNCTION else {"kind": "base", "name": self.void()}

    def pointee(self, kind: drgn.Type) -> dict[str, Any]:
        """What a pointer points to, by name only: its structure is described if it is wanted or contained elsewhere."""
        while kind.kind == drgn.TypeKind.TYPEDEF:
            kind = kind.type
        compound = kind.kind in (drgn.TypeKind.STRUCT, drgn.TypeKind.UNION)
        if compound and kind.tag:
            return {"kind": kind.kind.name.lower(), "name": kind.tag}
        if kind.kind == drgn.TypeKind.POINTER:
            return {"kind": "pointer", "subtype": self.pointee(kind.type)}
        return {"kind": "base", "name": self.void()} if compound else self.describe(kind)

    def void(self) -> str:
        self.base["void"] = {"size": 0, "signed": False, "kind": "void", "endian": "little"}
        return "void"

    def compound(self, kind: drgn.Type, name: str | None = None) -> dict[str, Any]:
        word = kind.kind.name.lower()
        name = name or kind.tag or self.unnamed(kind)
        if name not in self.structs:
            self.structs[name] = {"kind": word, "size": kind.size, "fields": {}}
            self.structs[name]["fields"] = dict(self.field(index, member) for index, member in enumerate(kind.members))
        return {"kind": word, "name": name}

    def unnamed(self, kind: drgn.Type) -> str:
        """A name for an anonymous structure: the same for equal ones, told apart by its text."""
        return f"unnamed_{hashlib.sha1(str(kind).encode()).hexdigest()[:12]}"

    def field(self, index: int, member: drgn.TypeMember) -> tuple[str, dict[str, Any]]:
        described = self.describe(member.type)
        offset = member.bit_offset // 8
        if member.bit_field_size is not None:
            described = {
                "kind": "bitfield",
                "bit_position": member.bit_offset % 8,
                "bit_length": member.bit_field_size,
                "type": described,
            }
        if member.name is None:
            return f"unnamed_field_{index}", {"offset": offset, "type": described, "anonymous": True}
        return member.name, {"offset": offset, "type": described}


def main(path: str) -> None:
    """Print what is in this file."""
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    confine_to(path, DEBUG_FILES)
    try:
        document = Types(path).document()
    except NoTypes as error:
        document = {"missing": str(error)}
    except Exception as error:
        # drgn reads DWARF when it is asked for, and so meets damage at any time, and with any exception.
        document = {"damaged": repr(error)}
    text = json.dumps(document)
    print(text if len(text) <= CHARACTERS else json.dumps({"damaged": f"types of {len(text)} characters"}))


if __name__ == "__main__":
    main(sys.argv[1])
