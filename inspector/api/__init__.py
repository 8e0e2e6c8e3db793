"""vtdpi from Python: what the commands tell, as typed data.

A dump, a log or a saved snapshot is opened, a live Xen attached to, a simulated one made; each is then the same:

>>> import vtdpi
>>> with vtdpi.sim("idle") as target:
...     target.run("block d1v0").document["events"][0]["function"]
...     snapshot = target.snapshot()
'idle_loop'
>>> [vcpu.name for vcpu in snapshot.vcpus if vcpu.blocked and vcpu.pi]
['d1v0']
>>> vtdpi.audit(snapshot).bugs
()

Tables are columns, NumPy arrays by name; `to_pandas()` makes a frame of them, and a notebook's cell prints them:

>>> table = snapshot.irt()
>>> table["vector"][table["format"] == "posted"].tolist()
[48, 56]
>>> snapshot.vcpu_table()["name"].tolist()
['d0v0', 'd1v0', 'd1v1']

The explorer runs every order of a scenario's events; a property that does not hold comes with the history that
breaks it:

>>> vtdpi.check("two-blocked", properties=["no lost wakeup"]).holds
True

Errors are VtdpiError, with what was `expected` and `found`, and what `advice` there is, where that is known:

>>> try:
...     vtdpi.audit(snapshot, rule="D99")
... except vtdpi.UsageError as error:
...     error.found
'D99'

A package of one's own adds commands by entry points of the group `vtdpi.commands`, and rules of the audit by those of
`vtdpi.rules`.
"""

from __future__ import annotations

from importlib import import_module

from inspector import __version__

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from inspector.api.audit import Audit, BugsFound, audit
    from inspector.api.target import Target, live, open, sim
    from inspector.audit.rule import BUG, INFO, WARNING, Finding, Found, Rule, rule
    from inspector.base.arguments import NoArguments, Word, argument, flag, option
    from inspector.base.errors import (
        ExpectationFailed,
        NotHere,
        NotReadable,
        StaleError,
        TargetError,
        UsageError,
        VtdpiError,
    )
    from inspector.capture.inspection import Inspection
    from inspector.commands.command import Command, Example, Stream, command
    from inspector.explore.checking import Checked, PropertyBroken, check
    from inspector.model.answer import Answer, Facts, Table, Text
    from inspector.model.data_table import DataTable
    from inspector.model.snapshot import Snapshot, Vcpu

_PLACES = {
    "inspector.api.audit": ("Audit", "BugsFound", "audit"),
    "inspector.explore.checking": ("Checked", "PropertyBroken", "check"),
    "inspector.api.target": ("Target", "live", "open", "sim"),
    "inspector.audit.rule": ("BUG", "INFO", "WARNING", "Finding", "Found", "Rule", "rule"),
    "inspector.base.arguments": ("NoArguments", "Word", "argument", "flag", "option"),
    "inspector.base.errors": (
        *("ExpectationFailed", "NotHere", "NotReadable", "StaleError", "TargetError", "UsageError", "VtdpiError"),
    ),
    "inspector.capture.inspection": ("Inspection",),
    "inspector.commands.command": ("Command", "Example", "Stream", "command"),
    "inspector.model.answer": ("Answer", "Facts", "Table", "Text"),
    "inspector.model.data_table": ("DataTable",),
    "inspector.model.snapshot": ("Snapshot", "Vcpu"),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "BUG",
    "INFO",
    "WARNING",
    "Answer",
    "Audit",
    "BugsFound",
    "Checked",
    "Command",
    "DataTable",
    "Example",
    "ExpectationFailed",
    "Facts",
    "Finding",
    "Found",
    "Inspection",
    "NoArguments",
    "NotHere",
    "NotReadable",
    "PropertyBroken",
    "Rule",
    "Snapshot",
    "StaleError",
    "Stream",
    "Table",
    "Target",
    "TargetError",
    "Text",
    "UsageError",
    "Vcpu",
    "VtdpiError",
    "Word",
    "__version__",
    "argument",
    "audit",
    "check",
    "command",
    "flag",
    "live",
    "open",
    "option",
    "rule",
    "sim",
]


def __getattr__(name: str) -> Any:
    # Only what is used is imported: `python -m vtdpi --version` needs nothing of it.
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACE_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
