"""Make a profile from a xen-syms: structures from its DWARF (read by drgn), symbols from its symbol table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.base.errors import VtdpiError
from inspector.profiles.image import Image
from structs.xen import profile_contents
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

if TYPE_CHECKING:
    import drgn
    from elftools.elf.elffile import ELFFile

ISF_FORMAT = "6.2.0"
IDENTIFYING = (".note.gnu.build-id", ".buildid", ".text", ".rodata")
"""Sections that tell which build it is: `.buildid` is an EFI image's, the code returns the version."""
VERSION_SYMBOLS = ("xen_major_version", "xen_minor_version", "xen_extra_version")
IMAGE_SIZE = 1 << 30
NOT_THERE = "SHT_NOBITS"
"""The type of a section that a split .debug file only describes."""

NEEDED = ("__note_gnu_build_id_start", "idle_pg_table", "domain_list")
"""Symbols of every Xen that can be found in a memory."""
LOWEST_ADDRESS = 0xFFFF800000000000
"""Xen lies in the upper half of the addresses."""

SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)


def make(xen_syms: Path, types: Profile | None = None) -> Profile:
    """The profile of the build that `xen_syms` belongs to.

    Args:
        xen_syms: an unstripped Xen image (`xen-syms`).
        types: take the structures from this profile; for a xen-syms whose DWARF was left out.

    Raises:
        VtdpiError: not such a file, no Xen's, no symbol table, no build-id, damaged, no DWARF and no `types`, or
            `types` of another version.
    """
    build_id, version, addresses = _read_elf(xen_syms)
    _check_is_xen(xen_syms, addresses)
    if types is not None and types.version != version:
        raise VtdpiError(
            f"{xen_syms} is of Xen {version}, and the layouts are of {types.version}: members move even within a "
            "release; give the layouts of this very build, or none: memory tells then which fit"
        )
    if types is None:
        document = _layouts(xen_syms, addresses)
    else:
        document = {part: types.document[part] for part in ("base_types", "user_types", "enums")}
        known = types.document["symbols"]
        document["symbols"] = {
            name: {"address": address} | {key: kind for key, kind in known.get(name, {}).items() if key == "type"}
            for name, address in addresses.items()
        }
    metadata = {
        "format": ISF_FORMAT,
        "producer": {"name": "vtdpi", "version": "1"},
        "xen": {"build_id": build_id, "version": version},
    }
    from structs.xen import isf

    whole = {"metadata": metadata, **document}
    try:
        isf.check(whole)
    except ProfileError as error:
        raise VtdpiError(f"{xen_syms}: its DWARF is damaged: {error}; give the xen-syms of this Xen") from None
    return Profile(whole)


def build_id_of(xen_syms: Path) -> str:
    """The build-id of an ELF image in hex. Raises VtdpiError if it is no ELF file or has none."""
    return _read_elf(xen_syms)[0]


def _read_elf(path: Path) -> tuple[str, str, dict[str, int]]:
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            symtab, strtab = _section(elf, ".symtab"), _section(elf, ".strtab")
            if symtab is None or strtab is None:
                raise VtdpiError(
                    f"{path}: no symbol table in it (stripped?); give the unstripped xen-syms of this build"
                )
            image = _image(elf, _addresses(symtab, strtab, VERSION_SYMBOLS))
            if image.build_id is None:
                raise VtdpiError(
                    f"{path}: no build-id note in it; a profile is keyed by it, so build Xen with --build-id"
                )
            return image.build_id, image.version or "unknown", _addresses(symtab, strtab, profile_contents.SYMBOLS)
    except OSError as error:
        raise VtdpiError(f"{path}: cannot be read: {error.strerror}; give the xen-syms of this Xen") from None
    except VtdpiError:
        raise
    except Exception as error:
        # pyelftools meets a damaged file with whatever it trips over.
        raise VtdpiError(f"{path}: not a usable ELF image ({error!r:.200}); give the xen-syms of this Xen") from None


def _image(elf: ELFFile, addresses: Mapping[str, int]) -> Image:
    """What of the image tells which build it is."""
    parts = []
    for name in IDENTIFYING:
        if content := _section(elf, name):
            parts.append((int(elf.get_section_by_name(name)["sh_addr"]), content))
    return Image(min((at for at, _ in parts), default=0) & ~(IMAGE_SIZE - 1), tuple(parts), addresses)


