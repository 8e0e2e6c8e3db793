"""The memory of a running Bochs, read from outside without stopping it."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from inspector.base.errors import TargetError

PROGRAM = "bochs-bin"
AT_ONCE = 1024
"""Pieces in one system call (the kernel's UIO_MAXIOV)."""


class _Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


_libc = ctypes.CDLL(None, use_errno=True)
for _call in (_libc.process_vm_readv, _libc.process_vm_writev):
    _call.restype = ctypes.c_ssize_t
    _call.argtypes = (
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong),
        ctypes.c_ulong,
    )


class BochsProcess:
    """A process that runs Bochs, and where its exported symbols are.

    Raises:
        TargetError: it is gone, is no Bochs, or belongs to somebody else.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._symbols, self._base = _program(pid)

    def symbol(self, name: str) -> int:
        """The address of an exported symbol.

        Raises:
            TargetError: this build of Bochs has none of that name.
        """
        try:
            return self._base + self._symbols[name]
        except KeyError:
            raise TargetError(f"this Bochs exports no symbol {name}: another build than those known, 3.1") from None

    def read(self, pieces: Sequence[tuple[int, int]]) -> bytes:
        """Memory at these addresses, with their sizes, one after the other. Raises TargetError if it is not there."""
        data = bytearray(sum(size for _, size in pieces))
        self._transfer(_libc.process_vm_readv, data, pieces)
        return bytes(data)

    def write(self, pieces: Sequence[tuple[int, int]], data: bytes) -> None:
        """Write to these places, as `read` reads them. Raises TargetError."""
        self._transfer(_libc.process_vm_writev, bytearray(data), pieces)

    def unsigned(self, address: int, count: int = 1, size: int = 8) -> tuple[int, ...]:
        """`count` unsigned integers of 4 or 8 bytes."""
        return struct.unpack(f"<{count}{'Q' if size == 8 else 'I'}", self.read([(address, count * size)]))

    def _transfer(self, call: object, data: bytearray, pieces: Sequence[tuple[int, int]]) -> None:
        done = 0
        for start in range(0, len(pieces), AT_ONCE):
            part = pieces[start : start + AT_ONCE]
            size = sum(size for _, size in part)
            if not size:
                continue
            here = _Piece(ctypes.addressof((ctypes.c_char * size).from_buffer(data, done)), size)
            there = (_Piece * len(part))(*(_Piece(*piece) for piece in part))
            moved = call(self.pid, ctypes.byref(here), 1, there, len(part), 0)  # type: ignore[operator]
            if moved != size:
                why = os.strerror(ctypes.get_errno()) if moved < 0 else f"{moved} of {size} bytes"
                raise TargetError(f"the memory of Bochs (process {self.pid}) cannot be read: {why}")
            done += size


def _program(pid: int) -> tuple[dict[str, int], int]:
    """The exported symbols of the program, and where it is loaded."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    path, base = _loaded(pid)
    try:
        # By the process, for the file may have been replaced since.
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".dynsym")
            symbols: Iterable[tuple[str, int]] = (
                ((symbol.name, symbol["st_value"]) for symbol in table.iter_symbols() if symbol["st_value"])
                if table
                else ()
            )
            return dict(symbols), base if elf["e_type"] == "ET_DYN" else 0
    except (OSError, ELFError, AttributeError) as error:
        raise TargetError(f"{path} cannot be read as the program of process {pid}: {error}") from error


def _loaded(pid: int) -> tuple[str, int]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError as error:
        raise TargetError(f"no process {pid} to read: {error.strerror}") from error
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].endswith(f"/{PROGRAM}") and int(fields[2], 16) == 0:
            return fields[5], int(fields[0].partition("-")[0], 16)
    raise TargetError(f"process {pid} is no Bochs: it has loaded no {PROGRAM}")
