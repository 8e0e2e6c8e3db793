"""Short commands, which are little but their start: CPU time beside commit 9e7fa84 and beside the import of
the libraries alone, in one run, in turn; printed, never asserted.

Aims: 1.05 x that commit; `sim vcpus` 0.35 s, `vcpus` of a core 0.4 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.bench.conftest import BEFORE, ROOT

ROUNDS = 3
CORE = "CORE"
COMMANDS = (
    "--help",
    "dump CORE irt",
    "dump CORE vcpus",
    "dump CORE audit",
    "dump CORE info --json",
    "sim vcpus",
    "sim vcpus --json",
    "explore h-a",
)


def cost(words: Sequence[str], tree: Path, bytecode: Path) -> float:
    """User and system time of a Python process, in seconds. As installed: with its bytecode."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(bytecode)}
    process = subprocess.Popen(
        [sys.executable, *words], cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # That core has no VT-d unit: `irt` says so, and 9e7fa84 did as well.
    assert process.returncode in (0, 1, 3), words
    return used.ru_utime + used.ru_stime


def test_what_a_start_costs(
    before: Path | None,
    unpacked: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    core = str(unpacked("golden/xen-4.20.3-lost-wakeup.core"))
    for command in COMMANDS:
        words = [core if word == CORE else word for word in command.split()]
        ways = {
            "now": (["-m", "inspector.frontends.entry", *words], ROOT),
            "imports": (["-c", "import numpy, construct, rich"], ROOT),
        }
        if before:
            ways[BEFORE] = (["-m", "inspector.cli", *words], before)
        # Once for the bytecode.
        best = dict.fromkeys(ways, float("inf"))
        for round in range(ROUNDS + 1):
            for name, (line, tree) in ways.items():
                took = cost(line, tree, tmp_path / name)
                best[name] = min(best[name], took) if round else best[name]
        now = best["now"]
        with capsys.disabled():
            ratio = f", {now / best[BEFORE]:.2f} x {BEFORE}" if before else ""
            print(f"\n{command}: {now:.3f} s{ratio}, {now / best['imports']:.1f} x the imports", end="")
