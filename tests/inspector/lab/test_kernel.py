"""A kernel out of a bzImage, and modules in an order that loads."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from inspector.lab import LabError, kernel, silent
from inspector.lab.kernel import in_loading_order, vmlinux

KERNEL = b"\x7fELF" + bytes(range(256)) * 40


def image(payload: bytes, setup_sectors: int = 3, protocol: int = 0x20F) -> bytearray:
    """A bzImage as the boot protocol describes it: set-up sectors, then the protected-mode part with the payload."""
    head = bytearray((setup_sectors + 1) * 512)
    head[0x1F1] = setup_sectors
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, protocol)
    struct.pack_into("<II", head, 0x248, 100, len(payload))
    return head + bytes(100) + payload + b"what follows the payload"


def xz(content: bytes) -> bytes:
    """As the kernel's makefile does it: with the x86 filter and, behind it, the size."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 1}]
    packed = lzma.compress(content, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
    return packed + struct.pack("<I", len(content))


def zst(content: bytes) -> bytes:
    """As the kernel's makefile does it since 5.9: with the size behind it."""
    return zstd.compress(content) + struct.pack("<I", len(content))


@pytest.mark.parametrize("pack", [xz, gzip.compress, zst])
def test_the_kernel_is_found_and_unpacked(pack: Callable[[bytes], bytes]) -> None:
    assert vmlinux(bytes(image(pack(KERNEL)))) == KERNEL


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "no bzImage"),
        (bytes(4096), "no bzImage"),
        (bytes(image(xz(KERNEL), protocol=0x207)), "2.08"),
        (bytes(image(b"\x02!L\x18" + bytes(99))), "unknown way"),
        (bytes(image(b"\x28\xb5\x2f\xfd" + b"\xff" * 99)), "cannot be decompressed"),
        (bytes(image(zst(KERNEL))[:2200]), "ends early"),
        (bytes(image(xz(KERNEL))[:2250]), "ends early"),
        (bytes(image(xz(b"not a kernel"))), "no ELF"),
        (bytes(image(b"\xfd7zXZ\0" + bytes(99))), "cannot be decompressed"),
        (bytes(image(gzip.compress(KERNEL, mtime=0)[:200])), "cannot be decompressed"),
    ],
)
def test_what_is_no_kernel_is_said(bad: bytes, said: str) -> None:
    with pytest.raises(LabError, match=said):
        vmlinux(bad)


def write_modules(place: Path, needs: dict[str, list[str]]) -> list[Path]:
    """Files that say what they depend on, as .modinfo sections do."""
    paths = []
    for name, needed in needs.items():
        path = place / f"{name.replace('_', '-')}.ko"
        path.write_bytes(b"\x7fELF\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0retpoline=Y\0")
        paths.append(path)
    return paths


@given(data=st.data())
def test_each_module_comes_after_what_it_needs(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    names = [f"mod_{number}" for number in range(8)]
    needs = {
        name: data.draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        for number, name in enumerate(names)
    }
    wanted = data.draw(st.lists(st.sampled_from(names), unique=True))
    order = in_loading_order(wanted, write_modules(tmp_path_factory.mktemp("modules"), needs))
    loaded: list[str] = []
    for path in order:
        name = path.stem.replace("-", "_")
        assert set(needs[name]) <= set(loaded)
        loaded.append(name)
    assert len(set(loaded)) == len(loaded)
    assert set(wanted) <= set(loaded)


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    files = write_modules(tmp_path, {"virtio_blk": ["virtio_ring"]})
    with pytest.raises(LabError, match="no module virtio_ring"):
        in_loading_order(["virtio_blk"], files)


def test_only_the_linuxes_that_a_debian_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(kernel, "tree", lambda name, release, *rest: asked.append((name, release)))
    kernel.linux("6.1", silent)
    kernel.linux("6.12", silent)
    assert asked == [("linux-6.1", "bookworm"), ("linux-6.12", "trixie")]
    kernel.kvm("6.12", silent)
    assert asked[2:] == [("kvm-6.12", "trixie")]
    for packages in (kernel.linux, kernel.kvm):
        with pytest.raises(LabError, match=r"no Linux 7: the lab knows 6\.1 and 6\.12"):
            packages("7", silent)


def test_a_package_with_packed_modules_and_one_that_is_built_in(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6").write_bytes(bytes(image(xz(KERNEL))))
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/busybox").write_bytes(b"busybox")
    folder = tmp_path / "usr/lib/modules/6/kernel/drivers"
    folder.mkdir(parents=True)
    for path in write_modules(folder, {"virtio_blk": [], "e1000e": ["ptp"], "ptp": []}):
        path.with_name(path.name + ".xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()
    (folder.parents[1] / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    kernel._finish(tmp_path, ("e1000e", "virtio_pci", "virtio_blk"), with_image=True)
    names = sorted(path.name for path in (tmp_path / "modules").iterdir())
    assert names == ["00-ptp.ko", "01-e1000e.ko", "02-virtio-blk.ko"]
    assert (tmp_path / "vmlinux").read_bytes() == KERNEL
    assert (tmp_path / "vmlinuz").is_file()


def test_a_kernel_that_is_only_started_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6").write_bytes(bytes(image(b"packed in a new way")))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(b"busybox")
    kernel._finish(tmp_path, (), with_image=True, with_vmlinux=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busybox", "modules", "vmlinuz"]


def test_a_packed_module_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.ko.xz").write_bytes(b"no xz")
    with pytest.raises(LabError, match=r"a.ko.xz cannot be decompressed"):
        kernel._unpacked(tmp_path / "a.ko.xz")
