"""A trace of a real Xen held against the logic of the simulated one, and which of its steps the real Xen has shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inspector.analysis.situation import SITUATIONS
from inspector.base.errors import TargetError, UsageError
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Text
from inspector.model.schema_name import schema_name
from inspector.targets.sim.refusals import refusals
from inspector.trace.last_stores import SUPPRESSED, folded, last_stores
from inspector.trace.trace_event import LIST_FIELDS, WRITE, Beginning, TraceEvent, document
from inspector.trace.trace_file import beginning_of, loads
from sim_backend.logic.versions import Version
from sim_backend.machine.acceptor import Acceptor, Seen, Verdict, steps_of_interest
from sim_backend.scenario.bugs import xen_version

if TYPE_CHECKING:
    from inspector.model.documents import Coverages

SCHEMA = schema_name("coverage")
SHOWN = 10
LIST = "blocking_list"
"""The field that says on which CPU's list a vCPU is."""


def coverage(text: str, source: str, version: str, stores_of: str | None = None) -> AnyAnswer:
    """What comes of a trace, as `trace --output` writes it.

    Args:
        stores_of: a vCPU whose stores since it was last preempted are shown.

    Raises:
        TargetError: it is none, or does not follow the lists.
        UsageError: there is no such version of the logic, or no store to that vCPU.
    """
    all_hits, _ = loads(text, source)
    hits = [hit for hit in all_hits if not hit.domain]
    beginning = beginning_of(text, source)
    if any(name not in fields for fields in beginning.fields.values() for name in LIST_FIELDS):
        raise TargetError(f"{source} does not follow the blocking lists: make it on an HVM lab (`lab up --hvm`)")
    seen = _seen(hits, source)
    with refusals():
        logic = xen_version(version)
    _refuse_strangers(beginning, seen, source)
    with refusals(source):
        verdict = _acceptor(beginning, logic).see(seen)
    answer = _answer(verdict, len(seen), version, _situations(hits, source), len(all_hits) - len(hits))
    return (_with_stores(answer, hits, source, stores_of) if stores_of else answer).named(SCHEMA)


def _situations(hits: Sequence[TraceEvent], source: str) -> Mapping[str, int] | None:
    """How often each was seen, S1 to S15; None if the trace does not tell any."""
    seen = Counter(hit.situation for hit in hits if hit.situation)
    if unknown := seen.keys() - SITUATIONS.keys():
        raise TargetError(f"{source} tells of a situation {min(unknown)[:20]!r}; expected S1 to S15, or between")
    # A trace is of a Xen.
    return {name: seen[name] for name in SITUATIONS if name.startswith("S")} if seen else None


def _seen(hits: Sequence[TraceEvent], source: str) -> list[Seen]:
    seen = []
    for hit in hits:
        if hit.kind != WRITE:
            raise TargetError(f"{source} is a trace of functions (--hooks); expected one of stores")
        if hit.vcpu is None or hit.cpu is None or hit.function is None:
            raise TargetError(f"{source} does not tell who stored: make it on an HVM lab (`lab up --hvm`)")
        seen.append(Seen(hit.cpu, hit.function, _number(hit.vcpu, source), hit.changes))
    return seen


def _refuse_strangers(beginning: Beginning, seen: Sequence[Seen], source: str) -> None:
    """Raises TargetError if a store is to a vCPU, or by or to a list of a CPU, that the beginning does not tell of."""
    known = {_number(name, source) for name in beginning.fields}
    lists = [fields.get(LIST) for fields in beginning.fields.values()]
    for each in seen:
        if each.vcpu not in known:
            raise TargetError(f"{source} tells of a store to d1v{each.vcpu}, which was not there when it began")
        lists += [each.cpu, *each.changes.get(LIST, ())]
    for cpu in lists:
        if isinstance(cpu, int) and cpu >= beginning.cpus:
            raise TargetError(f"{source} tells of CPU {cpu}; it began with {beginning.cpus}")


def _acceptor(beginning: Beginning, version: Version) -> Acceptor:
    state = {_number(name, "the trace"): fields for name, fields in beginning.fields.items()}
    return Acceptor(beginning.cpus, state, beginning.vectors, beginning.x2apic, version)


