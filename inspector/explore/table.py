"""A history as text: a step a row, each actor's steps where its column begins, what they changed on the right.

Only one actor moves in a step, so its words may run on over the columns of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import wrap

from inspector.analysis import vcpu_words as words
from inspector.analysis.situation import label
from inspector.audit import Finding
from inspector.explore.steps import QUIET, Change, Reading, State, Step, Value, actors
from inspector.model.answer import Block, Facts, Table, Text
from inspector.model.snapshot import Snapshot

WIDTH, NARROWEST = 100, 80
"""A page's width if nothing tells it; below the second there is no room for columns of actors."""
NUMBER, GAP, CHANGES, LEAST = 7, 2, 34, 22
INDENT = "  "
FINDINGS = ("SEVERITY", "RULE", "SUBJECT", "FINDING")
STATES = ("VCPU", "PIR", "ON", "SN", "NV", "NDST", "LIST", "SITUATION")
WORDS = {
    "blocked": "VPF_blocked",
    "pauses": "paused",
    "running": "is_running",
    "cpu": "CPU",
    "guest": "in guest",
    "irr": "vIRR",
    "lock": "list lock",
}


def blocks(reading: Reading, every_step: bool = False, width: int = WIDTH) -> list[Block]:
    """What to print.

    Args:
        reading: the history.
        every_step: give each step a row; else what one actor does unseen stands in one.
        width: of the page, in characters.
    """
    about = [("scenario", reading.title), ("version", reading.version)]
    about += [(name, text) for name, text in (("property", reading.property), ("why", reading.why)) if text]
    made: list[Block] = [Facts(about), states("before the first step", reading.before, reading.situations)]
    made.append(_steps(reading, every_step, width) if width >= NARROWEST else _narrow_steps(reading, every_step))
    if reading.crashed:
        made.append(Text(f"The machine cannot go on: {reading.crashed}"))
    made.append(states("after the last step", reading.after, last(reading)))
    return made + _verdict(reading)


def _steps(reading: Reading, every_step: bool, width: int) -> Table:
    lanes = width - NUMBER - CHANGES - 2 * GAP
    grouped = groups(reading.steps, every_step)
    longest = max((len(word) for group in grouped for word in said(group).split()), default=0)
    places = _places(actors(reading), lanes - max(LEAST, longest + len(INDENT)))
    rows = []
    for group in grouped:
        place = places[group[0].actor]
        words_of_it = _wrapped(said(group), lanes - place)
        changed = [line for words_of_one in changes(reading, group) for line in _wrapped(words_of_one, CHANGES)]
        rows.append((number(group), "\n".join(" " * place + line for line in words_of_it), "\n".join(changed)))
    return Table(("STEP", _head(places), "CHANGES"), rows, numeric=frozenset(("STEP",)))


def _narrow_steps(reading: Reading, every_step: bool) -> Table:
    """With the actors in a column, and what a step changes below what it does."""
    rows = []
    for group in groups(reading.steps, every_step):
        lines = [said(group), *(f"-> {changed}" for changed in changes(reading, group))]
        rows.append((number(group), short(group[0].actor), "\n".join(lines)))
    return Table(("STEP", "ACTOR", "ACTION"), rows, numeric=frozenset(("STEP",)))


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, subsequent_indent=INDENT, break_on_hyphens=False)


def _places(names: Sequence[str], rightmost: int) -> dict[str, int]:
    """Where each actor's words begin: at the rightmost there, so that all have some room."""
    places, place = {}, 0
    for actor in names:
        places[actor] = min(place, rightmost)
        place += len(short(actor)) + 2
    return places


def _head(places: Mapping[str, int]) -> str:
    head = ""
    for actor, place in places.items():
        head = head.ljust(place)[:place] + short(actor) if len(head) <= place else f"{head} {short(actor)}"
    return head


def short(actor: str) -> str:
    """An actor's name for a column."""
    return actor.removeprefix("device ").removeprefix("VT-d ").replace("store buffer of CPU", "buffer")


def groups(steps: Sequence[Step], every_step: bool = False) -> list[list[Step]]:
    """The steps that share a row: each actor's that change nothing to be seen, until one does that changes something.

    Rows of several actors may so overlap in number: in which order they moved changes nothing to be seen either.
    """
    found: list[list[Step]] = []
    unseen: dict[str, list[Step]] = {}
    for step in steps:
        if step.visible or every_step:
            unseen.clear()
            found.append([step])
        elif step.actor in unseen:
            unseen[step.actor].append(step)
        else:
            unseen[step.actor] = [step]
            found.append(unseen[step.actor])
    return found


def number(group: Sequence[Step]) -> str:
    """Which steps these are."""
    return str(group[0].number) if len(group) == 1 else f"{group[0].number}-{group[-1].number}"


