"""Packages in gdb's own Python."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import construct
import pytest

pytestmark = pytest.mark.live


def test_a_numpy_that_does_not_fit_is_named_and_the_advice_helps(gdb, plugin, golden, tmp_path, unavailable):
    """As for a gdb whose Python is not the virtual environment's, and without Debian's python3-numpy."""
    without = tmp_path / "vtdpi.py"
    own = tmp_path / "own"
    text = plugin.read_text().replace(str(plugin.parent), str(own))
    # The virtual environment less its numpy, which is what another version's looks like to this Python.
    site = tmp_path / "site"
    site.mkdir()
    found = Path(construct.__file__).parents[1]
    for entry in found.iterdir():
        if not entry.name.startswith("numpy"):
            (site / entry.name).symlink_to(entry)
    without.write_text(text.replace(str(found), str(site)))
    bare = type(gdb)(gdb.words[: gdb.words.index("-nx")], gdb.environment, without)
    bare.first.insert(0, "python import sys; sys.path[:] = [p for p in sys.path if 'dist-packages' not in p]")
    attach = f"core-file {golden('lost-wakeup')}"
    _, err = bare(attach, "vtdpi vcpus")
    advice = re.search(r"^vtdpi: gdb's Python 3\.\d+ has no numpy.* for it: (.*)$", err, re.M)
    assert advice
    done = subprocess.run(advice[1], shell=True, capture_output=True, text=True)
    if done.returncode:
        unavailable(f"pip: {done.stderr}")
    out, _ = bare(attach, "vtdpi vcpus")
    assert "d1v2" in out


def test_without_msgspec_it_looks_and_completes(gdb, golden):
    out, _ = gdb(
        "python import sys; sys.modules['msgspec'] = None",
        f"core-file {golden('lost-wakeup')}",
        "complete vtdpi pi d1v",
        "vtdpi vcpus",
    )
    assert "vtdpi pi d1v2\n" in out
    assert "d1v2  " in out
