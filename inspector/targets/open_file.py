"""A file to the target that reads it, told by what is in it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base import progress
from inspector.base.errors import TargetError, UsageError, VtdpiError
from inspector.targets.dump.domain_core import DomainCore, is_domain_core
from inspector.targets.dump.elf_core import MAGIC as ELF_MAGIC
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.file import File
from inspector.targets.dump.file_target import FileTarget
from inspector.targets.dump.flattened import head_of, is_flattened
from inspector.targets.dump.kdump import Kdump
from inspector.targets.dump.kdump_part import MAGIC as KDUMP_MAGIC
from inspector.targets.dump.lime import MAGIC as LIME_MAGIC
from inspector.targets.dump.lime import Lime
from inspector.targets.dump.raw_image import RawImage, read_size
from inspector.targets.recorded.console import source
from inspector.targets.recorded.recorded import RecordedTarget
from inspector.targets.recorded.saved import saved
from inspector.targets.target import Target

if TYPE_CHECKING:
    from inspector.targets.recorded.console.log import ConsoleLog

_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[str], FileTarget]], ...] = (
    (lambda head: head.startswith(ELF_MAGIC), ElfCore),
    (lambda head: head.startswith(KDUMP_MAGIC), Kdump),
    (lambda head: head.startswith(LIME_MAGIC), Lime),
)
_PACKED = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first (gunzip)",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first (zstd -d)",
    b"\xfd7zXZ\x00": "is compressed with xz: unpack it first (xz -d)",
    b"BZh": "is compressed with bzip2: unpack it first (bunzip2)",
}
"""What only a console log is read through, and what to do with a dump."""

_NOT_READ = {
    b"QEVM": "is a QEMU migration stream: restore it (-incoming) and use dump-guest-memory",
    b"PAGEDU": "is a Windows crash dump (win-dmp): dump again as ELF or kdump-zlib",
    b"QFI\xfb": "is a qcow2 disk image, not memory",
    b"DISKDUMP": "is a dump of the old diskdump format; expected kdump, ELF or a raw image",
}
_HEAD = 4096
STDIN = "-"
STDIN_NAME = "standard input"


def open_file(path: str | os.PathLike[str], boot: int | None = None, hole: str | None = None) -> Target:
    """The target for a dump: an ELF core, a kdump, a saved snapshot, a log of Xen's console, or else a raw image of
    memory from address 0. A log may be compressed or in a tar archive, and `boot` is which one of several in it; `hole`
    is how much of a raw image lies below 4 GiB (`2G`). `-` is standard input.

    Raises:
        TargetError: it is none of these, or too damaged; the message says what it is.
        UsageError: a log has no such boot, or it is no log; it is no raw image, or `hole` no size.
    """
    if hole is not None:
        return _with_hole(path, hole)
    if os.fspath(path) == STDIN:
        return _standard_input(boot)
    target = _open(path, boot)
    if boot is not None and not _is_log(target):
        target.close()
        raise UsageError(f"--boot is for a console log, and {os.fspath(path)} is none")
    return target


def _with_hole(path: str | os.PathLike[str], hole: str) -> Target:
    below_4g = read_size(hole)
    with _open(path, None) as target:
        if not isinstance(target, RawImage):
            raise UsageError(f"--hole is for a raw image, and {target.description} is none")
    return RawImage(path, below_4g=below_4g)


def _standard_input(boot: int | None) -> Target:
    """A copy of it, for dumps are not read from front to back."""
    with tempfile.NamedTemporaryFile(prefix="vtdpi-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        try:
            target = open_file(copy.name, boot)
        except VtdpiError as error:
            raise type(error)(str(error).replace(copy.name, STDIN_NAME)) from None
    target.description = target.description.replace(copy.name, STDIN_NAME)
    if isinstance(target, RecordedTarget):
        target.snapshot = replace(target.snapshot, target=target.description)
    return target


def _open(path: str | os.PathLike[str], boot: int | None) -> Target:
    file = File(path)
    try:
        flattened, head = is_flattened(file), head_of(file, _HEAD)
        sample = file.read(0, source.HEAD)
        of_domain = is_domain_core(file)
    finally:
        file.close()
    if of_domain:
        return DomainCore(file.path)
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
    for magic, advice in _PACKED.items():
        if head.startswith(magic):
            return _packed(file.path, advice, boot)
    if head.lstrip().startswith(b"{"):
        return saved(file.path)
    if source.is_tar(sample) or source.is_text(sample):
        return _text(file.path, boot)
    return RawImage(file.path)


def _is_log(target: Target) -> bool:
    from inspector.targets.recorded.console.log import ConsoleLog

    return isinstance(target, ConsoleLog)


def _packed(path: str, advice: str, boot: int | None) -> ConsoleLog:
    from inspector.targets.recorded.console.log import console_log

    try:
        return console_log(path, boot, tell=progress.reading(path))
    except TargetError as error:
        raise TargetError(f"{path} {advice}; and as a console log: {error}") from None


def _text(path: str, boot: int | None) -> ConsoleLog:
    from inspector.targets.recorded.console.log import NoLog, console_log

    try:
        return console_log(path, boot, tell=progress.reading(path))
    except NoLog as error:
        raise TargetError(
            f"{path} is a text file; expected a memory dump (ELF core, kdump or raw image), a saved snapshot,"
            f" or a log of Xen's console: {error}"
        ) from None
