"""A survey of many files: every one once, whoever interrupts or fails, and the same on a cluster."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.batch import survey as surveys
from inspector.batch.evidence import Evidence, found
from inspector.batch.survey import Build, Common, Survey, survey_files
from inspector.batch.survey_row import Row, SurveyFinding


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data, golden):
    """Logs, two dumps, and what is neither."""
    place = tmp_path_factory.mktemp("evidence")
    for log in sorted((data / "field" / "logs").glob("c0*.log")):
        shutil.copy(log, place)
    for name in ("lost-wakeup", "two-in-guest"):
        shutil.copy(golden(name), place / f"{name}.core")
    (place / "empty").touch()
    return place


def told(survey):
    return [replace(row, seconds=0.0) for row in survey.rows]


@pytest.fixture(scope="module")
def alone(folder):
    return survey_files(found([str(folder)]), 1)


def test_every_file_has_its_row_in_order(folder, alone):
    assert [row.file for row in alone.rows] == sorted(map(str, folder.iterdir()))
    bad = [row for row in alone.rows if row.unread]
    assert [(row.file, row.problems) for row in bad] == [
        (str(folder / "empty"), (f"{folder / 'empty'} is empty; expected a dump file",))
    ]
    assert [row.file for row in alone.rows if surveys.has_bug(row)] == [str(folder / "lost-wakeup.core")]


@pytest.mark.thorough
def test_two_processes_and_a_cluster_find_the_same(folder, alone, dask):
    files = found([str(folder)])
    assert told(survey_files(files, 2)) == told(alone)
    assert told(survey_files(files, 1, dask)) == told(alone)


@pytest.mark.thorough
def test_it_goes_on_where_it_was_ended(folder, alone, tmp_path, monkeypatch):
    lines, files = str(tmp_path / "rows.jsonl"), found([str(folder)])
    real = surveys.lines_file.append

    def interrupted(path, rows):
        real(path, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(surveys.lines_file, "append", interrupted)
    first = survey_files(files, 1, lines=lines)
    assert first.left
    assert [row.file for row in first.rows] + list(first.left) == [each.path for each in files]
    monkeypatch.setattr(surveys.lines_file, "append", real)
    second = survey_files(files, 1, lines=lines)
    assert (told(second), second.left) == (told(alone), ())
    assert second.notes == (f"{len(first.rows)} of {len(files)} files were looked at before, as {lines} tells",)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == len(files)
    (folder / "empty").touch()
    (folder / "empty").write_text("x")
    changed = survey_files(found([str(folder)]), 1, lines=lines)
    assert changed.rows[[row.file for row in changed.rows].index(str(folder / "empty"))].size == 1
    (folder / "empty").write_text("")
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[-1])["file"] == str(folder / "empty")


def test_what_files_have_in_common():
    lost, other = SurveyFinding("bug", "D5", "d1v0", "", False), SurveyFinding("info", "D26", "d1v0", "", False)
    rows = (
        Row("a", 1, "1", "0", "x", "4.20.3", "aa", findings=(lost, replace(lost, subject="d1v1"))),
        Row("b", 1, "1", "0", "x", "4.20.3", "aa", findings=(other,)),
        Row("c", 1, "1", "0", "x", findings=(lost, other)),
        Row("d", 1, "1", "0", problems=("cannot be opened",)),
    )
    survey = Survey(rows)
    assert survey.builds == [Build("4.20.3", "aa", 2, 1), Build(None, None, 1, 1)]
    assert survey.common == [
        Common("bug", "D5", 2, 3, ("4.20.3", "unknown")),
        Common("info", "D26", 2, 2, ("4.20.3", "unknown")),
    ]


@given(st.lists(st.one_of(st.none(), st.integers(0, surveys.BYTES * 2)), max_size=300), st.integers(1, 4))
def test_batches_are_all_files_in_order_and_the_last_ones_small(sizes, processes):
    files = [Evidence(str(number), size, "") for number, size in enumerate(sizes)]
    batches = list(surveys._batches(files, processes))
    assert [each for batch in batches for each in batch] == files
    for batch in batches:
        assert len(batch) <= surveys.BATCH
        assert len(batch) == 1 or sum(each.size or 0 for each in batch) <= surveys.BYTES
    assert all(len(batch) == 1 for batch in batches[-processes:])
