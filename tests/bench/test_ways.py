"""How many files a question goes through: those that execute, and pairs that call each other both ways.

Printed, never asserted. At commit 9e7fa84: an entry 39 / 2, explore h-a 117 / 18.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sim_backend.debug.elf_core import write_core
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

ROOT = Path(__file__).parents[2]

TRACER = """
import contextlib, io, json, sys
root, words = sys.argv[1], sys.argv[2:]
from inspector.frontends.cli import main

files, pairs = set(), set()

def ours(code):
    return code.co_filename.startswith(root + "/") and "/.venv/" not in code.co_filename

def importing(frame):
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False

def seen(frame, event, argument):
    if event == "call" and ours(frame.f_code) and not importing(frame):
        name, back = frame.f_code.co_filename[len(root) + 1:], frame.f_back
        files.add(name)
        if back and ours(back.f_code) and (caller := back.f_code.co_filename[len(root) + 1:]) != name:
            pairs.add((caller, name))

with contextlib.redirect_stdout(io.StringIO()):
    sys.setprofile(seen)
    status = main(words)
    sys.setprofile(None)
both = sum((b, a) in pairs for a, b in pairs) // 2
print(json.dumps({"status": status, "files": sorted(files), "both": both}))
"""


def way(*words: str) -> dict[str, object]:
    """What executes for a command line: its status, the files, and how many pairs call each other both ways."""
    command = [sys.executable, "-c", TRACER, str(ROOT), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = tmp_path / "core"
    write_core(Machine(load("idle")), core)
    ways = {
        "an entry of an ELF core": ("dump", str(core), "irte", "0x18"),
        "a post": ("sim", "--scenario", "one-device", "post", "00:03.0", "0"),
        "explore h-a": ("explore", "h-a"),
    }
    for name, words in ways.items():
        found = way(*words)
        assert found["status"] in (0, 1)
        files = found["files"]
        assert isinstance(files, list)
        with capsys.disabled():
            print(f"\n{name}: {len(files)} files, {found['both']} pairs both ways")
