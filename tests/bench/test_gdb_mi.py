"""How fast a live machine is read through gdb, next to gdb's own `dump binary memory` on the same machine.

Prints medians and ratios; only the bytes are asserted.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.lab import Missing
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.gdb_mi import GdbMi

pytestmark = pytest.mark.live

START = 0x100000
MEBIBYTE = 1 << 20
ROUNDS = 9

GDBS_OWN = """
import gdb, time
def once():
    begin = time.perf_counter()
    gdb.execute("dump binary memory {file} {start} {end}")
    return time.perf_counter() - begin
print("SECONDS", *(once() for _ in range({rounds})))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            one = Lab.up(Recipe(xen="4.17"))
        except Missing as error:
            pytest.skip(str(error))
        with one:
            yield one


def median_ms(read: Callable[[], object], target: GdbMi, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        target._cache.clear()
        begin = time.perf_counter()
        read()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def test_a_mebibyte_and_a_cache_line(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dumped"
    script = tmp_path / "script.py"
    script.write_text(GDBS_OWN.format(file=file, start=START, end=START + MEBIBYTE, rounds=ROUNDS))
    physical = "maintenance packet Qqemu.PhyMemMode:"
    commands = [
        "set architecture i386:x86-64",
        f"target remote {lab.gdb}",
        f"{physical}1",
        f"source {script}",
        f"{physical}0",
    ]
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *(word for command in commands for word in ("-ex", command))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    gdbs_own = statistics.median(map(float, line.split()[1:])) * 1e3

    begin = time.perf_counter()
    with GdbMi(lab.gdb) as target:
        attach = (time.perf_counter() - begin) * 1e3
        assert target.read(START, MEBIBYTE) == file.read_bytes()
        ours = median_ms(lambda: target.read(START, MEBIBYTE), target, ROUNDS)
        small = median_ms(lambda: target.read(START, 64), target, 200)
        many = median_ms(lambda: target.read_parts([(START + n * 4096, 64) for n in range(1000)]), target, ROUNDS)
        begin = time.perf_counter()
    close = (time.perf_counter() - begin) * 1e3
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        qmp = median_ms(lambda: target.read(START, MEBIBYTE), target, ROUNDS)
    with capsys.disabled():
        print(f"\n1 MiB: gdb's own dump {gdbs_own:.1f} ms, ours through MI {ours:.1f} ms: ratio {ours / gdbs_own:.2f}")
        print(f"1 MiB through QMP {qmp:.1f} ms; 64 bytes {small:.2f} ms; 1000 scattered reads {many:.0f} ms")
        print(f"attach {attach:.0f} ms, close {close:.0f} ms")
