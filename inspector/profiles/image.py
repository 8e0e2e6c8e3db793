"""Xen's image, in memory or in a file: what it says of itself, whatever build it is and however it was started.

Sources: xen/arch/x86/xen.lds.S (what lies where), xen/common/version.c (build-id, version, compiler).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.profiles.symbol_table import SymbolTable

START, END = 2 << 20, 16 << 20
"""Where in its 1 GiB the image starts (XEN_IMG_OFFSET), and where it has surely ended."""

# struct { u32 namesz = 4, descsz, type = NT_GNU_BUILD_ID; char name[4] = "GNU"; u8 desc[]; }
NOTE = re.compile(rb"\x04\0\0\0([\x08-\x40])\0\0\0\x03\0\0\0GNU\0", re.DOTALL)
# The end of an IMAGE_DEBUG_DIRECTORY of type CodeView: its size, its address and place in the file; then the record.
CODEVIEW = re.compile(rb"\x02\0\0\0.{4}(.{4}).{4}RSDS(.{16}).{4}", re.DOTALL)
DIRECTORY_SIZE, RECORD_AT = 28, 16
CODE_ENDS = (b"\xc3", b"\xe9", b"\xcc")
"""What follows the one instruction of a function that returns a constant: ret, or a jump to a return thunk."""
ENDBR64 = b"\xf3\x0f\x1e\xfa"
VENDOR_VERSION = re.compile(rb"\0(4\.\d+[.-][\w.+~-]{1,80})\0")
STRING_LIMIT = 256


@frozen
class Image:
    """The mapped parts of an image.

    Attributes:
        base: XEN_VIRT_START.
        parts: virtual address and bytes of each stretch, ascending.
        addresses: of its symbols, where they are known from elsewhere than its own table.
    """

    base: int
    parts: tuple[tuple[int, bytes], ...]
    addresses: Mapping[str, int] | None = None

    @cached_property
    def build_id(self) -> str | None:
        """In hex: of the GNU note, or the GUID of the CodeView record that an EFI image has in its place."""
        return self._identity[1] if self._identity else None

    @cached_property
    def note_address(self) -> int | None:
        """Where the build-id's note, or debug directory, starts: `__note_gnu_build_id_start`."""
        return self._identity[0] if self._identity else None

    @cached_property
    def is_efi(self) -> bool:
        """Whether its identity is a CodeView record, so that it is a xen.efi; an older one may have a note."""
        return self._identity is not None and self._identity[2]

    @cached_property
    def symbols(self) -> SymbolTable | None:
        """Its own symbols; None if the table is not in memory."""
        from inspector.profiles import symbol_table

        return next(filter(None, (symbol_table.find(raw, self.base) for _, raw in self.parts)), None)

    @cached_property
    def version(self) -> str | None:
        """A vendor's version string (`4.20.4+63-g7abfd2bce2-0+deb13u1`), or else what the code returns (`4.22.0`)."""
        if found := next(filter(None, (VENDOR_VERSION.search(raw) for _, raw in self.parts)), None):
            return found[1].decode()
        major, minor = self._number("xen_major_version"), self._number("xen_minor_version")
        if major is None or minor is None:
            return None
        return f"{major}.{minor}{self._text('xen_extra_version') or ''}"

    @cached_property
    def origin(self) -> dict[str, str]:
        """`changeset`, `compiler` and `built`, as far as its code tells."""
        day, time = self._text("xen_compile_date") or "", self._text("xen_compile_time") or ""
        date = day if time in day else f"{day} {time}"
        told = {"changeset": self._text("xen_changeset"), "compiler": self._text("xen_compiler"), "built": date}
        return {key: value for key, value in told.items() if value}

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of the image; None if they are not in it."""
        for start, raw in self.parts:
            if start <= address and address + size <= start + len(raw):
                return raw[address - start : address - start + size]
        return None

    @cached_property
    def _identity(self) -> tuple[int, str, bool] | None:
        for start, raw in self.parts:
            for match in CODEVIEW.finditer(raw):
                directory = start + match.start() - (DIRECTORY_SIZE - RECORD_AT)
                if self.base + int.from_bytes(match[1], "little") == directory + DIRECTORY_SIZE:
                    return directory, match[2].hex(), True
        for start, raw in self.parts:
            for match in NOTE.finditer(raw):
                size = match[1][0]
                if match.end() + size <= len(raw):
                    return start + match.start(), raw[match.end() : match.end() + size].hex(), False
        return None

    def _constant(self, name: str, opcode: bytes, size: int) -> tuple[int, bytes] | None:
        """The end of the one instruction, of this opcode, of a function that returns a constant; and its operand."""
        known = self.symbols.addresses if self.addresses is None and self.symbols else self.addresses or {}
        address = known.get(name)
        code = self.read(address, 24) if address is not None else None
        if address is None or code is None:
            return None
        skipped = len(ENDBR64) if code.startswith(ENDBR64) else 0
        end = skipped + len(opcode) + size
        if not code[skipped:].startswith(opcode) or not code[end:].startswith(CODE_ENDS):
            return None
        return address + end, code[end - size : end]

    def _number(self, name: str) -> int | None:
        found = self._constant(name, b"\xb8", 4)  # mov $imm32, %eax
        return int.from_bytes(found[1], "little") if found else None

    def _text(self, name: str) -> str | None:
        found = self._constant(name, b"\x48\x8d\x05", 4)  # lea rel32(%rip), %rax
        if not found:
            return None
        address = found[0] + int.from_bytes(found[1], "little", signed=True)
        raw = next(
            (raw[address - start :][:STRING_LIMIT] for start, raw in self.parts if 0 <= address - start < len(raw)), b""
        )
        text, ended, _ = raw.partition(b"\0")
        return text.decode("ascii", "replace") if ended and text.isascii() else None
