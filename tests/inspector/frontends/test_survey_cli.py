"""`vtdpi survey`."""

from __future__ import annotations

import json
import os
import shutil
from importlib.util import find_spec

import pytest


def test_files_to_a_table_lines_and_a_status(run, golden, data, tmp_path):
    for name in ("lost-wakeup", "two-in-guest"):
        shutil.copy(golden(name), tmp_path / f"{name}.core")
    lines = tmp_path / "out" / "rows.jsonl"
    lines.parent.mkdir()
    answer = run("survey", tmp_path / "*.core", "--processes", "1", "--lines", lines)
    assert answer.status == 1
    assert "2 files: 2 read, 1 of them with bugs; 0 not" in answer.out
    assert [json.loads(line)["file"] for line in lines.read_text().splitlines()] == [
        str(tmp_path / "lost-wakeup.core"),
        str(tmp_path / "two-in-guest.core"),
    ]
    again = run("survey", tmp_path / "*.core", "--lines", lines, "--json")
    assert (again.json["schema"], len(again.json["rows"])) == ("vtdpi/survey/3", 2)
    assert f"vtdpi: 2 of 2 files were looked at before, as {lines} tells" in again.err


def test_a_file_that_cannot_be_read_is_told(run, tmp_path):
    (tmp_path / "empty").touch()
    answer = run("survey", tmp_path, "--processes", "1")
    assert answer.status == 3
    assert f"{tmp_path / 'empty'} is empty; expected a dump file" in answer.err
    assert "1 files: 0 read, 0 of them with bugs; 1 not" in answer.out


def test_words_that_it_does_not_take(run, tmp_path):
    assert run("survey", tmp_path / "nothing").status == 2
    assert run("survey", tmp_path).status == 2
    assert "--processes 0: expected 1 or more" in run("survey", tmp_path, "--processes", "0").err


def test_names_that_are_not_utf8_and_names_with_control_characters(run, tmp_path):
    (tmp_path / os.fsdecode(b"bad\xff\xfe")).write_bytes(b"x")
    (tmp_path / "esc\x1b[31m\nnewline").write_bytes(b"y")
    lines, parquet = tmp_path / "rows.jsonl", tmp_path.with_suffix(".parquet")
    words = ("survey", tmp_path, "--processes", "1", "--lines", lines)
    answer = run(*words, *(["--parquet", parquet] if find_spec("pyarrow") else []))
    assert answer.status == 3
    assert (len(answer.err.splitlines()), "\x1b" in answer.err) == (2, False)
    assert "2 files: 0 read" in answer.out
    # The file with the rows is in the folder, and no evidence.
    again = run(*words)
    assert f"2 of 2 files were looked at before, as {lines} tells" in again.err


def test_evidence_is_never_written_over(run, golden, tmp_path):
    pytest.importorskip("pyarrow")
    core = tmp_path / "a.core"
    shutil.copy(golden("two-in-guest"), core)
    before = core.read_bytes()
    answer = run("survey", tmp_path, "--processes", "1", "--parquet", core)
    assert (answer.status, core.read_bytes()) == (2, before)
    assert "a.core is what is being read: expected another file's name" in answer.err
