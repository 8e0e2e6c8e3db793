"""Debian's Linux: as a dom0 kernel, the kernel proper out of its bzImage, or as the host itself; and the modules for
the lab's devices."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from backports import zstd

from inspector.lab import LabError, Say
from inspector.lab.packages import Apt, tree

RELEASE = "bookworm"
LINUX = {"6.1": "bookworm", "6.12": "trixie"}
"""The Linux of each Debian release that can be a lab's host."""
VMCOREINFO = "qemu_fw_cfg"
"""The driver that tells QEMU where vmcoreinfo is, so that a dump has it as a note."""
MODULES = ("e1000e", "virtio_pci", "virtio_blk")
"""Drivers of the devices that have MSI-X."""
KVM_AMD = ("kvm_amd",)
"""KVM on a processor that QEMU emulates: it has SVM, and no VMX."""
KVM = ("kvm_intel",)
"""What posts interrupts to guests, as a module; what it depends on comes with it."""


def kernel(say: Say, more: Sequence[str] = ()) -> Path:
    """A directory with `vmlinux`, `busybox`, and the modules to load as `modules/NUMBER-NAME.ko`, in loading order.

    Args:
        more: modules besides MODULES; with any, the kernel's bzImage is there as well, as `vmlinuz`.

    Raises:
        LabError: it cannot be downloaded, or the packages are not as expected.
    """
    modules = (*MODULES, *more)

    def finish(root: Path) -> None:
        _finish(root, modules, bool(more))

    return tree(f"dom0-linux-{'-'.join(modules)}", RELEASE, [_newest, "busybox-static"], say, finish)


def linux(version: str, say: Say, more: Sequence[str] = ()) -> Path:
    """A directory as `kernel`'s, of the Linux (a key of LINUX) that is to be the host: `vmlinuz`, its bzImage, in place
    of `vmlinux`.

    Args:
        more: modules besides those for the lab's devices.

    Raises:
        LabError: there is none of that version, it cannot be downloaded, or the packages are not as expected.
    """

    def finish(root: Path) -> None:
        _finish(root, (*MODULES, VMCOREINFO, *more), with_image=True, with_vmlinux=False)

    return tree("-".join(("linux", version, *more)), _release(version), [_newest, "busybox-static"], say, finish)


def kvm(version: str, say: Say) -> Path:
    """A directory as `kernel`'s, of that Linux (a key of LINUX), with KVM's modules.

    Raises:
        LabError: there is none of that version, it cannot be downloaded, or the packages are not as expected.
    """

    def finish(root: Path) -> None:
        _finish(root, KVM, with_image=False)

    return tree(f"kvm-{version}", _release(version), [_newest, "busybox-static"], say, finish)


def _release(version: str) -> str:
    if version not in LINUX:
        raise LabError(f"no Linux {version}: the lab knows {' and '.join(LINUX)}")
    return LINUX[version]


def _newest(apt: Apt) -> str:
    """The package that Debian's linux-image-amd64 stands for: the one that holds the kernel."""
    found = [name for name in apt.depends("linux-image-amd64") if name.startswith("linux-image-")]
    if not found:
        raise LabError("linux-image-amd64 of Debian names no kernel package")
    return found[0]


def _finish(root: Path, modules: Sequence[str], with_image: bool, with_vmlinux: bool = True) -> None:
    images = list(root.glob("boot/vmlinuz-*"))
    busybox = next((path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.is_file()), None)
    if len(images) != 1 or not busybox:
        raise LabError("Debian's kernel and busybox packages do not hold one boot/vmlinuz-* and a bin/busybox")
    if with_vmlinux:
        (root / "vmlinux").write_bytes(vmlinux(images[0].read_bytes()))
    builtin = _builtin(root)
    if with_image:
        images[0].rename(root / "vmlinuz")
    busybox.rename(root / "busybox")
    (root / "modules").mkdir()
    wanted = [module for module in modules if _name(module) not in builtin]
    files = [_unpacked(path) for path in sorted(root.glob("**/kernel/**/*.ko*")) if path.suffix in (".ko", ".xz")]
    for number, path in enumerate(in_loading_order(wanted, files)):
        path.rename(root / "modules" / f"{number:02}-{path.name}")
    for rest in ("boot", "bin", "lib", "usr"):
        shutil.rmtree(root / rest, ignore_errors=True)


def _builtin(root: Path) -> set[str]:
    """The names of what other kernels have as modules and this one in itself."""
    lists = root.glob("**/modules.builtin")
    return {_name(Path(line).stem) for path in lists for line in path.read_text().splitlines()}


def _unpacked(path: Path) -> Path:
    """A module's file, unpacked in place if it is compressed. Raises LabError."""
    if path.suffix != ".xz":
        return path
    plain = path.with_suffix("")
    try:
        plain.write_bytes(lzma.decompress(path.read_bytes()))
    except lzma.LZMAError as error:
        raise LabError(f"{path.name} cannot be decompressed: {error}") from error
    return plain


def vmlinux(image: bytes) -> bytes:
    """The ELF kernel within a bzImage (Linux/x86 boot protocol 2.08, payload_offset and payload_length).

    Unpacked here, since Xen would take seconds for it under an emulated CPU.

    Raises:
        LabError: it is no bzImage, or compressed in a way that is not known here.
    """
    if image[0x202:0x206] != b"HdrS" or int.from_bytes(image[0x206:0x208], "little") < 0x208:
        raise LabError("the kernel is no bzImage of boot protocol 2.08 or newer")
    start = ((image[0x1F1] or 4) + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    payload = image[start : start + int.from_bytes(image[0x24C:0x250], "little")]
    try:
        if payload.startswith(b"\xfd7zXZ\0"):
            unpacked = _whole(lzma.LZMADecompressor(lzma.FORMAT_XZ), payload)
        elif payload.startswith(b"\x1f\x8b"):
            unpacked = gzip.decompress(payload)
        elif payload.startswith(b"\x28\xb5\x2f\xfd"):
            unpacked = _whole(zstd.ZstdDecompressor(), payload)
        else:
            raise LabError(f"the kernel is compressed in an unknown way: it starts with {payload[:4].hex()}")
    except (lzma.LZMAError, OSError, EOFError, zstd.ZstdError) as error:
        raise LabError(f"the kernel cannot be decompressed: {error}") from error
    if not unpacked.startswith(b"\x7fELF"):
        raise LabError("what the bzImage holds is no ELF file")
    return unpacked


def _whole(decompressor: lzma.LZMADecompressor | zstd.ZstdDecompressor, payload: bytes) -> bytes:
    """What was packed, whatever follows it."""
    unpacked = decompressor.decompress(payload)
    if not decompressor.eof:
        raise EOFError("it ends early")
    return unpacked


def in_loading_order(wanted: Iterable[str], files: Iterable[Path]) -> list[Path]:
    """The files of the wanted modules and of all that they depend on, each after what it needs.

    Raises:
        LabError: a module is not there.
    """
    by_name = {_name(path.stem): path for path in files}
    order: dict[str, Path] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        if name not in by_name:
            raise LabError(f"Debian's kernel package has no module {name}")
        for needed in _depends(by_name[name]):
            visit(needed)
        order[name] = by_name[name]

    for name in wanted:
        visit(_name(name))
    return list(order.values())


def _depends(module: Path) -> list[str]:
    """What a module's .modinfo section says it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    return [_name(name) for name in found[1].decode().split(",") if name] if found else []


def _name(name: str) -> str:
    return name.replace("-", "_")
