"""The command `vcpus`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.analysis import vcpu_words as words
from inspector.analysis.posting import effect
from inspector.analysis.situation import label, short_situation
from inspector.audit import INFO, Finding, audit
from inspector.base.arguments import argument
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import VcpusName
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Facts, Later, Table, Text
from inspector.model.kvm import KvmVcpu
from inspector.model.snapshot import Snapshot, Vcpu, is_log
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("VCPU", "STATE", "CPU", "DESCRIPTOR", "PIR", "ON", "SN", "NV", "NDST", "LIST", "SITUATION", "VERDICT")


@frozen
class Arguments:
    """What it takes."""

    vcpu: VcpusName | None = argument("only this one, in detail; or those of a domain", None)


@command(
    Arguments,
    Example("live", "vcpus"),
    Example("dump FILE", "vcpus d1v2", "one, with the evidence"),
    Example("dump FILE", "vcpus d1 --where situation=~blocked", "those of a domain that are blocked"),
)
def vcpus(inspection: Inspection, arguments: Arguments) -> Answer[documents.Vcpus]:
    """Every vCPU: run state, descriptor, blocking list, where it stands, and what the audit says of it."""
    snapshot = inspection.machine()
    chosen = _chosen(snapshot, arguments.vcpu)
    said: dict[str, list[Finding]] = {}
    for finding in audit(snapshot):
        if finding.severity != INFO:
            said.setdefault(finding.subject, []).append(finding)
    entries: list[documents.VcpuState] = []
    for vcpu in chosen:
        entry = words.document(snapshot, vcpu)
        entry["findings"] = [finding.document() for finding in said.get(vcpu.name, ())]
        entries.append(entry)

    def blocks() -> Sequence[Block]:
        pairs = zip(chosen, entries, strict=True)
        rows = [_row(snapshot, vcpu, entry, said.get(vcpu.name, ())) for vcpu, entry in pairs]
        table = _table(rows, entries)
        if not snapshot.vcpus and snapshot.is_linux:
            return [Text(f"no VM: {_no_vm(snapshot)}")]
        if not arguments.vcpu or len(chosen) != 1 or arguments.vcpu in (f"d{chosen[0].domain}", chosen[0].domain_name):
            return [table]
        return [table, _details(snapshot, chosen[0], entries[0], said.get(chosen[0].name, ()))]

    return Answer({"vcpus": entries}, Later(blocks), absent=snapshot.absences)


def _no_vm(snapshot: Snapshot) -> str:
    return next((each.why for each in snapshot.absences if each.member == "vcpus"), "this kernel has no KVM")


def _chosen(snapshot: Snapshot, name: str | None) -> list[Vcpu]:
    """The vCPU of that name, those of that domain, or all. Raises UsageError if there is none."""
    if name is None:
        return list(snapshot.vcpus)
    if "v" in name.removeprefix("vm"):
        return [words.choose(snapshot, name)]
    names = (name, f"vm{name[1:]}")
    found = [vcpu for vcpu in snapshot.vcpus if vcpu.domain_name in names]
    if not found:
        known = ", ".join(dict.fromkeys(vcpu.domain_name for vcpu in snapshot.vcpus)) or "none"
        raise UsageError(f"no vCPU of a domain {name}; those that were found are of {known}")
    return found


def _table(rows: Sequence[tuple[str, ...]], entries: list[documents.VcpuState]) -> Table:
    short = {
        "SITUATION": [short_situation(row[10]) for row in rows],
        "NV": [row[7].partition(" ")[0] for row in rows],
        "STATE": [row[1].removesuffix(" in guest") for row in rows],
    }
    return Table(
        COLUMNS, rows, numeric=frozenset({"CPU"}), short=short, spare=("DESCRIPTOR", "NDST", "NV"), records=entries
    )


def _row(snapshot: Snapshot, vcpu: Vcpu, entry: documents.VcpuState, said: Sequence[Finding]) -> tuple[str, ...]:
    state = vcpu.runstate + (" in guest" if vcpu.in_guest else "")
    start = (vcpu.name, state, "-" if vcpu.cpu is None else str(vcpu.cpu))
    situation = label(entry["situation"]) if entry["situation"] else "paravirtualised"
    if not entry["situation"] and vcpu.hvm:
        situation = "descriptor not known"
    listed = "-" if vcpu.blocking_list is None else f"CPU {vcpu.blocking_list}"
    verdict = " ".join(f"{finding.rule} {finding.severity}" for finding in said) or "ok"
    if vcpu.pi is None:
        return (*start, "-", "-", "-", "-", "-", "-", listed, situation, "-" if verdict == "ok" else verdict)
    return (
        *start,
        f"{vcpu.pi.address:#x}",
        words.vectors(vcpu.pi.pir),
        str(vcpu.pi.on),
        str(vcpu.pi.sn),
        words.vector_name(snapshot, vcpu.pi.nv),
        words.destination(snapshot, vcpu.pi.ndst),
        listed,
        situation,
        verdict,
    )


def _of_kvm(kvm: KvmVcpu) -> list[tuple[str, str]]:
    """What KVM and the scheduler keep of a vCPU."""
    runs = {None: "not known", True: "runnable", False: "asleep"}[kvm.runnable] + (", on a CPU" if kvm.on_cpu else "")
    wakes = {None: "not known", True: "put on a wakeup list", False: "put on no wakeup list"}[kvm.wakes]
    exits = "" if kvm.exits is None else f", {kvm.exits} VM exits"
    return [
        ("thread", f"{kvm.thread or 'none yet'}, {runs}"),
        ("mode", f"{kvm.mode or 'not known'}{exits}"),
        ("when it blocks", wakes),
    ]


def _details(snapshot: Snapshot, vcpu: Vcpu, entry: documents.VcpuState, said: Sequence[Finding]) -> Facts:
    facts = (
        _of_kvm(vcpu.kvm)
        if vcpu.kvm
        else [
            ("pause_flags", f"{vcpu.pause_flags:#x}, paused {vcpu.pause_count} times"),
            ("hooks", ", ".join(vcpu.hooks) or ("not known: no debug key prints them" if is_log(snapshot) else "none")),
        ]
    )
    facts += [
        ("evidence", "; ".join(entry["evidence"]) or "none"),
    ]
    if vcpu.event_pending is not None:
        masked = {None: "", True: ", masked", False: ", not masked"}[vcpu.event_masked]
        facts.append(("events", f"{'pending' if vcpu.event_pending else 'none pending'}{masked}"))
    if vcpu.pi:
        facts.append(("a post now", "; ".join(effect(snapshot, vcpu.pi, vcpu))))
    if vcpu.irr is not None and vcpu.isr is not None:
        priority = "" if vcpu.tpr is None else f", TPR {vcpu.tpr:#04x}"
        facts.append(("virtual APIC", f"IRR {words.vectors(vcpu.irr)}, ISR {words.vectors(vcpu.isr)}{priority}"))
    facts += [(f"{finding.rule} {finding.severity}", finding.message) for finding in said]
    return Facts(facts)