def _number(name: str, source: str) -> int:
    domain, _, vcpu = name.removeprefix("d").partition("v")
    if not (domain.isdecimal() and vcpu.isdecimal() and domain == "1" and len(vcpu) < 5):
        raise TargetError(f"{source} tells of {name[:20]!r}; expected vCPUs of domain 1, as an HVM lab has them")
    return int(vcpu)


def _with_stores(answer: Answer[Coverages], hits: Sequence[TraceEvent], source: str, vcpu: str) -> Answer[Coverages]:
    stores = last_stores(hits, vcpu)
    if not stores:
        known = ", ".join(sorted({hit.vcpu for hit in hits if hit.vcpu})) or "none"
        raise UsageError(f"{source} has no store to {vcpu[:20]}; it has some to {known}")
    columns = ("TIME (s)", "BY", "FUNCTION", "LINE", "CHANGES", "THEN")
    rows = [_row(group) for group in folded(stores)]
    whole = stores[0].changes.get("sn") != SUPPRESSED
    since = "in this trace, where it is never preempted" if whole else "from the preemption on that led to this"
    table = Table(columns, rows, f"the stores to {vcpu} {since}")
    return Answer({**answer.document, "stores": [document(hit) for hit in stores]}, [*answer.blocks, table])


def _row(hits: Sequence[TraceEvent]) -> tuple[str, ...]:
    """A store; or how often a vCPU was preempted and ran again, and nothing else."""
    first, last = hits[0], hits[-1]
    if first is last:
        where = (first.where, first.function or "-", first.line or "-", first.words())
    else:
        where = ("-", "-", "-", f"{first.words()}, {hits[1].words()}: {len(hits) // 2} times")
    return (f"{first.time:.6f}", *where, last.situation or "-")


def _answer(
    verdict: Verdict, count: int, version: str, situations: Mapping[str, int] | None, of_hooks: int
) -> Answer[Coverages]:
    all_steps = steps_of_interest()
    shown = [step for step in all_steps if verdict.steps[step]]
    rows = [(name, action, str(verdict.steps[name, action] or "-")) for name, action in all_steps]
    blocks: list[Block] = [Table(("FUNCTION", "STEP", "SEEN"), rows, numeric=frozenset({"SEEN"}))]
    if situations is None:
        blocks.append(Text("which situations were seen is not known: this trace does not tell them; make it anew"))
    else:
        lines = [(name, SITUATIONS[name], str(count or "-")) for name, count in situations.items()]
        blocks.append(Table(("SITUATION", "WHAT IT IS", "SEEN"), lines, numeric=frozenset({"SEEN"})))
    for place, each, why in verdict.refused[:SHOWN]:
        blocks.append(Text(f"refused: change {place + 1}, CPU {each.cpu} in {each.function}, d1v{each.vcpu}: {why}"))
    if of_hooks:
        changes = "changes" if of_hooks > 1 else "change"
        blocks.append(
            Text(f"{of_hooks} {changes} of pi_ops: not held against the logic, which has all hooks installed")
        )
    blocks.append(
        Text(
            f"{verdict.accepted} of {count} changes are such as the logic of Xen {version} makes"
            f"{f', {len(verdict.refused)} are not' if verdict.refused else ''}; "
            f"{len(shown)} of its {len(all_steps)} steps were seen"
            f"{_summary(situations)}"
        )
    )
    made: Coverages = {
        "version": version,
        "change_count": count,
        "hook_change_count": of_hooks,
        "accepted_count": verdict.accepted,
        "gap_count": verdict.gaps,
        "situation_counts": None if situations is None else dict(situations),
        "refused": [
            {"place": place, "cpu": each.cpu, "function": each.function, "vcpu": f"d1v{each.vcpu}", "why": why}
            for place, each, why in verdict.refused
        ],
        "steps": [
            {"function": name, "step_name": action, "count": verdict.steps[name, action]} for name, action in all_steps
        ],
    }
    return Answer(made, blocks)


def _summary(situations: Mapping[str, int] | None) -> str:
    return f"; situations {' '.join(name for name, count in situations.items() if count)}" if situations else ""
