"""Finding a Xen, its symbols and its layouts with no profile, beside finding it with one. Printed, not judged.

The image is as large as a real machine's, 4 GiB, mostly holes, and holds a real capture; there are no registers, so
that Xen is found by its page tables alone. Aims: 1.0 s and 150 MB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inspector.targets.open_file import open_file

ROOT = Path(__file__).parents[2]
SIZE = 4 << 30
MEASURE = """
import re, sys, time
from inspector.targets.open_file import open_file
from inspector.xen.find import find
from inspector.xen.locate import locate
from inspector.xen.unknown import recognise
with open_file(sys.argv[1]) as target:
    began = time.perf_counter()
    known = find(target)
    told = time.perf_counter()
    located = locate(target)
    located.image.symbols
    found = time.perf_counter()
    xen = recognise(located)
    ended = time.perf_counter()
assert xen.profile.build_id == known.profile.build_id
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10
times = [1e3 * t for t in (told - began, found - told, ended - found)]
words = "with its profile %.0f ms; without: image and symbols %.0f ms, layouts %.0f ms" % tuple(times)
print(f"{words}, ratio {(times[1] + times[2]) / times[0]:.1f}; peak memory {peak} MiB; {xen.knowledge}")
"""


def test_an_unknown_xen_in_4_gib(golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "memory.raw"
    with open_file(golden("lost-wakeup")) as target, path.open("wb") as image:
        image.truncate(SIZE)
        for part in target.memory() or ():
            image.seek(part.start)
            image.write(target.read(part.start, part.size))
    command = [sys.executable, "-c", MEASURE, str(path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with capsys.disabled():
        print(f"\n4 GiB, raw: {answer.stdout}", end="")