def _section(elf: ELFFile, name: str) -> bytes | None:
    """A section's bytes; None if there is none, or none such in the file."""
    section = elf.get_section_by_name(name)
    # A size beyond the file's would be allocated before it is read; xen-syms' sections are not compressed.
    if section is None or section.compressed or section["sh_size"] > elf.stream_len or section["sh_type"] == NOT_THERE:
        return None
    return bytes(section.data())


def _check_is_xen(path: Path, addresses: Mapping[str, int]) -> None:
    """Raise VtdpiError if these are not the symbols of a Xen: without them none can be found in a memory."""
    missing = [name for name in NEEDED if name not in addresses]
    if missing or len({addresses[name] >> 30 for name in NEEDED}) > 1 or addresses[NEEDED[0]] < LOWEST_ADDRESS:
        found = f"no symbol {missing[0]}" if missing else "its symbols do not lie where Xen's image does"
        raise VtdpiError(f"{path} is no Xen's: {found}; give the unstripped xen-syms of this Xen")


def _layouts(path: Path, addresses: Mapping[str, int]) -> dict[str, Any]:
    try:
        return _Layouts(path).document(addresses)
    except VtdpiError:
        raise
    except Exception as error:
        # drgn reads DWARF when it is asked for, and so meets damage at any time, and with any exception.
        raise VtdpiError(f"{path}: its DWARF is damaged ({error!r:.200}); give the xen-syms of this Xen") from None


def _addresses(symtab: bytes, strtab: bytes, wanted: Iterable[str]) -> dict[str, int]:
    """Addresses of the wanted symbols; a static name that stands for several objects is left out."""
    symbols = np.frombuffer(symtab[: len(symtab) // SYMBOL.itemsize * SYMBOL.itemsize], SYMBOL)
    symbols = symbols[(symbols["section"] != 0) & (symbols["name"] < len(strtab))]
    found: dict[str, set[int]] = {}
    want = {name.encode() for name in wanted}
    for start, value in zip(symbols["name"].tolist(), symbols["value"].tolist(), strict=True):
        name = strtab[start : strtab.find(b"\0", start)]
        if name in want:
            found.setdefault(name.decode(), set()).add(value)
    return {name: values.pop() for name, values in sorted(found.items()) if len(values) == 1}


class _Layouts:
    """drgn's types turned into ISF, each structure once, with the structures that it contains."""

    def __init__(self, path: Path) -> None:
        import drgn

        self.drgn = drgn
        self.program = drgn.Program()
        module = self.program.extra_module("xen-syms", 0, create=True)
        try:
            module.try_file(str(path), force=True)
            self.program.type("struct vcpu")
        except (LookupError, OSError, ValueError, drgn.MissingDebugInfoError):
            raise VtdpiError(
                f"{path}: no DWARF in it, so no structure layouts; give a xen-syms built with debug information, "
                "or name a profile with the layouts of this very build (vtdpi profile make --types)"
            ) from None
        self.base: dict[str, Any] = {}
        self.structs: dict[str, Any] = {}
        self.enums: dict[str, Any] = {}

    def document(self, addresses: Mapping[str, int]) -> dict[str, Any]:
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
            while kind.kind == self.drgn.TypeKind.TYPEDEF:
                kind = kind.type
            self.compound(kind, name)
        symbols = {name: {"address": address} | self.variable(name) for name, address in addresses.items()}
        return {"base_types": self.base, "user_types": self.structs, "enums": self.enums, "symbols": symbols}

    def variable(self, name: str) -> dict[str, Any]:
        try:
            return {"type": self.describe(self.program.variable(name).type_)}
        except LookupError:
            return {}

    def describe(self, kind: drgn.Type) -> dict[str, Any]:
        """The ISF type descriptor of a type; what it contains is described on the way."""
        kinds = self.drgn.TypeKind
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
        while kind.kind == self.drgn.TypeKind.TYPEDEF:
            kind = kind.type
        compound = kind.kind in (self.drgn.TypeKind.STRUCT, self.drgn.TypeKind.UNION)
        if compound and kind.tag:
            return {"kind": kind.kind.name.lower(), "name": kind.tag}
        if kind.kind == self.drgn.TypeKind.POINTER:
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
        import hashlib

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
