"""The rows of a survey in a file."""

from __future__ import annotations

import json
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.audit.rule import SEVERITIES
from inspector.base.errors import TargetError, UsageError
from inspector.base.new_file import NotWritten
from inspector.batch.lines_file import Kept, append, read
from inspector.batch.survey_row import Row, SurveyFinding

texts = st.text(st.characters(codec=None), max_size=20)
rows = st.builds(
    Row,
    *(texts, st.none() | st.integers(0, 1 << 62), texts, texts, st.none() | texts, st.none() | texts),
    findings=st.lists(
        st.builds(SurveyFinding, st.sampled_from(SEVERITIES), texts, texts, texts, st.booleans()), max_size=3
    ).map(tuple),
    problems=st.lists(texts, max_size=2).map(tuple),
    seconds=st.floats(0, 100),
)


@given(st.lists(rows, max_size=4), st.lists(rows, max_size=4))
def test_what_was_written_is_read_again(tmp_path_factory, first, then):
    path = str(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    append(path, first)
    append(path, then)
    assert read(path) == Kept([*first, *then], [])


def test_rows_of_an_older_version_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    older = {
        "file": "a",
        "size": 1,
        "modified": "1",
        "vtdpi": "0.2.0",
        "cpus": 2,
        "vcpus": 3,
        "entries": 5,
        "posted": 4,
    }
    path.write_text(json.dumps(older) + "\n")
    assert read(str(path)) == Kept(
        [Row("a", 1, "1", "0.2.0", cpu_count=2, vcpu_count=3, entry_count=5, posted_count=4)], []
    )


def test_a_line_that_was_cut_short_is_told_and_spoils_nothing(tmp_path):
    path = tmp_path / "rows.jsonl"
    one, two = Row("a", 1, "1", "0"), Row("b", 1, "1", "0")
    append(str(path), [one, one])
    path.write_bytes(path.read_bytes()[:-5])
    append(str(path), [two])
    assert read(str(path)) == Kept([one, two], [2])


def test_no_file_yet_and_a_file_of_something_else(tmp_path):
    assert read(str(tmp_path / "none")) == Kept([], [])
    other = tmp_path / "other"
    other.write_text('{"file": 3}\n')
    with pytest.raises(TargetError, match=r"other holds no rows of a survey: expected a new file"):
        read(str(other))
    with pytest.raises(TargetError, match="cannot be read: Is a directory"):
        read(str(tmp_path))
    with pytest.raises(NotWritten):
        append(str(tmp_path), [])


def test_what_is_no_row_is_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = json.dumps(msgspec.to_builtins(Row("a", 1, "1", "0")))
    finding = {"severity": "dire", "rule": "D5", "subject": "d1v0", "message": "", "suspicion": False}
    bad = [{"cpu_count": 1 << 64}, {"vcpus": -1}, {"size": -1}, {"findings": [finding]}, {"file": "\\udc", "size": "1"}]
    lines = [good, *(json.dumps({**json.loads(good), **each}) for each in bad), "[" * 100_000, "1" * 5000]
    path.write_text("\n".join(lines))
    assert read(str(path)) == Kept([Row("a", 1, "1", "0")], list(range(2, len(lines) + 1)))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_takes_rows_and_is_not_read(device):
    assert read(device) == Kept([], [])
    append("/dev/null", [Row("a", 1, "1", "0")])
    with pytest.raises(NotWritten, match="/dev/full cannot be written: No space left on device"):
        append("/dev/full", [Row("a", 1, "1", "0")])


def test_a_named_pipe_is_refused_before_it_blocks(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a named pipe"):
        read(str(tmp_path / "pipe"))
