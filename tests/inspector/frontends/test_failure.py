"""Why there is no answer, as a document too, whatever command line asks for JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.base.errors import UsageError
from inspector.frontends import failure
from inspector.frontends.cli import GROUPS

from ..conftest import check_schema

Run = Callable[..., Any]
SIM = ("sim", "--scenario", "idle")


def error(text: str) -> dict[str, Any]:
    """The error that a document tells, which is as its schema says."""
    document = json.loads(text)
    check_schema(document)
    told: dict[str, Any] = document["error"] | {"target": document["vtdpi"]["target"]}
    return told


@pytest.mark.parametrize("name", GROUPS)
def test_every_front_end(run: Run, name: str) -> None:
    ran = run(name, "--no-such-option", "--json")
    assert ran.status == error(ran.out)["exit_status"] == 2
    assert ran.err == f"vtdpi: {error(ran.out)['message']}\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("explore", "nosuch", "--json"), 2),
        (("explore", "--swarm", "0", "--json"), 2),
        (("explore", "--read", "/nosuch", "--json"), 3),
        (("survey", "/nosuch", "--json"), 2),
        (("coverage", "/nosuch", "--json"), 3),
        (("sim", "--campaign", ",", "--json"), 2),
        (("explain", "nosuch", "--json"), 2),
        (("help", "nosuch", "--json"), 2),
        (("schema", "nosuch", "--json"), 2),
        (("lab", "keys", "nosuch", "V", "--json"), 2),
        (("profile", "show", "/nosuch.json", "--json"), 2),
        (("dump", "/nosuch", "vcpus", "--json"), 3),
        (("dump", "/nosuch", "--json", "vcpus"), 3),
        (("vcpus", "--json"), 2),
        (("nosuch", "--json"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_with_it(run: Run, words: tuple[str, ...], status: int) -> None:
    ran = run(*words)
    assert ran.status == error(ran.out)["exit_status"] == status


@pytest.mark.parametrize(
    "words", [("pi", "d7v0", "--json"), ("pi", "d7v0", "--format", "json"), ("--json", "pi", "d7v0")]
)
def test_a_target_that_is_open_is_named(run: Run, words: tuple[str, ...]) -> None:
    told = error(run(*SIM, *words).out)
    assert "d7v0" in told["message"]
    assert told["target"].startswith("simulated machine with ")


def test_in_a_script_the_line_is_told_and_each_answer_is_a_document(run: Run) -> None:
    ran = run(*SIM, "--json", "-c", "vcpus", "-c", "expect vcpus .vcpus[#] == 99", "-c", "pi d7v0", "-c", "info")
    documents = [json.loads(line) for line in ran.out.splitlines()]
    for document in documents:
        check_schema(document)
    assert [document["schema"].split("/")[1] for document in documents] == ["vcpus", "error", "error"]
    assert [document["error"]["exit_status"] for document in documents[1:]] == [1, 2]
    assert documents[2]["error"]["message"].startswith("-c 'pi d7v0': ")
    assert ran.status == 1


def test_of_one_line_of_a_script_that_asks_for_it(run: Run) -> None:
    ran = run(*SIM, "-c", "vcpus d1v0", "-c", "irtt --json")
    assert error(ran.out.splitlines()[-1])["message"].startswith("-c 'irtt --json': ")
    assert run(*SIM, "-c", "vcpus d1v0", "-c", "irtt").out == run(*SIM, "-c", "vcpus d1v0").out


def test_who_does_not_ask_gets_a_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.tell(UsageError("no"), ["sim", "-c", "x --json"]) == 2
    assert failure.tell_end("ended", 143, ["sim", "--format", "jsonl"]) == 143
    assert tuple(capsys.readouterr()) == ("", "vtdpi: no\nvtdpi: ended\n")


def test_a_file_that_is_no_file_is_told_in_a_document(run: Run, tmp_path: Path) -> None:
    ran = run("dump", tmp_path, "vcpus", "--json")
    assert ran.status == error(ran.out)["exit_status"] == 3


def test_what_ends_the_process_is_told_in_a_document() -> None:
    words = [sys.executable, "-c", ENDED, "sim", "--json", "watch"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    first = process.stdout.readline()
    os.kill(process.pid, signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert json.loads(first)["look"] == 1
    assert error(rest.splitlines()[-1])["exit_status"] == process.returncode == 128 + signal.SIGTERM


ENDED = "import sys; from inspector.frontends.entry import main; sys.exit(main())"
