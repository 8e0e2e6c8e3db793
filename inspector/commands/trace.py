"""The command `trace`."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from inspector.analysis import vcpu_words as words
from inspector.analysis.situation import situation
from inspector.base import new_file
from inspector.base.arguments import FileName, Word, argument, flag, option
from inspector.base.errors import NotHere, UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import VcpuName, seconds
from inspector.commands.command import Example, Stream, command
from inspector.model.answer import Answer, Block, Text
from inspector.model.snapshot import BLOCK, Snapshot, Vcpu
from inspector.targets.target import Control
from inspector.targets.watchpoint import Watchpoint
from inspector.trace import perfetto, tracer
from inspector.trace.functions import Functions
from inspector.trace.trace_event import SECONDS, TraceEvent, dumps
from inspector.trace.trace_event import document as event_document
from inspector.trace.tracer import Trace
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COUNT, LIMIT_SECONDS = 100, 10.0
LINE = "{:>12}  {:<8} {:<30} {:<6} {}"
LONGEST = 86400

HOOKS = (
    *("vmx_vcpu_block", "vmx_pi_switch_from", "vmx_pi_switch_to", "vmx_pi_do_resume", "pi_wakeup_interrupt"),
    *("pi_notification_interrupt", "vmx_pi_unblock_vcpu", "vmx_pi_desc_fixup", "vmx_pi_per_cpu_init"),
    *("vmx_pi_hooks_assign", "vmx_pi_hooks_deassign", "vmx_deliver_posted_intr"),
)
"""The posted-interrupt logic, by Xen's names."""


@frozen
class Arguments:
    """What it takes."""

    vcpus: tuple[VcpuName, ...] = argument("only these (default: all)", ())
    hooks: bool = flag("stop at the functions of the posted-interrupt logic")
    hook: tuple[str, ...] = option("stop there; may be repeated", (), metavar="FUNCTION")
    callers: bool = flag("of functions that are entered, also who called them")
    count: int = option(f"at most so many (default {COUNT})", COUNT)
    seconds: Annotated[float, Word("S", seconds(1e-9, LONGEST))] = option(
        f"and so long (default {LIMIT_SECONDS:g})", LIMIT_SECONDS
    )
    still: Annotated[float | None, Word("S", seconds(1e-9, LONGEST))] = option("and until nothing changes for so long")
    output: FileName | None = option("write it as JSON lines, which `report --trace` reads")
    perfetto: FileName | None = option("write it for ui.perfetto.dev: a track per CPU and per vCPU")


@command(
    Arguments,
    Example("sim --scenario wakeup-storm", "trace"),
    Example("live", "trace d1v0 d1v2 --count 1000 --seconds 30"),
    Example("live", "trace --hooks", "the functions of the posted-interrupt logic"),
    Example("live", "trace --hook vcpu_wake --callers", "one function: which vCPU is woken, and by whom"),
    Example("sim", "trace --output t.jsonl --perfetto t.json", "for scripts; for ui.perfetto.dev"),
    while_running=True,
    instead_in_gdb="a trace needs the stub for itself: `detach`, then outside of gdb `vtdpi live HOST:PORT trace`",
)
def trace(inspection: Inspection, arguments: Arguments) -> Stream[documents.Trace]:
    """Follow the transitions themselves: every change of a posted-interrupt descriptor, or every entry of a function.

    On an HVM lab also every change of the lists of blocked vCPUs, and of a domain's posting hooks (`pi_ops`).
    This lets the machine RUN, and stops it at each transition for a moment: with hardware watchpoints and breakpoints,
    so that nothing is written to its memory. Afterwards none of them is left, and it stands still or runs as before.
    Ctrl-C ends it early. A store that changes nothing is no transition. Through gdb, the function is the nearest that
    the profile names, and a device's post is recognised by what it changes.
    """
    target: object = inspection.target
    if not isinstance(target, Watchpoint):
        raise NotHere(
            f"{inspection.target.description} stands still for good: only a live or simulated machine is traced"
        )
    was_running = isinstance(target, Control) and target.running
    if isinstance(target, Control) and was_running:
        target.stop()
        inspection = inspection.again()
    try:
        snapshot = inspection.machine()
        hooks = _hooks(inspection, arguments)
        vcpus = _vcpus(snapshot, arguments, hooks)
        found = yield from _lines(
            tracer.trace(
                *(inspection, target, vcpus, hooks, arguments.count, arguments.seconds, _situation),
                arguments.still or math.inf,
                arguments.callers,
            ),
            target.unit,
        )
    finally:
        if isinstance(target, Control) and was_running:
            target.cont()
    if arguments.output:
        new_file.write(arguments.output, dumps(found.hits, found.unit, found.beginning), keep=inspection.target.files)
    if arguments.perfetto:
        vectors = (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector)
        source = perfetto.dumps(found.hits, found.unit, vectors)
        new_file.write(arguments.perfetto, source, keep=inspection.target.files)
    document: documents.Trace = {
        "time_unit": found.unit,
        "ended": found.ended,
        "hits": [event_document(hit) for hit in found.hits],
        "left_out": list(found.left_out),
    }
    blocks = [Text(f"{len(found.hits)} transition{'' if len(found.hits) == 1 else 's'}; {found.ended}")]
    if found.left_out:
        blocks.append(Text(f"not watched, for want of watchpoints (name fewer vCPUs): {', '.join(found.left_out)}"))
    return Answer(document, blocks)


