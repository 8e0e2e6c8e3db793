"""One document and nothing else, which no reader rounds."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector import __version__
from inspector.base.errors import UsageError
from inspector.model.absence import UNREADABLE, Absence
from inspector.model.answer import Answer, Text
from inspector.model.hex_members import EXACT
from inspector.views.json import show, show_error, text, write

from ...fixtures.other_readers import PACKAGES, READERS, Answers, changed_by
from ..conftest import check_schema


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(answer: Answer, out: io.StringIO) -> str:
    show(answer, out, "a machine")
    return out.getvalue()


def without_about(text: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(text)
    assert list(document)[:2] == ["schema", "vtdpi"]
    about = document.pop("vtdpi")
    assert isinstance(about, dict)
    assert (about["version"], about["target"]) == (__version__, "a machine")
    assert about["time"].endswith("Z")
    return document


ANSWER = Answer({"schema": "vtdpi/irt/3", "text": 'a\n"b"\u202e'}, [Text("for people")])


def test_on_one_line_for_programs() -> None:
    text = shown(ANSWER, io.StringIO())
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert without_about(text) == ANSWER.document
    assert text.isascii()


def test_indented_for_people() -> None:
    text = shown(ANSWER, Terminal())
    assert text.count("\n") > 2
    assert without_about(text) == ANSWER.document


def test_what_is_absent_is_in_it_and_the_document_stays_as_it_was() -> None:
    answer = Answer({"schema": "x"}, [], absent=(Absence(UNREADABLE, "unit 0", "a hole", address=0x1000),))
    document = json.loads(shown(answer, io.StringIO()))
    assert document["absent"][0]["why"] == "a hole"
    assert document["absent"][0]["address"] == "0x1000"
    assert answer.document == {"schema": "x"}


def test_an_error_is_a_document_too(run) -> None:
    out = io.StringIO()
    show_error(UsageError("no command 'irtt'", expected=("irt",), found="irtt", advice="did you mean irt?"), out)
    document = json.loads(out.getvalue())
    check_schema(document)
    assert document["error"] == {
        "message": "no command 'irtt'",
        "exit_status": 2,
        "expected": ["irt"],
        "found": "irtt",
        "advice": "did you mean irt?",
    }
    ran = run("sim", "irtt", "--json")
    assert ran.status == ran.json["error"]["exit_status"] == 2
    assert ran.err.startswith("vtdpi: ")


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1 << 64) | st.text("abc", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["address", "vector", "nodes"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def largest(value: object) -> int:
    if isinstance(value, dict):
        return max(map(largest, value.values()), default=0)
    if isinstance(value, list):
        return max(map(largest, value), default=0)
    return value if isinstance(value, int) else 0


@given(values)
def test_no_number_is_larger_than_every_reader_keeps(value: object) -> None:
    out = io.StringIO()
    write({"schema": "x", "value": value}, out, None)
    assert largest(json.loads(out.getvalue())) <= EXACT


HALF = {"schema": "x", "file": "a\udcff\ud83d\ude00b"}


def test_half_a_character_is_an_escape() -> None:
    out = io.StringIO()
    write(HALF, out, None)
    assert json.loads(out.getvalue())["file"] == "a\\udcff\U0001f600b"
    assert text({"file": "\U0001f600"}) == '{"file": "\\ud83d\\ude00"}'


@pytest.mark.parametrize("program", READERS)
def test_other_programs_change_nothing(
    program: str, run, golden, data, tmp_path: Path, unavailable: Callable[[object], NoReturn]
) -> None:
    """Of these few answers here, of every answer of all tests at their end: see `tests/fixtures/other_readers.py`."""
    if not shutil.which(program):
        unavailable(f"{program} is missing: install the package {PACKAGES[program]}")
    texts = []
    core, log = golden("lost-wakeup"), data / "field" / "logs" / "c15_faults.log"
    for command in ("info", "vcpus", "irt", "irqs", "cpus", "regs", "queue", "faults", "dmar", "ioapic", "audit"):
        texts += [run(*target, command, "--json").out for target in (("sim",), ("dump", core), ("dump", log))]
    texts += [
        run("sim", *words, "--json").out for words in (("pi", "d1v0", "--bytes"), ("route", "d1v0"), ("blocked",))
    ]
    lines = "".join(texts).splitlines()
    assert len(lines) > 25
    for line in lines:
        check_schema(json.loads(line))
    rows = run("sim", "irt", "--format", "jsonl").out.splitlines()
    assert json.loads(rows[0])["format"] == "remapped"
    path = tmp_path / "answers"
    path.write_text("\n".join([*lines, *rows, json.dumps(HALF | {"file": "plain"})]) + "\n")
    assert changed_by(program, path) == []


@pytest.mark.parametrize("said", ['{"a": 18446744073709551615}', '{"a": 9007199254740993}'])
def test_what_a_reader_changes_is_seen(said: str, tmp_path: Path, unavailable: Callable[[object], NoReturn]) -> None:
    """By node: jq rounds such numbers too, but from 1.7 on not those that it only passes on."""
    if not shutil.which("node"):
        unavailable("node is missing: install the package nodejs")
    path = tmp_path / "answers"
    path.write_text(f'{{"b": 1.0, "a": [true, 1e3, 0.1]}}\n{said}\n')
    ((before, _),) = changed_by("node", path)
    assert before == said


def test_every_answer_that_is_printed_is_kept_once(run, other_readers: Answers) -> None:
    kept: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(other_readers, "keep", kept.append)
        printed = run("sim", "blocked", "--json").out
        rows = run("sim", "vcpus", "--format", "jsonl").out
        run("sim", "nosuch", "--json")
    assert kept[:-1] == [printed.strip(), *rows.splitlines()]
    assert "error" in json.loads(kept[-1])
