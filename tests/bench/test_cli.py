"""Whole commands as a user types them, and profiles: seconds and peak memory, printed, never asserted."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp

ROOT = Path(__file__).parents[2]
RUNS = 5

# Reads the peak from /proc: ru_maxrss of a child begins with its parent's.
PEAK = """
import re, sys
from inspector.frontends.cli import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(status)
"""


def seconds(*words: object) -> float:
    """Median wall time of a whole process."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *map(str, words)], env=environment(), stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    nothing, ours = seconds("-c", "pass"), seconds("-m", "inspector.frontends.cli", "--help")
    with capsys.disabled():
        print(f"\nvtdpi --help: {ours * 1e3:.0f} ms (aim 150), Python {nothing * 1e3:.0f} ms: {ours / nothing:.1f} x")


@pytest.mark.live
def test_a_dump_of_512_mib(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = tmp_path / "core"
    with Lab.up(Recipe(xen="4.20", memory=512, name="bench")) as lab, Qmp(lab.qmp) as qmp:
        qmp.execute("dump-guest-memory", {"paging": False, "protocol": f"file:{core}"}, timeout=120)
    words = ["dump", str(core), "irt"]
    taken = seconds("-m", "inspector.frontends.cli", *words)
    copied = seconds("-c", f"import shutil; shutil.copyfile({str(core)!r}, '/dev/null')")
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, *words], env=environment(), capture_output=True, text=True, check=True
    )
    peak = int(ran.stderr.splitlines()[-1]) / 1024
    with capsys.disabled():
        print(
            f"\nvtdpi dump of {core.stat().st_size >> 20} MiB to a printed table: {taken:.2f} s (aim 0.5), "
            f"peak {peak:.0f} MiB (aim 150); reading the file once {copied:.2f} s: {taken / copied:.1f} x"
        )


@pytest.mark.live
def test_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from inspector.lab.xen import debian
    from inspector.profiles import dwarf
    from inspector.profiles import store as profiles

    symbols = debian("4.20", print).symbols
    assert symbols
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = median(lambda: dwarf.make(symbols))
    profile = dwarf.make(symbols)
    profiles.store(profile)

    def load() -> None:
        profiles._entry.cache_clear()
        assert profiles.by_build_id(profile.build_id)

    loaded = median(load)
    whole = seconds("-m", "inspector.frontends.cli", "profile", "make", symbols, "--output", tmp_path / "profile.json")
    with capsys.disabled():
        print(
            f"\nprofile from DWARF: {made * 1e3:.0f} ms (aim 500), {whole * 1e3:.0f} ms as a command; "
            f"from the cache {loaded * 1e3:.1f} ms (aim 10): {made / loaded:.0f} x faster"
        )


def median(run: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
