"""A crash of the lab's Xen: another kernel, loaded beforehand, is started by kexec and writes what is left to a disk.

Xen sets aside memory for that kernel (`crashkernel=`); dom0 loads it with kexec-tools; the debug key `C` crashes Xen.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from inspector.lab import LabError, Say, cpio
from inspector.lab.boot import SIGN_OF_LIFE
from inspector.lab.console import last_lines
from inspector.lab.packages import tree
from inspector.targets.dump.file import File
from inspector.targets.dump.flattened import Flattened

RESERVED_MIB = 160
"""Of memory for the crash kernel; with less its initramfs does not fit."""
MODULES = ("xen_privcmd", "xenfs")
"""What kexec-tools needs to speak to Xen."""
DISK = "crash-disk"
DISK_SIZE = 4 << 30
"""Of the disk that the dump is written to: a sparse file."""
KEY = "C"

LOADED = "vtdpi lab: the crash kernel is loaded"
STARTED = b"vtdpi lab: the crash kernel runs"
WRITTEN = re.compile(rb"vtdpi lab: the dump of (\d+) bytes is written")
FAILED = re.compile(rb"vtdpi lab: (no dump: [^\r\n]*)")
LIMIT = 600.0
"""Seconds after which no dump will come, also on a slow and busy machine."""

PIECE = 1 << 20

FORMS = {
    "raw": "",
    "elf": "-X -E -d 1",
    "flattened": "-X -E -d 1",
    "zlib": "-X -c -d 1",
    "lzo": "-X -l -d 1",
    "zstd": "-X -z -d 1",
}
"""What the dump can be: /proc/vmcore as it is, or what makedumpfile makes of it with these options: Xen's own memory,
without that of domains and without pages of zeros."""

PROGRAMS = ("kexec", "makedumpfile")
LOADER = "ld-linux-x86-64.so.2"
LIBRARIES = "lib/x86_64-linux-gnu"

# intremap=off: the crashed Xen leaves VT-d on, and a kernel that finds its timer remapped panics.
LOAD = f"""\
/busybox mount -t xenfs xenfs /proc/xen
if /bin/kexec -p /crash/vmlinuz --initrd=/crash/initrd \\
    --command-line="console=ttyS0 quiet nr_cpus=1 reset_devices intremap=off panic=1"
then echo "{LOADED}"
else echo "vtdpi lab: no dump: kexec-tools cannot load the crash kernel"
fi
"""

INIT = """\
#!/busybox sh
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
/busybox mount -t tmpfs tmp /tmp
echo "{started}"
for module in /modules/*; do /busybox insmod $module; done
for disk in /sys/block/vd*; do
    [ "$(/busybox cat $disk/serial)" = "{disk}" ] && target=/dev/${{disk##*/}}
