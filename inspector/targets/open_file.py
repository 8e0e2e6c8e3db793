"""A file to the target that reads it, told by what is in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.base import progress
from inspector.base.errors import TargetError, UsageError, VtdpiError
from inspector.targets.dump.file import File, is_flattened
from inspector.targets.options import STDIN
from inspector.targets.target import Target

if TYPE_CHECKING:
    from inspector.targets.recorded.console.log import ConsoleLog


def _elf(path: str) -> Target:
    from inspector.targets.dump.elf_core import ElfCore

    return ElfCore(path)


def _kdump(path: str) -> Target:
    from inspector.targets.dump.kdump import Kdump

    return Kdump(path)


def _lime(path: str) -> Target:
    from inspector.targets.dump.lime import Lime

    return Lime(path)


_ELF = b"\x7fELF"
_SEGMENTS = slice(56, 58)
"""Where in an ELF header their number stands."""

_KINDS: tuple[tuple[bytes, Callable[[str], Target]], ...] = ((_ELF, _elf), (b"KDUMP   ", _kdump), (b"EMiL", _lime))
"""What a dump of each format begins with, and its target."""

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
    **dict.fromkeys(
        (b"\xd0\xbe\xd2\xbe", b"\xd1\xba\xd1\xba", b"\xd2\xbe\xd2\xbe", b"\xd3\xbe\xd3\xbe"),
        "is VMware's saved state (.vmss, .vmsn): open the .vmem beside it, or make a core of it (vmss2core)",
    ),
    b"DISKDUMP": "is a dump of the old diskdump format; expected kdump, ELF or a raw image",
}
_HEAD = 4096
STDIN_NAME = "standard input"


def open_file(
    path: str | os.PathLike[str], boot: int | None = None, hole: str | None = None, more: Sequence[str] = ()
) -> Target:
    """The target for a dump: an ELF core, a kdump, a saved snapshot, a log of Xen's console, or else a raw image of
    memory from address 0. A log may be compressed or in a tar archive, and `boot` is which one of several in it; `hole`
    is how much of a raw image lies below 4 GiB (`2G`); `more` are the other parts of a split kdump. `-` is standard
    input.

    Raises:
        TargetError: it is none of these, or too damaged; the message says what it is.
        UsageError: a log has no such boot, or it is no log; it is no raw image, or `hole` no size.
    """
    if more:
        return _split(path, more)
    if hole is not None:
        return _with_hole(path, hole)
    if os.fspath(path) == STDIN:
        return _standard_input(boot)
    target = _open(path, boot)
    if boot is not None and not _is_log(target):
        target.close()
        raise UsageError(f"--boot is for a console log, and {os.fspath(path)} is none")
    return target


def _split(path: str | os.PathLike[str], others: Sequence[str]) -> Target:
    from inspector.targets.dump.kdump import Kdump

    with _open(path, None) as target:
        if not isinstance(target, Kdump):
            raise UsageError(f"several files are the parts of a split kdump, and {target.description} is none")
    return Kdump(path, others)


def _with_hole(path: str | os.PathLike[str], hole: str) -> Target:
    from inspector.targets.dump.raw_image import RawImage, read_size

    below_4g = read_size(hole)
    with _open(path, None) as target:
        if not isinstance(target, RawImage):
            raise UsageError(f"--hole is for a raw image, and {target.description} is none")
    return RawImage(path, below_4g=below_4g)


def _standard_input(boot: int | None) -> Target:
    """A copy of it, for dumps are not read from front to back."""
    import shutil
    import tempfile

    from inspector.targets.recorded.recorded import RecordedTarget

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
    with closing(File(path)) as file:
        head = file.read(0, _HEAD)
        if is_flattened(file):
            return _flattened(file)
        if head.startswith(_ELF) and not any(head[_SEGMENTS]):
            from inspector.targets.dump.domain_core import DomainCore, is_domain_core

            if is_domain_core(file):
                return DomainCore(file.path)
        return _dump(file.path, head) or _other(file, head, boot)


def _dump(path: str, head: bytes) -> Target | None:
    """The dump of which the first bytes tell what it is; None if they are no dump's."""
    return next((target(path) for magic, target in _KINDS if head.startswith(magic)), None)


def _flattened(file: File) -> Target:
    from inspector.targets.dump.flattened import head_of

    head = head_of(file, _HEAD)
    target = _dump(file.path, head)
    if target is None:
        raise TargetError(
            f"{file.path} is flattened by makedumpfile, but what it stands for begins with {head[:8]!r};"
            " expected an ELF core or a kdump"
        )
    return target


def _other(file: File, head: bytes, boot: int | None) -> Target:
    """A log, a saved snapshot, a raw image, or what is none of ours."""
    from inspector.targets.recorded.console import source

    for magic, advice in _NOT_READ.items():
        if head.startswith(magic):
            raise TargetError(f"{file.path} {advice}")
    for magic, advice in _PACKED.items():
        if head.startswith(magic):
            return _packed(file.path, advice, boot)
    if head.lstrip().startswith(b"{"):
        from inspector.targets.recorded.saved import saved

        return saved(file.path)
    sample = file.read(0, source.HEAD)
    if source.is_tar(sample) or source.is_zip(sample):
        return _text(file.path, boot, "an archive")
    if source.is_text(sample):
        return _text(file.path, boot, "a text file")
    from inspector.targets.dump.raw_image import RawImage

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


def _text(path: str, boot: int | None, kind: str) -> ConsoleLog:
    from inspector.targets.recorded.console.log import NoLog, console_log

    try:
        return console_log(path, boot, tell=progress.reading(path))
    except NoLog as error:
        raise TargetError(
            f"{path} is {kind}; expected a memory dump (ELF core, kdump or raw image), a saved snapshot,"
            f" or a log of Xen's console: {error}"
        ) from None
