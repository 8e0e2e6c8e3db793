"""stdout as it may be: never a traceback, and never status 1, which is the audit's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VTDPI = [sys.executable, "-m", "inspector.frontends.entry"]


def vtdpi(*words: object, **how) -> subprocess.CompletedProcess:
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **how}
    return subprocess.run([*VTDPI, *map(str, words)], timeout=60, check=False, **how)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "words", [["sim", "info"], ["sim", "irt", "--json"], ["explore", "--list"], ["profile", "list"]]
)
def test_a_full_stdout_is_a_line_and_status_3(words):
    with open("/dev/full", "w") as full:
        ended = vtdpi(*words, stdout=full)
    assert ended.returncode == 3
    assert ended.stderr == b"vtdpi: the answer cannot be printed: stdout: No space left on device\n"


def test_a_closed_stdout_is_a_line_and_status_3():
    ended = vtdpi("sim", "info", stdout=None, preexec_fn=lambda: os.close(1))
    assert ended.returncode == 3
    assert ended.stderr == b"vtdpi: the answer cannot be printed: stdout: it is closed\n"


@pytest.mark.thorough
def test_all_three_closed():
    assert vtdpi("sim", "info", stdout=None, stderr=None, preexec_fn=lambda: os.closerange(0, 3)).returncode == 3


@pytest.mark.thorough
@pytest.mark.parametrize("words", [["--help"], ["sim", "irt", "--help"], ["explore", "--help"], ["help", "irt"]])
@pytest.mark.parametrize("buffering", ["", "1"])
def test_help_that_cannot_be_printed(words, buffering):
    """argparse's own passes over what an unbuffered stdout says at once."""
    with open("/dev/full", "w") as full:
        ended = vtdpi(*words, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": buffering})
    assert ended.returncode == 3
    assert ended.stderr == b"vtdpi: the answer cannot be printed: stdout: No space left on device\n"


@pytest.mark.thorough
@pytest.mark.parametrize("closed", [[0], [2], [0, 2]])
def test_a_closed_stdin_or_stderr_is_no_failure(closed):
    def close() -> None:
        for handle in closed:
            os.close(handle)

    for words in (["sim", "info"], ["sim"], ["sim", "-c", "info"]):
        ended = vtdpi(*words, stdin=subprocess.PIPE, preexec_fn=close)
        assert ended.returncode == 0, words
        assert b"bug of vtdpi" not in ended.stderr
    assert b"Xen" in ended.stdout
    assert vtdpi("dump", "/no/such/file", "info", stdin=subprocess.PIPE, preexec_fn=close).returncode == 3


WITHOUT_DEV = "import os, sys; os.devnull = '/no/such'; from inspector.frontends.entry import main; sys.exit(main())"


@pytest.mark.thorough
def test_where_no_dev_is():
    """As in a container without one."""
    words = [sys.executable, "-c", WITHOUT_DEV, "sim", "info"]
    ended = subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stderr
    assert b"Xen" in ended.stdout


def test_a_full_or_closed_stderr_is_no_failure():
    with open("/dev/full", "w") as full:
        assert vtdpi("sim", "nonsense", stderr=full).returncode == 2
    assert vtdpi("sim", "nonsense", stderr=None, preexec_fn=lambda: os.close(2)).returncode == 2


@pytest.mark.thorough
@pytest.mark.parametrize("words", [["sim", "--steps", "2000", "irt", "--all"], ["sim", "audit"]])
def test_a_reader_that_leaves_is_no_failure(words):
    process = subprocess.Popen([*VTDPI, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == b""


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "ascii:strict"])
def test_any_encoding_and_names_that_are_no_utf_8(encoding, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xc3\xa9-\xff-\xe2\x9c\x96.json"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    assert vtdpi("sim", "save", os.fsdecode(name), env=environment).returncode == 0
    for command in ("info", "vcpus", "audit"):
        ended = vtdpi("dump", os.fsdecode(name), command, env=environment)
        assert ended.returncode == 0, ended.stderr
    ended = vtdpi("dump", os.fsdecode(name) + "x", "info", env=environment)
    assert ended.returncode == 3
    assert rb"\udcff" in ended.stderr
    assert ended.stderr.count(b"\n") == 1


BROKEN = """
import sys
from inspector.frontends import cli, entry
def main():
    raise KeyError("nobody foresaw \\x1b[31m")
cli.main = main
sys.exit(entry.main())
"""


def test_a_bug_of_ours_is_a_line_and_status_3():
    """Whatever nobody foresaw."""
    words = [sys.executable, "-c", BROKEN]
    ended = subprocess.run(words, capture_output=True, check=False)
    assert ended.returncode == 3
    assert ended.stderr.count(b"\n") == 1
    assert b"a bug of vtdpi itself: KeyError: 'nobody foresaw" in ended.stderr
    assert b"\x1b" not in ended.stderr
    told = subprocess.run(words, capture_output=True, check=False, env={**os.environ, "VTDPI_TRACEBACK": "1"})
    assert b"Traceback" in told.stderr
