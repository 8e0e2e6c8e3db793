"""A survey as an answer, and as a Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from inspector.base import new_file
from inspector.base.errors import UsageError
from inspector.batch.survey import Survey, has_bug
from inspector.batch.survey_row import Row
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Text
from inspector.model.schema_name import schema_name

NUMERIC = frozenset(("CHECKED", "FILES", "WITH BUGS", "SUBJECTS", "VCPUS", "BLOCKED", "POSTED"))


def answer(survey: Survey) -> AnyAnswer:
    """A row for each file; then the builds, and the findings that files have in common."""
    document = {
        "schema": schema_name("survey"),
        "rows": [msgspec.to_builtins(row) for row in survey.rows],
        "builds": [msgspec.to_builtins(build) for build in survey.builds],
        "findings": [msgspec.to_builtins(each) for each in survey.common],
        "left": list(survey.left),
    }
    bug = any(map(has_bug, survey.rows))
    unread = [_why(row) for row in survey.rows if row.unread]
    return Answer(document, _blocks(survey), unread, survey.notes, bug)


def check_parquet(path: str, keep: Sequence[str]) -> None:
    """Before long work: whether its rows can be written there.

    Raises:
        UsageError: there is no pyarrow here, or the file is one of `keep`.
    """
    if find_spec("pyarrow") is None:
        raise UsageError("--parquet needs pyarrow: `pip install 'vtdpi[cluster]'`")
    new_file.refuse_to_lose(path, keep)


def write_parquet(survey: Survey, path: str, keep: Sequence[str] = ()) -> None:
    """The rows as a Parquet file, a row each file, `findings` a list of records.

    Raises:
        UsageError: as `check_parquet`, or the file cannot be written.
    """
    check_parquet(path, keep)
    import pyarrow
    from pyarrow import parquet

    rows = [_in_utf8(msgspec.to_builtins(row)) for row in survey.rows]
    table = pyarrow.Table.from_pylist(rows, schema=_schema(pyarrow))
    with new_file.replacing(Path(path), keep) as file:
        parquet.write_table(table, file)


def _in_utf8(value: Any) -> Any:
    """What no UTF-8 can say, in the names of files, as an escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _in_utf8(each) for key, each in value.items()}
    return list(map(_in_utf8, value)) if isinstance(value, (list, tuple)) else value


def _schema(pyarrow: Any) -> Any:
    """The types are said, for a column may hold nothing at all."""
    text, number, texts = pyarrow.string(), pyarrow.int64(), pyarrow.list_(pyarrow.string())
    finding = {**dict.fromkeys(("severity", "rule", "subject", "message"), text), "suspicion": pyarrow.bool_()}
    return pyarrow.schema(
        {
            "file": text,
            "size": number,
            "modified": text,
            "vtdpi_version": text,
            "target": text,
            "version": text,
            "build_id": text,
            **dict.fromkeys(("cpu_count", "vcpu_count", "blocked_count", "entry_count", "posted_count"), number),
            "findings": pyarrow.list_(pyarrow.struct(finding)),
            "checked": texts,
            "problems": texts,
            "seconds": pyarrow.float64(),
        }
    )


def _blocks(survey: Survey) -> list[Block]:
    read = [row for row in survey.rows if not row.unread]
    blocks: list[Block] = []
    if read:
        columns = ("FILE", "XEN", "VCPUS", "BLOCKED", "POSTED", "CHECKED", "FINDINGS")
        blocks.append(Table(columns, list(map(_row, read)), numeric=NUMERIC))
        builds = [
            (b.version or "unknown", b.build_id or "unknown", str(b.file_count), str(b.bug_count))
            for b in survey.builds
        ]
        blocks.append(Table(("XEN", "BUILD-ID", "FILES", "WITH BUGS"), builds, "By build", NUMERIC))
    if common := survey.common:
        rows = [(f.severity, f.rule, str(f.file_count), str(f.subject_count), ", ".join(f.builds)) for f in common]
        blocks.append(Table(("SEVERITY", "RULE", "FILES", "SUBJECTS", "XEN"), rows, "By finding", NUMERIC))
    unread, bugs = len(survey.rows) - len(read), sum(map(has_bug, read))
    words = f"{len(survey.rows)} files: {len(read)} read, {bugs} of them with bugs; {unread} not"
    if survey.left:
        words += f"; {len(survey.left)} left, for it was ended before"
    return [*blocks, Text(words)]


def _why(row: Row) -> str:
    return f"{row.file}: {row.problems[0] if row.problems else 'not known why'}"


def _row(row: Row) -> tuple[str, ...]:
    kinds = Counter((found.severity, found.rule) for found in row.findings)
    shown = [f"{severity} {rule}" + (f" x{count}" if count > 1 else "") for (severity, rule), count in kinds.items()]
    words = ", ".join(shown) or ("none" if row.checked else "nothing could be checked")
    numbers = map(str, (row.vcpu_count, row.blocked_count, row.posted_count, len(row.checked)))
    return row.file, row.version or "unknown", *numbers, words