def _situation(snapshot: Snapshot, vcpu: Vcpu) -> str | None:
    found = situation(snapshot, vcpu)
    return found.id if found else None


def _lines(hits: Generator[TraceEvent, None, Trace], unit: str) -> Generator[Block, None, Trace]:
    """A line for each hit, when it happens, below a head."""
    head = LINE.format(f"TIME ({unit})", "BY", "FUNCTION", "VCPU", "CHANGES") + "\n"
    go_on: Callable[[], TraceEvent] = partial(next, hits)
    try:
        while True:
            hit = go_on()
            time = f"{hit.time:.6f}" if unit == SECONDS else f"{hit.time:g}"
            words = (hit.words() or "-") + (f"  ({hit.line})" if hit.line else "")
            words = f"with {hit.argument}: {words}" if hit.argument else words
            words += f"  from {' < '.join(hit.callers)}" if hit.callers else ""
            line = LINE.format(time, hit.where, hit.function or "-", hit.whose or "-", words)
            try:
                yield Text(head + line)
            except KeyboardInterrupt as interrupt:
                go_on = partial(hits.throw, interrupt)
            else:
                go_on = partial(next, hits)
            head = ""
    except StopIteration as end:
        found: Trace = end.value
        return found


def _vcpus(snapshot: Snapshot, arguments: Arguments, hooks: dict[str, int]) -> list[Vcpu]:
    """Those whose descriptors are followed: the named ones; all that have one, those with posting hooks first."""
    if arguments.vcpus:
        chosen = [words.choose(snapshot, name) for name in arguments.vcpus]
        if without := [vcpu.name for vcpu in chosen if vcpu.pi is None]:
            raise UsageError(f"{', '.join(without)}: no posted-interrupt descriptor is known; see `vcpus`")
        return chosen
    chosen = sorted((vcpu for vcpu in snapshot.vcpus if vcpu.pi), key=lambda vcpu: BLOCK not in vcpu.hooks)
    if not chosen and not hooks:
        raise NotHere("no vCPU here has a posted-interrupt descriptor; --hook FUNCTION follows a function of Xen's")
    return chosen


def _hooks(inspection: Inspection, arguments: Arguments) -> dict[str, int]:
    """The functions to stop at, with their addresses."""
    assert inspection.xen
    functions = Functions(inspection.xen.profile)
    if unknown := [name for name in arguments.hook if name not in functions.names]:
        raise UsageError(f"no function {unknown[0]!r} in this Xen's profile; there are {', '.join(functions.names)}")
    wanted = [*arguments.hook, *(name for name in HOOKS if arguments.hooks and name in functions.names)]
    return {name: functions[name] for name in wanted}