done
form=$(/busybox head -c 16 $target | /busybox tr -d '\\0')
options=$(/busybox sed -n "s/^$form://p" /forms)
if [ "$form" = raw ]
then /busybox cat /proc/vmcore || /busybox touch /tmp/failed
else /bin/makedumpfile -F $options /proc/vmcore || /busybox touch /tmp/failed
fi | /busybox dd of=$target bs=1M 2>/dev/null || /busybox touch /tmp/failed
if /busybox sync && [ ! -e /tmp/failed ]
then echo "vtdpi lab: the dump of $(/busybox stat -c %s /proc/vmcore) bytes is written"
else echo "vtdpi lab: no dump: it cannot be written as $form"
fi
/busybox poweroff -f
"""


def tools(say: Say) -> Path:
    """A directory with kexec and makedumpfile of Debian 13 in `bin`, and their libraries in `lib`.

    Raises:
        LabError: they cannot be downloaded.
    """
    return tree("crash-tools-trixie", "trixie", ["kexec-tools", "makedumpfile"], say, _finish, dependencies=True)


def entries(tools: Path, parts: Path) -> list[cpio.Entry]:
    """What a dom0's first root needs to load the crash kernel, that kernel's own first root included.

    Args:
        parts: a kernel's directory (`inspector.lab.kernel.kernel`), with its bzImage as `vmlinuz`.
    """
    programs = [
        *map(cpio.directory, ("bin", "lib", "lib64", LIBRARIES)),
        *(cpio.file(f"bin/{name}", (tools / "bin" / name).read_bytes(), 0o755) for name in PROGRAMS),
        cpio.file(f"lib64/{LOADER}", (tools / "lib" / LOADER).read_bytes(), 0o755),
        *(cpio.file(f"{LIBRARIES}/{path.name}", path.read_bytes()) for path in _files(tools / "lib")),
    ]
    drivers = [path for path in _files(parts / "modules") if "virtio" in path.name]
    root = cpio.archive(
        [
            *map(cpio.directory, ("proc", "sys", "dev", "tmp", "modules")),
            cpio.character_device("dev/console", 5, 1),
            cpio.file("init", INIT.format(started=STARTED.decode(), disk=DISK).encode(), 0o755),
            cpio.file("forms", "".join(f"{name}:{options}\n" for name, options in FORMS.items()).encode()),
            cpio.file("busybox", (parts / "busybox").read_bytes(), 0o755),
            *(cpio.file(f"modules/{path.name}", path.read_bytes()) for path in drivers),
            *programs,
        ]
    )
    return [
        cpio.directory("crash"),
        cpio.file("crash/vmlinuz", (parts / "vmlinuz").read_bytes()),
        cpio.file("crash/initrd", root),
        *programs,
    ]


def ask_for(disk: Path, form: str) -> None:
    """Leave word on the disk what the crash kernel is to write there. Raises LabError if it cannot be written."""
    if form not in FORMS:
        raise LabError(f"no form {form!r} of a dump; there are {', '.join(FORMS)}")
    try:
        with disk.open("r+b") as file:
            file.write(form.encode().ljust(512, b"\0"))
    except OSError as error:
        raise LabError(f"{disk} cannot be written: {error.strerror}") from error


def wait(console: Path, before: int, is_running: Callable[[], bool], say: Say) -> int:
    """Return the size of /proc/vmcore when the console, from offset `before` of its file on, tells that it is written.

    Raises:
        LabError: there will be no dump.
    """
    began = said = time.monotonic()
    text = b""
    with console.open("rb") as growing:
        growing.seek(before)
        while not (found := WRITTEN.search(text)):
            alive = is_running()
            text += growing.read()
            if failed := FAILED.search(text):
                raise LabError(f"{failed[1].decode(errors='replace')}; before that: {last_lines(console, 8)}")
            now = time.monotonic()
            if WRITTEN.search(text):
                continue
            if not alive or now - began > LIMIT:
                why = f"there is none after {now - began:.0f} s" if alive else "QEMU ended"
                raise LabError(f"no dump: {why}; the console's last lines: {last_lines(console)}")
            if now - said > SIGN_OF_LIFE:
                said = now
                what = "writes the dump" if STARTED in text else "is starting"
                say(f"the crash kernel {what}, {now - began:.0f} s")
            time.sleep(0.05)
    return int(found[1])


def copy(disk: Path, size: int, form: str, file: BinaryIO) -> None:
    """Copy a dump from the disk, zeros as holes; `size` is that of /proc/vmcore, as a raw dump has it.

    makedumpfile writes to the disk in its flattened form, which needs no memory there; here it becomes what it stands
    for. Raises OSError, or TargetError if it makes no sense.
    """
    with closing(File(disk)) as on_disk:
        stretches: Iterable[tuple[int, int, int]] = [(0, size, 0)]
        if form != "raw":
            flattened = Flattened(on_disk)
            size = flattened.end if form == "flattened" else flattened.size
            stretches = [(0, size, 0)] if form == "flattened" else flattened.stretches()
        for start, length, at in stretches:
            for done in range(0, length, PIECE):
                piece = on_disk.read(at + done, min(PIECE, length - done))
                if any(piece):
                    file.seek(start + done)
                    file.write(piece)
    file.truncate(size)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file())


def _finish(root: Path) -> None:
    """Keep the two programs, the loader and the libraries that they need."""
    by_name = {path.name: path for path in root.rglob("*") if path.is_file()}
    links = {path.name: path.resolve() for path in root.rglob("*.so*") if path.is_symlink() and path.exists()}
    found = {**links, **{name: path for name, path in by_name.items() if ".so" in name}}
    (root / "bin").mkdir(exist_ok=True)
    kept = root / "kept"
    (kept / "bin").mkdir(parents=True)
    (kept / "lib").mkdir()
    programs = [by_name.get(name) for name in PROGRAMS]
    if None in programs or LOADER not in found:
        raise LabError(f"Debian's packages kexec-tools and makedumpfile do not hold {', '.join(PROGRAMS)} and {LOADER}")
    for name in PROGRAMS:
        shutil.copy(by_name[name], kept / "bin" / name)
    for name in _closure([kept / "bin" / name for name in PROGRAMS], found):
        shutil.copy(found[name], kept / "lib" / name)
    for path in root.iterdir():
        if path != kept:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in kept.iterdir():
        path.rename(root / path.name)
    kept.rmdir()


def _closure(programs: Iterable[Path], found: dict[str, Path]) -> set[str]:
    """The libraries that programs need, directly or not."""
    needed: set[str] = {LOADER}
    waiting = [name for program in programs for name in _needed(program)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            if name not in found:
                raise LabError(f"Debian's packages do not hold the library {name}")
            needed.add(name)
            waiting += _needed(found[name])
    return needed


def _needed(path: Path) -> Iterator[str]:
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        try:
            for section in ELFFile(stream).iter_sections():
                if isinstance(section, DynamicSection):
                    yield from (tag.needed for tag in section.iter_tags("DT_NEEDED"))
        except ELFError as error:
            raise LabError(f"{path.name} is no library: {error}") from error
