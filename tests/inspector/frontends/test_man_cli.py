"""The manual page is one, and has everything."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from inspector.commands import BUILT_IN


def test_every_command_and_option_is_in_it(run):
    page = run("man").out
    assert page.startswith(".TH VTDPI 1 ")
    assert all(f".SS {name}\n" in page for name in (*BUILT_IN, "sim", "live", "dump"))
    assert "\\-\\-posted" in page
    assert all(f".SH {head}" in page for head in ("NAME", "SYNOPSIS", "EXIT STATUS"))


def test_man_shows_it(run, tmp_path):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    page = tmp_path / "vtdpi.1"
    page.write_text(run("man").out)
    words = ["groff", "-man", "-Tutf8", "-ww", str(page)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    words = " ".join(re.sub(r".\x08", "", done.stdout).split())
    assert "The interrupt-remapping table of each unit" in words.replace("\u2010", "-")
