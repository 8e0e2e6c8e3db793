"""What the first words print in a real terminal, narrow and wide: no line is longer than it, but for one long word."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from inspector.frontends.cli import GROUPS, TARGETS

ROOT = Path(__file__).parents[3]
LINES = (
    *(
        "--help",
        "sim --help",
        "live --help",
        "dump --help",
        "sim --scenarios",
        "sim vcpus --help",
        "sim nosuch",
        "vcpus",
    ),
    *(
        "vcpus",
        "sim --campaign idle,h-a --seeds 0..1 --steps 100 --keep {files}/kept",
        "sim -c help -c show -c history",
    ),
    *("explore --help", "explore --list", "explore h-a", "explore nosuch", "survey {core} {core}", "survey --help"),
    *("lab --help", "lab up --help", "lab list", "coverage --help", "profile list", "profile --help", "learn --list"),
    *("help", "help irt", "explain", "explain S8", "explain D5", "explain H-A", "schema", "completion --help"),
    *("man --help", "config --help", "config width", "config colors", "gdb-plugin --help"),
)
STYLE = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")

pytestmark = pytest.mark.thorough


def printed(words: list[str], width: int, home: Path) -> list[str]:
    """The lines that a terminal of a width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "inspector.frontends.cli", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**clean, "TERM": "xterm-256color", "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 1 << 16):
            text += part
    except OSError:
        # What the terminal says when nobody has it open any more.
        pass
    os.close(ours)
    process.wait()
    # A bar of progress writes over its line.
    return [line.split("\r")[-1] for line in STYLE.sub("", text.decode()).replace("\r\n", "\n").split("\n")]


@pytest.mark.parametrize("line", LINES)
def test_no_line_is_wider_than_the_terminal(line, golden, tmp_path):
    words = [word.format(core=golden("xapic-4-cpus"), files=tmp_path) for word in line.split()]
    for width in (60, 80, 120, 200):
        shown = printed(words, width, tmp_path)
        assert any(shown)
        assert not [each for each in shown if len(each) > width and len(each.split()) > 2], width


def test_that_was_every_first_word():
    assert {line.split()[0] for line in LINES if not line.startswith(("--", "vcpus"))} == {*TARGETS, *GROUPS}
