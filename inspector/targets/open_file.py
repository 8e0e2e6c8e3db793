"""A file to the target that reads it, told by what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable

from inspector.base.errors import TargetError
from inspector.targets.dump.elf_core import MAGIC as ELF_MAGIC
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.file import File
from inspector.targets.dump.file_target import FileTarget
from inspector.targets.dump.flattened import head_of, is_flattened
from inspector.targets.dump.kdump import Kdump
from inspector.targets.dump.kdump_part import MAGIC as KDUMP_MAGIC
from inspector.targets.dump.raw_image import RawImage
from inspector.targets.recorded.console_log import MARK, SIZE_LIMIT, console_log
from inspector.targets.recorded.saved import saved
from inspector.targets.target import Target

_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[str], FileTarget]], ...] = (
    (lambda head: head.startswith(ELF_MAGIC), ElfCore),
    (lambda head: head.startswith(KDUMP_MAGIC), Kdump),
)
_NOT_READ = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first (gunzip)",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first (zstd -d)",
    b"\xfd7zXZ\x00": "is compressed with xz: unpack it first (xz -d)",
    b"QEVM": "is a QEMU migration stream: restore it (-incoming) and use dump-guest-memory",
    b"PAGEDU": "is a Windows crash dump (win-dmp): dump again as ELF or kdump-zlib",
    b"QFI\xfb": "is a qcow2 disk image, not memory",
    b"DISKDUMP": "is a dump of the old diskdump format; expected kdump, ELF or a raw image",
}
_HEAD = 4096
_TEXT = frozenset((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\r\f\x1b"))


def open_file(path: str | os.PathLike[str]) -> Target:
    """The target for a dump: an ELF core, a kdump, a saved snapshot, a log of Xen's console, or else a raw image of
    memory from address 0.

    Raises:
        TargetError: it is none of these, or too damaged; the message says what it is.
    """
    file = File(path)
    try:
        flattened, head = is_flattened(file), head_of(file, _HEAD)
        text = _TEXT.issuperset(head)
        log = MARK in head or (text and MARK in file.read(0, SIZE_LIMIT))
    finally:
        file.close()
    for recognises, target in _KINDS:
        if recognises(head):
            return target(file.path)
    if flattened:
        raise TargetError(
            f"{file.path} is flattened by makedumpfile, but what it stands for begins with {head[:8]!r};"
            " expected an ELF core or a kdump"
        )
    for magic, advice in _NOT_READ.items():
        if head.startswith(magic):
            raise TargetError(f"{file.path} {advice}")
    if head.lstrip().startswith(b"{"):
        return saved(file.path)
    if log:
        return console_log(file.path)
    if text:
        raise TargetError(
            f"{file.path} is a text file; expected a memory dump (ELF core, kdump or raw image), a saved snapshot,"
            f" or a log with lines of Xen's, {MARK.decode()}"
        )
    return RawImage(file.path)
