"""The command `watch`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

from inspector.analysis import vcpu_words as words
from inspector.base.arguments import Word, flag, option
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import seconds
from inspector.commands.blocked import list_document
from inspector.commands.command import Example, Stream, command
from inspector.model.answer import Answer, Text, Told
from inspector.watch.lines import lines
from inspector.watch.looks import COLUMNS, Looks, Seen
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

INTERVAL, STEPS = 0.5, 500
MEMBERS = {
    **{name: name.lower() for name in ("CPU", "SITUATION")},
    **{name: f"pi.{name.lower()}" for name in ("PIR", "ON", "SN", "NV", "NDST")},
    "VCPU": "name",
    "STATE": "runstate",
    "LIST": "blocking_list",
}
"""Of the document, by the columns that show them."""


@frozen
class Arguments:
    """What it takes."""

    interval: Annotated[float, Word("S", seconds(0.05, 60, "interval", "0.05 to 60 seconds"))] = option(
        f"seconds between looks (default {INTERVAL:g})", INTERVAL
    )
    count: int = option("leave after so many looks (default: go on)", 0)
    json: bool = flag("one JSON document a look, each on a line, and nothing else")
    steps: int = option(f"(sim) steps between two looks (default {STEPS})", STEPS)


@command(
    Arguments,
    Example("sim --scenario wakeup-storm", "watch"),
    Example("live", "watch --interval 2"),
    Example("live", "watch --count 10 > looks.txt"),
    while_running=True,
    instead_in_gdb="a watch needs the machine for itself: `detach`, then outside of gdb `vtdpi live HOST:PORT watch`",
)
def watch(inspection: Inspection, arguments: Arguments) -> Answer[documents.Watch] | Stream[documents.Watch]:
    """A live table of vCPUs, descriptors and lists: what changed since the last look is marked, findings as they come.

    This lets a live machine RUN, and stops it for each look only; the table tells for how long. A simulated machine
    does some steps between two looks. Afterwards the machine stands still, or runs, as before.

    Keys: space looks once, c goes on, + and - change the interval, q leaves. Without a terminal: lines of what changed.
    """
    if arguments.json or not _is_terminal():
        return _lines(inspection, arguments)
    # Only here, for it brings what draws on terminals.
    from inspector.watch.screen import Screen

    with Looks(inspection, arguments.steps) as looks:
        return _answer(Screen(looks, inspection.target.description, arguments.interval, arguments.count).run())


def _lines(inspection: Inspection, arguments: Arguments) -> Stream[documents.Watch]:
    """A line for each change, until the count is reached or Ctrl-C."""
    last = None
    with Looks(inspection, arguments.steps) as looks:
        try:
            while not arguments.count or not last or last.number < arguments.count:
                last = looks.take((lambda: time.sleep(arguments.interval)) if last else lambda: None)
                yield Told("\n".join(lines(last)), {"schema": watch.schema, **_document(last)})
        except KeyboardInterrupt:
            pass
    return _answer(last)


def _answer(last: Seen | None) -> Answer[documents.Watch]:
    """What the last look saw."""
    if last is None:
        return Answer({"look": 0, "findings": []}, [Text("no look")])
    return Answer(_document(last), [Text(f"{last.number} looks")], last.problems)


def _document(seen: Seen) -> documents.Watch:
    snapshot = seen.snapshot
    said: dict[str, list[documents.Finding]] = {}
    for finding in seen.findings:
        said.setdefault(finding.subject, []).append(finding.document())
    vcpus: list[documents.WatchedVcpu] = [
        {
            **words.document(snapshot, vcpu),
            "findings": said.get(vcpu.name, []),
            "changed": [MEMBERS[name] for name, is_new in zip(COLUMNS, row.changed, strict=True) if is_new],
        }
        for vcpu, row in zip(snapshot.vcpus, seen.rows, strict=True)
    ]
    return {
        "look": seen.number,
        "findings": [finding.document() for finding in seen.findings],
        "fresh": [finding.document() for finding in seen.fresh],
        "suspicion_count": seen.suspicions,
        "stopped_seconds": seen.stopped,
        "vcpus": vcpus,
        "lists": [list_document(snapshot, of_cpu) for of_cpu in snapshot.lists],
    }


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
