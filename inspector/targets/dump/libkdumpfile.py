"""Pages of a kdump that are packed with LZO, snappy or zstd: read by libkdumpfile, where it is installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from inspector.base.errors import TargetError
from inspector.targets.dump.file import PAGE_SIZE


class LibKdumpFile:
    """A dump opened with libkdumpfile, the Python module `kdumpfile` (Debian: python3-libkdumpfile, PyPI: pykdumpfile).

    Raises:
        TargetError: the module is not installed, or it does not know the file's format.
    """

    def __init__(self, path: str) -> None:
        try:
            kdumpfile = import_module("kdumpfile")
        except ImportError as error:
            raise TargetError(
                f"{path} is packed with LZO, snappy or zstd, and libkdumpfile, which reads that, is not installed"
                " (Debian: python3-libkdumpfile); or dump again as kdump-zlib or ELF"
            ) from error
        try:
            self._context, self._space = _open(kdumpfile, path)
        except Exception as error:  # the module's exceptions have no common base
            raise TargetError(
                f"libkdumpfile cannot open {path}: {error}; if it is flattened, unpack it first:"
                f" makedumpfile -R NEW_FILE < {path}"
            ) from error

    def page(self, number: int) -> bytes:
        """The 4096 bytes of a page. Raises ValueError: why it cannot be read."""
        try:
            return bytes(self._context.read(self._space, number * PAGE_SIZE, PAGE_SIZE))
        except Exception as error:
            raise ValueError(f"libkdumpfile: {error}") from error


def _open(kdumpfile: Any, path: str) -> tuple[Any, int]:
    """An open context and the number of its address space of machine memory."""
    if hasattr(kdumpfile, "Context"):  # pykdumpfile
        context = kdumpfile.Context()
        context.open(path)
        return context, kdumpfile.MACHPHYSADDR
    return kdumpfile.kdumpfile(path), kdumpfile.KDUMP_MACHPHYSADDR
