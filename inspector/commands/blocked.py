"""The command `blocked`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.audit import audit
from inspector.base.arguments import argument
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import CpuNumber
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Table, Text
from inspector.model.snapshot import BlockingList, Snapshot
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

RULES = ("D9", "D10", "D11", "D12", "D27", "D41", "D42", "D46", "D47")
SHOWN = 64


@frozen
class Arguments:
    """What it takes."""

    cpu: CpuNumber | None = argument("only this CPU's, node by node", None)


@command(
    Arguments,
    Example("live", "blocked", "all CPUs"),
    Example("live", "blocked 1", "CPU 1's, node by node"),
)
def blocked(inspection: Inspection, arguments: Arguments) -> Answer[documents.Blocked]:
    """The per-CPU lists of blocked vCPUs (KVM's wakeup lists), in list order, and whether they are whole."""
    snapshot = inspection.machine("lists")
    lists = [of_cpu for of_cpu in snapshot.lists if arguments.cpu in (None, of_cpu.cpu)]
    if arguments.cpu is not None and not lists:
        known = ", ".join(str(of_cpu.cpu) for of_cpu in snapshot.lists) or "none"
        raise UsageError(f"no list of a CPU {arguments.cpu}; there are those of CPUs {known}")
    rows = [_row(snapshot, of_cpu) for of_cpu in lists]
    if not lists and snapshot.is_linux:
        none = next((each.why for each in snapshot.absences if each.member in ("vcpus", "lists", "pi")), "not known")
        return Answer({"lists": []}, [Text(f"no wakeup list: {none}")], absent=snapshot.absences)
    blocks: list[Block] = [Table(("CPU", "STATE", "VCPUS", "LOCK", "INTEGRITY"), rows, numeric=frozenset({"CPU"}))]
    if arguments.cpu is not None:
        nodes = [
            (node.vcpu or "no vCPU's", f"{node.address:#x}", f"{node.following:#x}", f"{node.preceding:#x}")
            for node in lists[0].nodes[:SHOWN]
        ]
        blocks.append(Table(("VCPU", "NODE", "NEXT", "PREV"), nodes, f"head {lists[0].head:#x}"))
    concerned = [finding for finding in audit(snapshot) if finding.rule in RULES]
    blocks += [Text(f"{f.rule} {f.severity}: {f.subject}: {f.message}") for f in concerned]
    return Answer({"lists": [list_document(snapshot, of_cpu) for of_cpu in lists]}, blocks, absent=snapshot.absences)


def list_document(snapshot: Snapshot, of_cpu: BlockingList) -> documents.BlockingList:
    """A list as the documents have it."""
    cpu = snapshot.by_cpu.get(of_cpu.cpu)
    return {
        "cpu": of_cpu.cpu,
        "online": cpu.online if cpu else None,
        "head_address": of_cpu.head,
        "locked": of_cpu.locked,
        "vcpus": [node.vcpu for node in of_cpu.nodes],
        "nodes": [node.address for node in of_cpu.nodes],
        "broken": of_cpu.broken,
    }


def _row(snapshot: Snapshot, of_cpu: BlockingList) -> tuple[str, ...]:
    cpu = snapshot.by_cpu.get(of_cpu.cpu)
    shown = " ".join(node.vcpu or f"{node.address:#x}?" for node in of_cpu.nodes[:SHOWN])
    more = f" and {len(of_cpu.nodes) - SHOWN} more" if len(of_cpu.nodes) > SHOWN else ""
    return (
        str(of_cpu.cpu),
        "offline" if cpu and not cpu.online else "online",
        shown + more or "-",
        "held" if of_cpu.locked else "free",
        f"BROKEN: {of_cpu.broken}" if of_cpu.broken else "whole",
    )
