"""The command `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspector.analysis import vcpu_words as words
from inspector.analysis.report import Chain, Entry, Link, RemappingTable, Report
from inspector.audit import audit, coverage
from inspector.audit.explanation import explained
from inspector.base import new_file
from inspector.base.arguments import FileName, argument, flag, option
from inspector.base.errors import UNREADABLE, NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.irt import irt
from inspector.commands.vcpus import COLUMNS, vcpus
from inspector.model.answer import Answer, Table, Text
from inspector.model.snapshot import BlockingList, Snapshot
from inspector.targets.watchpoint import SECONDS, Watchpoint
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents
    from inspector.trace.trace_event import TraceEvent

LINKS = 256
RUN_SECONDS = 60.0


@frozen
class Arguments:
    """What it takes."""

    file: FileName = argument("where to; HTML, or SVG with --svg; - is stdout")
    svg: bool = flag("a picture instead of a page")
    trace: FileName | None = option("also a timeline of this trace (JSON lines)", group="times")
    run: int = option("let it run first, with a timeline of so many transitions", 0, group="times")


@command(
    Arguments,
    Example("live", "report machine.html"),
    Example("dump FILE", "report machine.html --trace trace.jsonl", "with a timeline of what `trace --output` wrote"),
    Example("sim", "report machine.html --run 300", "the same, of the next 300 transitions, as `trace` does"),
    Example("sim", "report machine.svg --svg", "a picture, for a bug report"),
)
def report(inspection: Inspection, arguments: Arguments) -> Answer[documents.File]:
    """One page about all of it, to read, keep or send: a file that needs nothing else, on a phone as on a desk."""
    hits, unit = _trace(arguments.trace) if arguments.trace else ([], SECONDS)
    if arguments.run:
        hits, unit = _run(inspection, arguments.run)
        inspection = inspection.again()
    made = gather(inspection, hits, unit)
    if arguments.svg:
        from inspector.views.html.picture import picture

        source = picture(made)
    else:
        from inspector.views.html.page import page

        source = page(made)
    read = [arguments.trace] if arguments.trace else []
    if arguments.file == "-":
        whole: documents.File = {"file": "-", "size": len(source.encode("utf-8", "replace"))}
        return Answer(whole, [Text(source.rstrip("\n"))], made.problems)
    new_file.write(arguments.file, source, keep=(*inspection.target.files, *read))
    document: documents.File = {
        "file": arguments.file,
        "size": len(source.encode("utf-8", "replace")),
        "finding_count": len(made.findings),
    }
    what = f"{_counted(len(made.vcpus.rows), 'vCPU')} and {_counted(len(made.findings), 'finding')}"
    said = f"{what} reported in {arguments.file}"
    return Answer(document, [Text(said)], made.problems)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def gather(inspection: Inspection, hits: Sequence[TraceEvent] = (), unit: str = SECONDS) -> Report:
    """Everything that a report of this look shows. What cannot be read is one of its `problems`."""
    snapshot = inspection.snapshot
    problems = list(snapshot.problems)
    shown: Table | None = None
    if snapshot.vcpus:
        shown = next(block for block in vcpus.answer(inspection).blocks if isinstance(block, Table))
    version = f"Xen {snapshot.version.partition('+')[0]}" if snapshot.version else "A machine without a known Xen"
    if snapshot.is_linux and snapshot.kernel:
        version = f"Linux {snapshot.kernel.release}"
    return Report(
        f"{version}: interrupt remapping and posting",
        _facts(snapshot),
        [explained(finding) for finding in audit(snapshot)],
        shown or Table(COLUMNS, []),
        [_chain(snapshot, of_cpu) for of_cpu in snapshot.lists],
        _tables(inspection, problems),
        list(dict.fromkeys(problems)),
        hits,
        unit,
        (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector),
    )


def _trace(path: str) -> tuple[Sequence[TraceEvent], str]:
    from inspector.trace.trace_file import loads, read

    return loads(read(path), path)


def _run(inspection: Inspection, count: int) -> tuple[Sequence[TraceEvent], str]:
    """The next transitions of a machine that can run."""
    # Only here, for the plugin in gdb, where no trace is, has not the packages that read one.
    from inspector.trace.tracer import trace, traced

    target: object = inspection.target
    if not isinstance(target, Watchpoint):
        raise NotHere(f"{inspection.target.description} stands still for good; --trace FILE takes a trace made before")
    followed = [vcpu for vcpu in inspection.machine().vcpus if vcpu.pi]
    if not followed:
        raise NotHere("no vCPU here has a posted-interrupt descriptor: nothing to follow")
    found = traced(trace(inspection, target, followed, {}, count, RUN_SECONDS))
    return found.hits, found.unit


def _kernel(snapshot: Snapshot) -> list[tuple[str, str]]:
    if snapshot.is_linux and snapshot.kernel:
        return [("Linux", snapshot.kernel.release), ("build-id", snapshot.kernel.build_id or "not known")]
    return [("Xen", snapshot.version or "not known"), ("build-id", snapshot.build_id or "not known")]


def _facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    online = f"{len(snapshot.online)} online" if snapshot.cpus else "not known"
    offline = len(snapshot.cpus) - len(snapshot.online)
    vectors = (snapshot.posted_intr_vector, snapshot.pi_wakeup_vector)
    return [
        ("target", snapshot.target),
        *_kernel(snapshot),
        ("CPUs", f"{online}, {offline} offline" if offline else online),
        ("interrupt remapping", _on(snapshot.intremap)),
        ("interrupt posting", _on(snapshot.intpost)),
        ("x2APIC", _on(snapshot.x2apic)),
        ("vectors", ", ".join("not known" if v is None else f"{v:#x}" for v in vectors) + " (notification, wakeup)"),
        ("audit", str(coverage(snapshot))),
        (
            "VT-d units",
            ", ".join(unit.name.removeprefix("unit ") + _at(unit.register_base) for unit in snapshot.units) or "none",
        ),
    ]


def _on(value: bool | None) -> str:
    return "not known" if value is None else "on" if value else "off"


def _chain(snapshot: Snapshot, of_cpu: BlockingList) -> Chain:
    cpu = snapshot.by_cpu.get(of_cpu.cpu)
    state = ("offline" if cpu and not cpu.online else "online") + (", lock held" if of_cpu.locked else ", lock free")
    links = [_link(snapshot, node.vcpu, node.address) for node in of_cpu.nodes[:LINKS]]
    if len(of_cpu.nodes) > LINKS:
        links.append(Link(f"and {len(of_cpu.nodes) - LINKS} more"))
    return Chain(of_cpu.cpu, state, links, of_cpu.broken)


def _link(snapshot: Snapshot, name: str | None, address: int) -> Link:
    if name is None:
        return Link(f"{address:#x}", "no vCPU's")
    vcpu = snapshot.by_name.get(name)
    pi = vcpu.pi if vcpu else None
    marks = [mark for mark, there in (("ON", pi and pi.on), ("SN", pi and pi.sn)) if there]
    if pi and pi.pir:
        marks.append(f"PIR {words.vectors(pi.pir)}")
    return Link(name, " ".join(marks))


def _tables(inspection: Inspection, problems: list[str]) -> list[RemappingTable]:
    try:
        answer = irt.answer(inspection)
    except UNREADABLE as error:
        if inspection.snapshot.units:
            problems.append(str(error))
        return []
    problems += answer.problems
    rows = [block for block in answer.blocks if isinstance(block, Table)]
    return [_table(unit, table) for unit, table in zip(answer.document["units"], rows, strict=True)]


def _table(unit: Mapping[str, Any], rows: Table) -> RemappingTable:
    entries = [
        Entry(entry["index"], entry["format"], " ".join(cell for cell in row if cell not in ("", "-")))
        for entry, row in zip(unit["entries"], rows.rows, strict=True)
    ]
    name = f"unit {unit['unit']}"
    title = f"{name}{_at(unit['register_base'])}: {unit['size']} entries, {len(entries)} present"
    return RemappingTable(title, unit["size"], entries, rows, name)


def _at(base: int) -> str:
    """Where a unit's registers are; nothing where that is not known, as in a log."""
    return f" at {base:#x}" if base else ""
