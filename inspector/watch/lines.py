"""What each look shows, without a terminal: a line for what changed, look by look."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.base.foreign_text import one_line
from inspector.watch.looks import COLUMNS, Seen


def lines(seen: Seen) -> Iterator[str]:
    """The lines for one look: all vCPUs at the first, later what changed."""
    return map(one_line, _lines(seen))


def _lines(seen: Seen) -> Iterator[str]:
    stopped = "" if seen.stopped is None else f", guest stopped {seen.stopped * 1000:.1f} ms"
    changed = sum(any(row.changed) for row in seen.rows)
    yield f"look {seen.number}: {len(seen.rows)} vCPUs, {changed} changed, {len(seen.findings)} findings{stopped}"
    for row in seen.rows:
        cells = zip(COLUMNS[1:], row.cells[1:], row.changed[1:], strict=True)
        shown = [f"{name} {cell}" for name, cell, is_new in cells if is_new or seen.number == 1]
        if shown:
            yield f"  {row.cells[0]}: {', '.join(shown)}"
    for text, is_new in seen.lists:
        if is_new:
            yield f"  list of {text}"
    for finding in seen.fresh:
        yield f"  {finding.severity} {finding.rule} {finding.subject}: {finding.message}"
