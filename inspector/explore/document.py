"""A history, read, as one JSON document.

    schema          its name and version
    kind            "vtdpi reading"
    scenario        its name and title
    version         of the logic
    property, why   which property the history breaks or shows, and how; null if it tells neither
    start           by vCPU: `state` (its fields, see `inspector.explore.steps.State`) and `situation`
    steps           each: number, actor, function, action, effect (text or null),
                    changes: by vCPU and field {"before", "after"}; situations: by vCPU, where that changed
    findings        the audit's after the last step: rule, severity, subject, message, suspicion
    later           how many steps later the machine is at rest; null if it does not come to rest
    lasting         the audit's findings then
    fired           with --audit-steps: each finding with the `step` that it was first found at; else null
    crashed         why the machine cannot go on, or null

Numbers are integers; vectors are arrays of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inspector.explore.steps import Reading, Step, Value

if TYPE_CHECKING:
    from inspector.model.documents import FieldValue, History, HistoryStep, VcpuAtStart

SCHEMA = "vtdpi/history/2"
KIND: Final = "vtdpi reading"


def document(reading: Reading) -> History:
    """The document."""
    start: dict[str, VcpuAtStart] = {
        name: {
            "state": {field: _plain(value) for field, value in state.items()},
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
        "number": step.number,
        "actor": step.actor,
        "function": step.function,
        "action": step.action,
        "effect": step.effect,
        "changes": {
            name: {field: {"before": _plain(old), "after": _plain(new)} for field, (old, new) in changes.items()}
            for name, changes in step.changes.items()
        },
        "situations": dict(step.situations),
    }


def _plain(value: Value) -> FieldValue:
    return list(value) if isinstance(value, tuple) else value
