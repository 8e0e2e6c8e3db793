"""A survey as an answer, and as Parquet."""

from __future__ import annotations

import json

import pytest

from inspector.base.new_file import NotWritten
from inspector.batch.survey import Survey
from inspector.batch.survey_answer import answer, write_parquet
from inspector.batch.survey_row import Row, SurveyFinding

LOST = SurveyFinding("bug", "D5", "d1v0", "is blocked", False)
SURVEY = Survey(
    (
        Row("a", 9, "1", "0", "a core", "4.20.3", "aa", 2, 3, 1, 8, 5, (LOST, LOST), ("D1", "D5")),
        Row("b", 9, "1", "0", "a log"),
        Row("c", None, "", "0", problems=("c cannot be opened",)),
    ),
    ("d",),
    ("a note",),
)


def test_its_tables_and_status():
    answered = answer(SURVEY)
    files, builds, common, words = answered.blocks
    assert files.rows == [
        ("a", "4.20.3", "3", "1", "5", "2", "bug D5 x2"),
        ("b", "unknown", "0", "0", "0", "0", "nothing could be checked"),
    ]
    assert builds.rows == [("4.20.3", "aa", "1", "1"), ("unknown", "unknown", "1", "0")]
    assert common.rows == [("bug", "D5", "1", "2", "4.20.3")]
    assert words.text == "3 files: 2 read, 1 of them with bugs; 1 not; 1 left, for it was ended before"
    assert (answered.problems, answered.notes) == (["c: c cannot be opened"], ("a note",))
    assert answered.exit_status == 1
    assert answer(Survey(SURVEY.rows[2:])).exit_status == 3
    assert answer(Survey(SURVEY.rows[1:2])).exit_status == 0
    assert answered.document["left"] == ["d"]
    assert [row["file"] for row in answered.document["rows"]] == ["a", "b", "c"]


@pytest.mark.thorough
def test_parquet_has_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    write_parquet(SURVEY, str(tmp_path / "rows.parquet"))
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert rows == json.loads(json.dumps(answer(SURVEY).document["rows"]))
    write_parquet(Survey(()), str(tmp_path / "none.parquet"))
    assert parquet.read_table(tmp_path / "none.parquet").column_names == list(rows[0])
    with pytest.raises(NotWritten):
        write_parquet(SURVEY, str(tmp_path))
