"""A large console log of which little is Xen's: to `irqs`, beside `grep -c '(XEN)'`, as installed: with its bytecode.

Aim: at most 3 x the time of grep plus 0.3 s, and 100 MB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

MIB = 60
SHARE = 100
"""One line in so many is Xen's."""


@pytest.fixture
def log(tmp_path: Path, data: Path) -> Path:
    """The log: a real Xen's answers to its debug keys, among a kernel's lines."""
    answers = (data / "live" / "xen-4.20.3_qemu-7.2_dom0" / "debug-keys.txt").read_text().splitlines()
    xen = [line for line in answers if line.startswith("(XEN)")]
    other = "".join(
        f"[{n:12.6f}] usb 1-1: new high-speed USB device number {n} using xhci_hcd\n" for n in range(SHARE - 1)
    )
    path = tmp_path / "console.log"
    size = line = 0
    with path.open("w") as file:
        while size < MIB << 20:
            size += file.write(other) + file.write(f"{xen[line % len(xen)]}\n")
            line += 1
    return path


PEAK = """
import re, sys
from inspector.frontends.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
# Not ru_maxrss: that begins with the peak of the process that started this one.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024, file=sys.stderr)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which Python keeps bytecode, as it does for a user."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}


def best(command: Sequence[str], environment: dict[str, str], times: int = 6) -> tuple[float, float]:
    """The shortest wall time and CPU time of a command, in seconds."""
    found = []
    for _ in range(times):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        # grep into /dev/null would stop at the first line.
        subprocess.run(command, check=False, capture_output=True, env=environment)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def test_irqs_of_a_large_log(log: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dump", str(log), "irqs"]
    ours = best([sys.executable, "-m", "inspector.frontends.entry", *words], environment)
    nothing = best([sys.executable, "-c", "import numpy"], environment)
    grep = best(["grep", "-c", "(XEN)", str(log)], environment)
    peak = subprocess.run([sys.executable, "-c", PEAK, *words], check=True, capture_output=True, text=True)
    memory = float(peak.stderr.splitlines()[-1])
    aim = 3 * grep[0] + 0.3
    with capsys.disabled():
        print(
            f"\n{log.stat().st_size >> 20} MiB: grep {grep[0]:.3f} s wall, {grep[1]:.3f} s of CPU,"
            f" irqs {ours[0]:.3f} s wall, {ours[1]:.3f} s of CPU"
            f" (aim {aim:.3f} s), {memory:.0f} MB (aim 100); Python and NumPy alone {nothing[1]:.3f} s of CPU"
        )
