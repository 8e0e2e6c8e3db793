"""A relocatable module, loaded as the kernel loads it: sections laid out, symbols resolved, relocations applied.

Its alternatives, static calls and jump labels are as the file has them: as before any patching.
Source: arch/x86/kernel/module.c (__apply_relocate_add), kernel/module/main.c (simplify_symbols).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Symbol

R_64, R_PC32, R_PLT32, R_32, R_32S, R_PC64 = 1, 2, 4, 10, 11, 24
SIZES = {R_64: 8, R_PC64: 8, R_PC32: 4, R_PLT32: 4, R_32: 4, R_32S: 4}
RELATIVE = (R_PC32, R_PLT32, R_PC64)
SIGNED = (R_PC32, R_PLT32, R_32S)
PER_CPU = ".data..percpu"
PAGE = 0x1000
BUG = 12
"""Bytes of a `struct bug_entry`: where, which file, which line, flags."""
WARNING = 1
NOWHERE = 0x4000_0000
"""The per-CPU address of variables that the machine does not have: nothing is mapped there."""


@dataclass
class Module:
    """A module's file, and where its sections go.

    Attributes:
        sections: the addresses of its sections by their numbers.
        defined, exported: address and size of what it defines, and the addresses of what others can use of that.
        warnings: where it traps if a WARN fails.
    """

    path: Path
    sections: dict[int, int] = field(default_factory=dict)
    defined: dict[str, tuple[int, int]] = field(default_factory=dict)
    exported: dict[str, int] = field(default_factory=dict)
    warnings: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = self.path.open("rb")
        self._elf = ELFFile(self._file)
        self._all = list(self._elf.iter_sections())
        self._per_cpu: dict[int, int] = {}
        self._symbols = list(self._elf.get_section_by_name(".symtab").iter_symbols())

    def lay_out(self, start: int, known: Callable[[str], int | None]) -> int:
        """Place its sections from an address on. `known`: where the machine has a variable of its, if it has.

        Returns the address behind it.
        """
        for number, section in enumerate(self._all):
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != PER_CPU:
                start = start + -start % max(section["sh_addralign"], 1)
                self.sections[number] = start
                start += section["sh_size"]
        for symbol in self._symbols:
            place = symbol["st_shndx"]
            if not symbol.name or not isinstance(place, int) or not self._all[place]["sh_flags"] & SH_FLAGS.SHF_ALLOC:
                continue
            per_cpu = self._all[place].name == PER_CPU
            address = known(symbol.name) if symbol["st_info"]["type"] == "STT_OBJECT" else None
            if address is None and not per_cpu:
                address = self.sections[place] + symbol["st_value"]
            if address is None:
                continue
            self.defined[symbol.name] = address, symbol["st_size"]
            if per_cpu:
                self._per_cpu[symbol["st_value"]] = address
            if symbol["st_info"]["bind"] != "STB_LOCAL":
                self.exported[symbol.name] = address
        return start + -start % PAGE

    def image(self, resolve: Callable[[str], int]) -> dict[int, bytes]:
        """Its sections' bytes by address, relocated. `resolve`: where a symbol of others is."""
        made = {}
        for number, section in enumerate(self._all):
            if number in self.sections and section.name != PER_CPU:
                empty = section["sh_type"] == "SHT_NOBITS"
                made[number] = bytearray(section["sh_size"]) if empty else bytearray(section.data())
        for section in self._all:
            if isinstance(section, RelocationSection) and section["sh_info"] in made:
                self._relocate(made[section["sh_info"]], self.sections[section["sh_info"]], section, resolve)
        bugs = next((number for number, section in enumerate(self._all) if section.name == "__bug_table"), None)
        if bugs is not None:
            self._note_warnings(self.sections[bugs], bytes(made[bugs]))
        return {self.sections[number]: bytes(content) for number, content in made.items()}

    def _relocate(
        self, content: bytearray, start: int, section: RelocationSection, resolve: Callable[[str], int]
    ) -> None:
        for entry in section.iter_relocations():
            kind = entry["r_info_type"]
            if kind == 0:
                continue
            place, size = entry["r_offset"], SIZES[kind]
            value = self._value(self._symbols[entry["r_info_sym"]], entry["r_addend"], kind, resolve)
            if kind in RELATIVE:
                value -= start + place
            value = (value + (1 << 63)) % (1 << 64) - (1 << 63) if kind in SIGNED else value % (1 << 64)
            content[place : place + size] = value.to_bytes(size, "little", signed=kind in SIGNED)

    def _value(self, symbol: Symbol, addend: int, kind: int, resolve: Callable[[str], int]) -> int:
        place = symbol["st_shndx"]
        if place == "SHN_UNDEF":
            return resolve(symbol.name) + addend
        if place == "SHN_ABS":
            return int(symbol["st_value"]) + addend
        if symbol.name in self.defined:
            return self.defined[symbol.name][0] + addend
        if self._all[place].name == PER_CPU:
            # From the end of the instruction, in which an operand of 1, 2 or 4 bytes may follow; else absolute.
            at = symbol["st_value"] + addend
            ways = [size for size in (4, 5, 6, 8) if at + size in self._per_cpu] if kind in RELATIVE else [0]
            behind = ways[0] if ways else 0
            return self._per_cpu.get(at + behind, NOWHERE) - behind
        return int(self.sections.get(place, 0) + symbol["st_value"]) + addend

    def _note_warnings(self, start: int, table: bytes) -> None:
        for at in range(0, len(table) - BUG + 1, BUG):
            where = int.from_bytes(table[at : at + 4], "little", signed=True)
            if int.from_bytes(table[at + 10 : at + 12], "little") & WARNING:
                self.warnings.append(start + at + where)
