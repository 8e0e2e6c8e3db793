"""The RAM of a QEMU of 3 GiB as a file: firmware says where the PCI hole is, and Xen's table lies behind it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from inspector.capture.inspection import Inspection
from inspector.lab.boot import UP_ALONE
from inspector.lab.xen import Build
from inspector.targets.open_file import open_file

pytestmark = pytest.mark.live

QEMU = "qemu-system-x86_64"


def test_a_memory_backend_file(
    tmp_path: Path, debian_xen: Callable[[str], Build], unavailable: Callable[[object], NoReturn]
) -> None:
    if not shutil.which(QEMU):
        unavailable(f"{QEMU} is missing")
    build = debian_xen("4.20")
    (tmp_path / "no-kernel").write_bytes(bytes(4096))
    console = tmp_path / "console"
    words = [
        *(QEMU, "-machine", "q35,kernel-irqchip=split,memory-backend=ram", "-accel", "tcg", "-cpu", "qemu64"),
        *("-m", "3G", "-object", f"memory-backend-file,id=ram,size=3G,mem-path={tmp_path / 'ram'},share=on"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-device", "intel-iommu,intremap=on"),
        *("-serial", f"file:{console}", "-kernel", str(build.image), "-initrd", str(tmp_path / "no-kernel")),
        *("-append", "console=com1 com1=115200,8n1 loglvl=all iommu=verbose,debug noreboot"),
    ]
    qemu = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (console.exists() and UP_ALONE.search(console.read_bytes())):
            assert qemu.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        qemu.kill()
        qemu.wait()
    with open_file(tmp_path / "ram") as target:
        assert "from 0x80000000 on it is memory at 4 GiB" in target.description
        (unit,) = Inspection(target, symbols=str(build.symbols)).snapshot.units
        assert unit.base is not None
        assert unit.base >= 4 << 30
        assert len(unit.indices) == 24
    with open_file(tmp_path / "ram", hole="0") as target:
        (unit,) = Inspection(target, symbols=str(build.symbols)).snapshot.units
        assert unit.indices == ()
