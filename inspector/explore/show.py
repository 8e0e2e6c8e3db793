"""Show a history: as text, as JSON, as a page, for Perfetto."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TextIO

from inspector.audit import BUG
from inspector.base import new_file
from inspector.explore import table
from inspector.explore.document import SCHEMA, document
from inspector.explore.steps import Reading, read
from inspector.explore.trace_events import to_perfetto
from inspector.model.answer import Answer, AnyAnswer

if TYPE_CHECKING:
    from sim_backend.machine.history import History


def show(
    history: History,
    out: TextIO,
    *,
    json: bool = False,
    every_step: bool = False,
    audit_steps: bool = False,
    html: str | None = None,
    perfetto: str | None = None,
) -> Reading:
    """Do a history again, and print what happens in it.

    Args:
        history: all of it can be done (see `inspector.targets.sim.simulation.read_history`).
        out: where to print; a table is as wide as a terminal, else 100 columns.
        json: print a JSON document (see `inspector.explore.document`) in place of the table.
        every_step: a row for each step, also where nothing is to be seen.
        audit_steps: audit the machine after each step, and tell at which step each rule first finds something.
        html, perfetto: files to write besides.

    Returns:
        What was read.

    Raises:
        UsageError: a file cannot be written.
    """
    reading = read(history, audit_steps)
    write(reading, html=html, perfetto=perfetto)
    tell(reading, out, json=json, every_step=every_step)
    return reading


def write(reading: Reading, *, html: str | None = None, perfetto: str | None = None) -> None:
    """Write the files, as `show` does."""
    if html is not None:
        from inspector.explore.page import history as page

        new_file.write(html, page(reading))
    if perfetto is not None:
        new_file.write(perfetto, to_perfetto(reading))


def tell(reading: Reading, out: TextIO, *, json: bool = False, every_step: bool = False) -> None:
    """Print what happens in a history, as `show` does."""
    if json:
        from inspector.views import json as view

        view.show(answer(reading, every_step), out)
        return
    from inspector.views import text

    text.show(Answer({}, table.blocks(reading, every_step, _width(out))), out)


def answer(reading: Reading, every_step: bool = False, width: int = table.WIDTH) -> AnyAnswer:
    """A history as the answer of a command; a bug if the audit finds one at its end, or when all is at rest."""
    bug = any(finding.severity == BUG for finding in (*reading.findings, *reading.lasting))
    return Answer(document(reading), table.blocks(reading, every_step, width), bug=bug).named(SCHEMA)


def _width(out: TextIO) -> int:
    return shutil.get_terminal_size().columns if out.isatty() else table.WIDTH