def said(group: Sequence[Step]) -> str:
    """What these steps do."""
    if len(group) > 1:
        names = list(dict.fromkeys(step.function for step in group))
        shown = names if len(names) < 4 else [*names[:2], "\u2026", names[-1]]
        return f"({len(group)} steps: {', '.join(shown)})"
    step = group[0]
    if step.ordered:
        return f"{step.function} {step.action}".strip()
    return f"{step.function}: {step.action}"


def changes(reading: Reading, group: Sequence[Step]) -> Iterator[str]:
    """What these steps change, a line each; of several, what is not to be seen is left out."""
    for step in group:
        for name, changed in step.changes.items():
            fields = [field for field in changed if field not in QUIET or len(group) == 1]
            parts = [change(naming(reading), field, *changed[field]) for field in fields]
            if _gained(changed) and "on" not in changed:
                parts.append(f"on stays {_state(reading, name, step)['on']}")
            if parts:
                yield f"{name} {', '.join(parts)}"
        for name, where in step.situations.items():
            yield f"{name} = {standing(where)}"
        if step.effect and len(group) == 1:
            yield step.effect


def _state(reading: Reading, name: str, until: Step) -> State:
    state = dict(reading.start.get(name, {}))
    for step in reading.steps[: until.number]:
        state.update({field: after for field, (_, after) in step.changes.get(name, {}).items()})
    return state


def naming(reading: Reading) -> Snapshot:
    """A snapshot that knows all CPUs that there were, so that destinations can be named."""
    cpus = {cpu.cpu: cpu for cpu in (*reading.after.cpus, *reading.before.cpus)}
    return replace(reading.before, cpus=tuple(cpus.values()))


def _gained(changed: Mapping[str, Change]) -> bool:
    """Whether a vector was posted."""
    before, after = changed.get("pir", ((), ()))
    return isinstance(before, tuple) and isinstance(after, tuple) and not set(after) <= set(before)


def change(snapshot: Snapshot, field: str, before: Value, after: Value) -> str:
    """A change in words: `sn 0 -> 1`, `pir +0x30`."""
    name = WORDS.get(field, field)
    if isinstance(before, tuple) and isinstance(after, tuple):
        signs = {"+": sorted(set(after) - set(before)), "-": sorted(set(before) - set(after))}
        return f"{name} " + " ".join(f"{sign}{vector:#04x}" for sign, some in signs.items() for vector in some)
    if field == "there":
        return "is created" if after else "is gone"
    return f"{name} {value(snapshot, field, before)} -> {value(snapshot, field, after)}"


def value(snapshot: Snapshot, field: str, shown: Value) -> str:
    """A field's value in words."""
    if isinstance(shown, tuple):
        return words.vectors(shown)
    if shown is None:
        return "none"
    if field == "nv" and isinstance(shown, int):
        return words.vector_name(snapshot, shown)
    if field == "ndst" and isinstance(shown, int):
        return words.destination(snapshot, shown)
    return f"CPU {shown}" if field in ("list", "lock") else str(shown)


def standing(where: str | None) -> str:
    """A situation in words."""
    return label(where) if where else "not known"


def last(reading: Reading) -> dict[str, str | None]:
    """The vCPUs' situations at the end."""
    stands = dict(reading.situations)
    for step in reading.steps:
        stands.update(step.situations)
    return stands


def states(title: str, snapshot: Snapshot, situations: Mapping[str, str | None]) -> Table:
    """The vCPUs with their descriptors."""
    rows = []
    for vcpu in snapshot.vcpus:
        if vcpu.pi:
            pi = vcpu.pi
            listed = "-" if vcpu.blocking_list is None else f"CPU {vcpu.blocking_list}"
            notifies = (words.vector_name(snapshot, pi.nv), words.destination(snapshot, pi.ndst), listed)
            start = (vcpu.name, words.vectors(pi.pir), str(pi.on), str(pi.sn))
            rows.append((*start, *notifies, standing(situations.get(vcpu.name))))
    return Table(STATES, rows, title)


def _verdict(reading: Reading) -> list[Block]:
    """What the audit says."""
    made: list[Block] = [_findings("The audit, after the last step", reading.findings)]
    if reading.later is None and not reading.crashed:
        made.append(Text("The machine does not come to rest, even if nothing more is asked of it."))
    elif reading.later is not None:
        when = "at once" if not reading.later else f"{reading.later} steps later"
        made.append(_findings(f"The audit when the machine is at rest, {when}", reading.lasting))
    if reading.fired is not None:
        rows = [(str(step), *_row(finding)) for step, finding in reading.fired]
        title = "What the audit found on the way, and at which step first"
        found = Table(("STEP", *FINDINGS), rows, title, numeric=frozenset(("STEP",)))
        made.append(found if rows else Text("On the way, the audit found nothing."))
    return made


def _findings(title: str, findings: Sequence[Finding]) -> Block:
    return Table(FINDINGS, [_row(finding) for finding in findings], title) if findings else Text(f"{title}: nothing.")


def _row(finding: Finding) -> tuple[str, str, str, str]:
    return finding.severity, finding.rule, finding.subject, finding.message
