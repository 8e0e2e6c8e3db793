"""The command line: which words go where, what goes wrong, and what a script may rely on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.commands import BUILT_IN, load

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_command_has_help_with_an_example(name, run, image):
    answer = run("dump", image.path, name, "--help")
    assert answer.status == 0
    assert re.search(rf"vtdpi (live|dump FILE|sim) (.* )?'?{name}\b", answer.out)
    assert load(name).help.splitlines()[0].endswith(".")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["dump", "/nowhere/core", "irt"], 3, "No such file"),
        (["dump", str(ROOT), "irt"], 3, "directory"),
        (["dump", __file__, "irt"], 3, "text file"),
        (["live", "127.0.0.1:1", "irt"], 3, "nobody listens"),
        (["live", "nonsense", "irt"], 2, "no command"),
        (["profile", "show", "none"], 3, "no profile file and no known profile"),
        (["profile", "make", "/bin/true"], 3, "/bin/true"),
        (["dump"], 2, "FILE"),
        (["frobnicate"], 2, "'frobnicate' is no target"),
    ],
)
def test_what_goes_wrong_is_said(words, status, message, run):
    answer = run(*words)
    assert answer.status == status
    assert message in answer.err
    assert answer.out == ""


@pytest.mark.thorough
def test_a_pipe_gets_no_colour_and_may_close_early(image):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "inspector.frontends.cli", "dump", str(image.path), "regs"]
    printed = subprocess.run(words, env=environment, capture_output=True, check=True, text=True)
    assert "\x1b" not in printed.stdout
    assert all(line == line.rstrip() for line in printed.stdout.splitlines())
    closed = subprocess.run(
        f"{' '.join(words)} | head -1", env=environment, shell=True, capture_output=True, check=True, text=True
    )
    assert len(closed.stdout.splitlines()) == 1
    assert "Traceback" not in closed.stderr
    assert "BrokenPipe" not in closed.stderr
    coloured = subprocess.run(
        words, env={**environment, "FORCE_COLOR": "1"}, capture_output=True, check=True, text=True
    )
    assert "\x1b[1" in coloured.stdout


def test_alone_it_opens_the_simulation() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "inspector.frontends.cli"]
    ran = subprocess.run(words, env=environment, input="info\n", capture_output=True, check=True, text=True)
    assert "simulated machine" in ran.stdout


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ("lab", "Start and stop a real Xen under a real QEMU."),
        ("profile", "Make, list and show profiles of Xen builds."),
        ("schema", "Print the JSON Schema of a command's answers."),
    ],
)
def test_a_groups_help_keeps_the_capitals_of_names(group, sentence, run):
    answer = run(group, "--help")
    assert (answer.status, sentence in " ".join(answer.out.split())) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        "sim irt",
        "sim irt --json",
        "sim irt --format jsonl",
        "sim irt --format csv",
        "sim trace --count 5",
        "sim trace --count 5 --json",
        "sim watch --json",
        "sim report -",
        "sim step 50",
        "sim help",
        "explore h-a",
        "explore h-a --json",
        "explore --list",
        "dump {dump} audit",
        "dump {dump} audit --json",
        "survey {dump}",
        "survey {dump} --json",
        "help",
        "explain D5",
    ],
)
def test_a_reader_that_has_gone_is_no_bug_that_an_audit_found(words, golden):
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "inspector.frontends.entry", *words.format(dump=golden("lost-wakeup")).split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        ran = subprocess.run(line, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    finally:
        os.close(writing)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Broken" not in ran.stderr
