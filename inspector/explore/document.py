"""A history, read, as one JSON document.

    schema          its name and version
    kind            "vtdpi reading"
    scenario        its name and title
    version         of the logic
    property, why   which property the history breaks or shows, and how; null if it tells neither
    start           by vCPU: `fields` (of `inspector.explore.steps.State`, as `vcpus` names them) and `situation`
    steps           each: step, actor, function, action, effect (text or null),
                    changes: by vCPU and field {"before", "after"}; situations: by vCPU, where that changed
    findings        the audit's after the last step: rule, severity, subject, message, suspicion
    later           how many steps later the machine is at rest; null if it does not come to rest
    lasting         the audit's findings then
    fired           with --audit-steps: each finding with the `step` that it was first found at; else null
    crashed         why the machine cannot go on, or null

Numbers are integers; vectors are arrays of them; what is so or not is a boolean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inspector.explore.steps import Reading, Step, Value
from inspector.model.schema_name import schema_name

if TYPE_CHECKING:
    from inspector.model.documents import FieldValue, History, HistoryStep, VcpuAtStart

SCHEMA = schema_name("history")
NAMES = {
    "list": "blocking_list",
    "lock": "blocking_lock",
    "pauses": "pause_count",
    "running": "is_running",
    "guest": "in_guest",
}
"""What `vcpus --json` calls those fields that a history's table calls otherwise, to be short."""
FLAGS = ("blocked", "running", "guest", "there")
KIND: Final = "vtdpi reading"


def document(reading: Reading) -> History:
    """The document."""
    start: dict[str, VcpuAtStart] = {
        name: {
            "fields": {NAMES.get(field, field): _plain(field, value) for field, value in state.items()},
            "situation": reading.situations.get(name),
        }
        for name, state in reading.start.items()
    }
    return {
        "kind": KIND,
        "scenario": reading.title,
        "version": reading.version,
        "property": reading.property,
        "why": reading.why,
        "start": start,
        "steps": [_step(step) for step in reading.steps],
        "findings": [finding.document() for finding in reading.findings],
        "later": reading.later,
        "lasting": [finding.document() for finding in reading.lasting],
        "fired": None
        if reading.fired is None
        else [{"step": step, **finding.document()} for step, finding in reading.fired],
        "crashed": reading.crashed,
    }


def _step(step: Step) -> HistoryStep:
    return {
        "step": step.number,
        "actor": step.actor,
        "function": step.function,
        "action": step.action,
        "effect": step.effect,
        "changes": {
            name: {
                NAMES.get(field, field): {"before": _plain(field, old), "after": _plain(field, new)}
                for field, (old, new) in changes.items()
            }
            for name, changes in step.changes.items()
        },
        "situations": dict(step.situations),
    }


def _plain(field: str, value: Value) -> FieldValue:
    if field in FLAGS and value is not None:
        return bool(value)
    return list(value) if isinstance(value, tuple) else value
