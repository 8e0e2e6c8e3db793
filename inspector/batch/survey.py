"""A survey: what was found in each of many files, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import accumulate

from inspector.base import progress
from inspector.batch import lines_file
from inspector.batch.evidence import Evidence
from inspector.batch.survey_row import Row, survey, unread
from inspector.batch.workers import Failure, Workers
from structs.frozen import frozen

BATCH, BYTES = 32, 1 << 29
"""Files that a worker takes at once, and how large they are together, at most."""


@frozen
class Build:
    """A Xen that files are of; `version` and `build_id` are None where it is not known."""

    version: str | None
    build_id: str | None
    file_count: int
    bug_count: int


@frozen
class Common:
    """A finding that files share: the rule, how severe, and how many files and vCPUs or devices have it."""

    severity: str
    rule: str
    file_count: int
    subject_count: int
    builds: tuple[str, ...]


@frozen
class Survey:
    """Of all files, in the order in which they were named.

    Attributes:
        left: the files that were not looked at, for it was ended before.
    """

    rows: tuple[Row, ...]
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def builds(self) -> list[Build]:
        """The builds, the most frequent first."""
        read = [row for row in self.rows if not row.unread]
        files = Counter((row.version, row.build_id) for row in read)
        bugs = Counter((row.version, row.build_id) for row in read if has_bug(row))
        return [Build(*build, file_count=count, bug_count=bugs[build]) for build, count in files.most_common()]

    @property
    def common(self) -> list[Common]:
        """The findings, the most severe and frequent first."""
        kinds: dict[tuple[str, str], list[Row]] = {}
        subjects: Counter[tuple[str, str]] = Counter()
        for row in self.rows:
            for kind in sorted({(found.severity, found.rule) for found in row.findings}):
                kinds.setdefault(kind, []).append(row)
            subjects.update((found.severity, found.rule) for found in row.findings)
        made = [
            Common(*kind, len(rows), subjects[kind], tuple(sorted({row.version or "unknown" for row in rows})))
            for kind, rows in kinds.items()
        ]
        return sorted(made, key=lambda each: (ORDER.index(each.severity), -each.file_count, each.rule))


ORDER = ("bug", "warning", "info")


def has_bug(row: Row) -> bool:
    """Whether a bug was found in a file."""
    return any(found.severity == "bug" for found in row.findings)


def survey_files(
    files: Sequence[Evidence], processes: int, dask: str | None = None, lines: str | None = None
) -> Survey:
    """Look at files, as many at once as there are processes or workers. Ctrl-C ends it; what is done is told.

    Args:
        dask: the address of a Dask scheduler, whose workers find the files under the same names.
        lines: a file for the rows, where those that are there already are not made again.

    Raises:
        UsageError: as `lines_file.read` and `Workers.results`.
        TargetError: as these.
    """
    kept = lines_file.read(lines) if lines else lines_file.Kept([], [])
    latest = {row.file: row for row in kept.rows}
    done = {each.path: latest[each.path] for each in files if each.path in latest and latest[each.path].is_of(each)}
    notes = [f"{lines}: line {number} is damaged, and its file looked at again" for number in kept.damaged]
    if done:
        notes.append(f"{len(done)} of {len(files)} files were looked at before, as {lines} tells")
    left = [each for each in files if each.path not in done]
    try:
        for rows in _rows(left, processes, dask):
            done.update((row.file, row) for row in rows)
            if lines:
                lines_file.append(lines, rows)
            progress.tell("files", len(done), len(files))
    except KeyboardInterrupt:
        pass
    undone = tuple(each.path for each in files if each.path not in done)
    return Survey(tuple(done[each.path] for each in files if each.path in done), undone, tuple(notes))


def _rows(files: Sequence[Evidence], processes: int, dask: str | None) -> Iterator[list[Row]]:
    batches = list(_batches(files, processes))
    again: list[tuple[Evidence, ...]] = []
    for batch, rows in Workers(_surveyed, processes, dask).results(batches):
        if not isinstance(rows, Failure):
            yield rows
        elif len(batch) == 1:
            yield [unread(batch[0], rows.why)]
        else:
            again += [(each,) for each in batch]
    for batch, rows in Workers(_surveyed, processes, dask).results(again):
        yield [unread(batch[0], rows.why)] if isinstance(rows, Failure) else rows


def _batches(files: Sequence[Evidence], processes: int) -> Iterator[tuple[Evidence, ...]]:
    """Many at once, for each batch is sent, and waited for; the last ones singly, so that nobody waits for one who has
    many left."""
    start = 0
    while start < len(files):
        size = max(1, min(BATCH, (len(files) - start) // (4 * processes)))
        together = accumulate(each.size or 0 for each in files[start : start + size])
        end = start + max(1, sum(total <= BYTES for total in together))
        yield tuple(files[start:end])
        start = end


def _surveyed(files: tuple[Evidence, ...]) -> list[Row]:
    return [survey(each) for each in files]
