"""Make a profile from a xen-syms: structures from its DWARF (see `dwarf_types`), symbols from its symbol table."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.base.errors import VtdpiError
from inspector.profiles import pe
from inspector.profiles.image import Image
from structs.xen import profile_contents
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

ISF_FORMAT = "6.2.0"
IDENTIFYING = (".note.gnu.build-id", ".buildid", ".text", ".rodata")
"""Sections that tell which build it is: `.buildid` is an EFI image's, the code returns the version."""
VERSION_SYMBOLS = ("xen_major_version", "xen_minor_version", "xen_extra_version")
IMAGE_SIZE = 1 << 30
LONGEST = 120
"""Seconds that DWARF is waited for; it is read in a third of one, and may take 20 of CPU."""
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
        xen_syms: an unstripped Xen image: `xen-syms`, `xen.efi`, `xen.efi.elf`, or a split `.debug` file.
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
        with pe.as_elf(path).open("rb") as file:
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


def need_drgn(path: Path) -> None:
    """Raise VtdpiError if drgn, which few need, is not installed."""
    if find_spec("drgn") is None:
        raise VtdpiError(
            f"{path}: its DWARF is read with drgn, which is not installed: `pip install 'vtdpi[symbols]'`; "
            "a profile that was made elsewhere (vtdpi profile make) needs none"
        )


def _layouts(path: Path, addresses: Mapping[str, int]) -> dict[str, Any]:
    """Structures, and the symbols with their types.

    drgn is for files that are trusted: a damaged one may crash it, so it reads in a process of its own.
    """
    need_drgn(path)
    said = _read_apart(path)
    symbols = {name: {"address": address} | said.symbols.get(name, {}) for name, address in addresses.items()}
    return {"base_types": said.base_types, "user_types": said.user_types, "enums": said.enums, "symbols": symbols}


@dataclass
class _Said:
    """What `dwarf_types` prints."""

    base_types: dict[str, Any] = field(default_factory=dict)
    user_types: dict[str, Any] = field(default_factory=dict)
    enums: dict[str, Any] = field(default_factory=dict)
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: str | None = None
    damaged: str | None = None


def _read_apart(path: Path) -> _Said:
    # Only here: a gdb whose Python has none can still use what is known of a build.
    import msgspec

    # -P and the whole path: nothing is imported from the folder where the user happens to be.
    command = [_interpreter(), "-P", "-m", "inspector.profiles.dwarf_types", os.path.abspath(pe.as_elf(path))]
    # One thread: each takes address space, which is bounded there, and this is a small file.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise _damaged(path, f"not read within {LONGEST} s") from None
    except OSError as error:
        raise VtdpiError(f"{path}: its DWARF cannot be read: no Python to do it with: {error}") from None
    if done.returncode < 0:
        raise _damaged(path, f"drgn ended by {signal.Signals(-done.returncode).name}")
    try:
        said = msgspec.json.decode(done.stdout, type=_Said)
    except (msgspec.MsgspecError, RecursionError):
        raise _damaged(path, f"drgn ended with status {done.returncode}") from None
    if said.missing is not None:
        raise VtdpiError(
            f"{path}: no DWARF in it, so no structure layouts; give a xen-syms built with debug information, "
            "or name a profile with the layouts of this very build (vtdpi profile make --types)"
        )
    if said.damaged is not None:
        raise _damaged(path, said.damaged)
    if "vcpu" not in said.user_types:
        raise _damaged(path, "no struct vcpu in it")
    return said


def _damaged(path: Path, why: str) -> VtdpiError:
    return VtdpiError(f"{path}: its DWARF is damaged ({why:.200}); give the xen-syms of this Xen")


def _interpreter() -> str:
    """This Python's program: within gdb `sys.executable` may name one that is not there."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if sys.executable and os.access(sys.executable, os.X_OK):
        return sys.executable
    return shutil.which(name) or os.path.join(sys.exec_prefix, "bin", name)


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
