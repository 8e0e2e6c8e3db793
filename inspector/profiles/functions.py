"""All symbols of a xen-syms, and the source lines of addresses: what a profile leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.base.errors import VtdpiError
from inspector.profiles import dwarf, pe
from structs.frozen import frozen

if TYPE_CHECKING:
    import drgn
    from elftools.elf.elffile import ELFFile


@frozen
class Line:
    """A line of source, and the function it is in."""

    function: str
    file: str
    line: int


class SymbolFile:
    """A xen-syms.

    Raises (from each member):
        VtdpiError: it cannot be read as one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def addresses(self) -> Mapping[str, int]:
        """The address of each symbol whose name stands for one thing."""
        found: dict[str, set[int]] = {}
        for name, address in self._symbols():
            found.setdefault(name, set()).add(address)
        return {name: values.pop() for name, values in found.items() if len(values) == 1}

    def lines(self, address: int) -> Sequence[Line]:
        """Where the code at an address was written, what was inlined first; without DWARF nothing."""
        try:
            found = self._program.source_location(address)
        except LookupError:
            return ()
        return [Line(one.name() or "", Path(one.filename).name, one.line) for one in found]

    @cached_property
    def _program(self) -> drgn.Program:
        dwarf.need_drgn(self.path)
        import drgn

        with self._elf() as elf:
            loads = [segment.header for segment in elf.iter_segments("PT_LOAD")]
        program = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))
        module = program.extra_module("xen-syms", 0, create=True)
        module = module[0] if isinstance(module, tuple) else module
        # Without its addresses, drgn would take it for a file that is loaded elsewhere.
        module.address_range = min(load.p_vaddr for load in loads), max(load.p_vaddr + load.p_memsz for load in loads)
        module.try_file(str(pe.as_elf(self.path)), force=True)
        return program

    def _symbols(self) -> Sequence[tuple[str, int]]:
        with self._elf() as elf:
            table = elf.get_section_by_name(".symtab")
            if table is None:
                raise VtdpiError(f"{self.path}: no symbol table in it (stripped?); give the unstripped xen-syms")
            return [
                (symbol.name, symbol["st_value"])
                for symbol in table.iter_symbols()
                if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
            ]

    @contextmanager
    def _elf(self) -> Iterator[ELFFile]:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            with pe.as_elf(self.path).open("rb") as file:
                yield ELFFile(file)
        except OSError as error:
            raise VtdpiError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ELFError as error:
            raise VtdpiError(f"{self.path}: not a usable ELF image ({error}); give the xen-syms of this Xen") from None
