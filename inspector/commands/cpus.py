"""The command `cpus`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from inspector.analysis import vcpu_words as words
from inspector.base.arguments import argument
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import CpuNumber
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Facts, Table
from inspector.model.snapshot import IN_XEN, Cpu, Snapshot
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("CPU", "APIC", "DOES", "VCPU", "STATE OF", "EXECUTES", "SOFTIRQS", "IRR", "ISR")
SOFTIRQS = (
    *("timer", "rcu", "sched_slave", "schedule", "new_tlbflush_clock_period", "tasklet"),
    *("nmi", "time_calibrate", "vcpu_kick", "machine_check", "hvm_dpci"),
)
"""By number, since Xen 4.13 (xen/include/xen/softirq.h, xen/arch/x86/include/asm/softirq.h)."""
NAMED_SINCE = (4, 13)
EFLAGS_IF, EFLAGS_AC, RPL = 1 << 9, 1 << 18, 3


@frozen
class Arguments:
    """What it takes."""

    cpu: CpuNumber | None = argument("only this one, with its registers and the way it came", None)


@command(
    Arguments,
    Example("live", "cpus"),
    Example("dump FILE", "cpus 1", "one, with its registers and the way it came"),
)
def cpus(inspection: Inspection, arguments: Arguments) -> Answer[documents.Cpus]:
    """What each physical CPU does: idle, a guest, or a function of Xen; its vCPU, pending softirqs, its local APIC."""
    snapshot = inspection.machine("cpus")
    chosen = [cpu for cpu in snapshot.cpus if arguments.cpu in (None, cpu.cpu)]
    if arguments.cpu is not None and not chosen:
        known = ", ".join(str(cpu.cpu) for cpu in snapshot.cpus) or "none"
        raise UsageError(f"there is no CPU {arguments.cpu}; those that were found: {known}")
    rows = [_row(snapshot, cpu) for cpu in chosen]
    described = [_document(snapshot, cpu) for cpu in chosen]
    blocks: list[Block] = [
        Table(COLUMNS, rows, numeric=frozenset({"CPU"}), spare=("APIC", "IRR", "ISR", "SOFTIRQS"), records=described)
    ]
    if arguments.cpu is not None:
        blocks.append(_details(chosen[0]))
    return Answer({"cpus": described}, blocks, snapshot.problems)


def softirqs(snapshot: Snapshot, pending: int | None) -> list[str] | None:
    """The pending softirqs by name, or by number where this Xen may count them otherwise; None if not known."""
    if pending is None:
        return None
    numbers = [number for number in range(pending.bit_length()) if pending >> number & 1]
    named = snapshot.release is not None and snapshot.release >= NAMED_SINCE
    return [SOFTIRQS[number] if named and number < len(SOFTIRQS) else str(number) for number in numbers]


def _row(snapshot: Snapshot, cpu: Cpu) -> tuple[str, ...]:
    does = cpu.mode or "not known"
    pending = softirqs(snapshot, cpu.softirqs)
    return (
        str(cpu.cpu),
        f"{cpu.apic_id:#x}",
        (does if cpu.online else f"{does}, offline") + (" (mwait)" if cpu.in_mwait else ""),
        cpu.current or "-",
        cpu.loaded or "-",
        cpu.function or (f"{cpu.rip:#x}" if cpu.rip is not None else "-"),
        "?" if pending is None else " ".join(pending) or "-",
        "?" if cpu.irr is None else words.vectors(cpu.irr),
        "?" if cpu.isr is None else words.vectors(cpu.isr),
    )


def _details(cpu: Cpu) -> Facts:
    known = [(name, value) for name in ("rip", "rsp", "cr3") if (value := getattr(cpu, name)) is not None]
    facts = [("registers", ", ".join(f"{name} {value:#x}" for name, value in known) or "not known")]
    if cpu.cs is not None:
        facts.append(("privilege", f"ring {cpu.cs & RPL} (cs {cpu.cs:#x})"))
    if cpu.eflags is not None:
        facts.append(("interrupts", f"{'on' if cpu.eflags & EFLAGS_IF else 'off'} (rflags {cpu.eflags:#x})"))
    if cpu.mode == IN_XEN:
        steps = {
            True: "may be in the middle of changing what posted interrupts rest on",
            False: "nothing that it executes, or that its stack holds, changes what posted interrupts rest on",
            None: "cannot be told",
        }
        facts.append(("between steps", steps[cpu.between_steps]))
    facts += [("called from" if not depth else "", name) for depth, name in enumerate(cpu.backtrace)]
    return Facts(facts)


def _registers(cpu: Cpu) -> documents.CpuRegisters:
    known = {name: getattr(cpu, name) for name in ("rip", "rsp", "eflags", "cs", "cr3")}
    return cast("documents.CpuRegisters", {name: value for name, value in known.items() if value is not None})


def _document(snapshot: Snapshot, cpu: Cpu) -> documents.PhysicalCpu:
    return {
        "cpu": cpu.cpu,
        "apic_id": cpu.apic_id,
        "online": cpu.online,
        "mode": cpu.mode,
        "current": cpu.current,
        "loaded": cpu.loaded,
        "function": cpu.function,
        "backtrace": list(cpu.backtrace),
        "between_steps": cpu.between_steps,
        "in_mwait": cpu.in_mwait,
        "softirqs": softirqs(snapshot, cpu.softirqs),
        "registers": _registers(cpu),
        "irr": None if cpu.irr is None else list(cpu.irr),
        "isr": None if cpu.isr is None else list(cpu.isr),
    }
