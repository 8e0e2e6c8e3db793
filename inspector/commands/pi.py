"""The command `pi`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.analysis import vcpu_words as words
from inspector.analysis.posting import effect
from inspector.analysis.situation import situation
from inspector.base.arguments import argument, flag
from inspector.base.errors import NotHere, NotReadable, UsageError
from inspector.capture.inspection import Inspection
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import PhysicalAddress, VcpuName
from inspector.commands.command import Example, command
from inspector.kernels.descriptors import decode_descriptors
from inspector.model.answer import Answer, Block, Facts, Table, Text
from inspector.model.snapshot import Descriptor, Snapshot, Vcpu
from structs.frozen import frozen
from structs.pi_desc import PI_DESC, ndst_apic_id, ndst_reserved_bits, pir_of

if TYPE_CHECKING:
    from inspector.model import documents

ROW = 16


@frozen
class Arguments:
    """What it takes."""

    which: VcpuName | PhysicalAddress = argument("a vCPU, or a physical address")
    bytes: bool = flag("also the 64 bytes, and which field is where")


@command(
    Arguments,
    Example("live", "pi d1v2", "a vCPU's"),
    Example("live", "pi 0x27bd2680", "the one at a physical address, such as a posted entry's PDA"),
    Example("live", "pi d1v2 --bytes", "also its 64 bytes, and which field is where"),
)
def pi(inspection: Inspection, arguments: Arguments) -> Answer[documents.Pi]:
    """One posted-interrupt descriptor: every field, what hardware would do with a post now, and why."""
    vcpu, pi = _find(inspection, arguments.which)
    snapshot = inspection.snapshot
    values = {"pir": pir_of(list(pi.pir)), "on": pi.on, "sn": pi.sn, "nv": pi.nv, "ndst": pi.ndst}
    values |= {f.name: f.extract(pi.reserved) for f in PI_DESC.fields if f.reserved}
    happens = effect(snapshot, pi, vcpu)
    where = situation(snapshot, vcpu) if vcpu else None
    document: documents.Pi = {
        "address": pi.address,
        "pir": list(pi.pir),
        "on": pi.on,
        "sn": pi.sn,
        "nv": pi.nv,
        "ndst": pi.ndst,
        **{name: value for name, value in values.items() if PI_DESC[name].reserved and value},
        "apic_id": None if snapshot.x2apic is None else ndst_apic_id(pi.ndst, snapshot.x2apic),
        "vcpu": vcpu.name if vcpu else None,
        "situation": where.id if where else None,
        "post": happens,
    }
    facts = [("pending", ", ".join(f"{vector:#x}" for vector in pi.pir) or "none")]
    facts.append(("notifies", f"vector {words.vector_name(snapshot, pi.nv)} at {words.destination(snapshot, pi.ndst)}"))
    if vcpu and where:
        facts.append((vcpu.name, f"{where.id}, {where.title}: {'; '.join(where.evidence)}"))
    facts += [("a post now", happens[0]), *(("", line) for line in happens[1:])]
    whose = f" of {vcpu.name}" if vcpu else ""
    blocks: list[Block] = [fields.table(PI_DESC, values, f"PI descriptor{whose} at {pi.address:#x}"), Facts(facts)]
    if arguments.bytes:
        raw = PI_DESC.build(values)
        document["bytes"] = raw.hex()
        blocks += _layout(raw)
    if pi.reserved or (snapshot.x2apic is False and ndst_reserved_bits(pi.ndst, False)):
        blocks.append(Text("Reserved bits are set: hardware refuses to post here (fault 0x28). Is it a descriptor?"))
    return Answer(document, blocks, absent=snapshot.absences)


def _find(inspection: Inspection, which: str | int) -> tuple[Vcpu | None, Descriptor]:
    """The vCPU, if one is known, and its descriptor as it is in memory."""
    if isinstance(which, str):
        vcpu = words.choose(inspection.machine(), which)
        if vcpu.pi is None:
            why = "its descriptor is not known here" if vcpu.hvm else "it is paravirtualised"
            raise UsageError(f"{vcpu.name} has no posted-interrupt descriptor: {why}")
        return vcpu, vcpu.pi
    if which % PI_DESC.size:
        raise UsageError(f"{which:#x} is no descriptor's address: it must be a multiple of {PI_DESC.size}")
    snapshot: Snapshot = inspection.snapshot
    known = snapshot.by_descriptor.get(which)
    if known and known.pi:
        return known, known.pi
    try:
        raw = inspection.target.read(which, PI_DESC.size)
    except NotReadable as error:
        raise NotHere(f"{snapshot.target} tells of no descriptor at {which:#x}: {error}", address=which) from None
    return None, decode_descriptors([(which, raw)])[0]


def _layout(raw: bytes) -> list[Block]:
    rows = [
        (f"{at:#04x}", raw[at : at + ROW].hex(" "), ", ".join(f.name for f in PI_DESC.fields if _within(f.mask, at)))
        for at in range(0, len(raw), ROW)
    ]
    return [Table(("BYTE", "HEX", "FIELDS"), rows)]


def _within(mask: int, at: int) -> bool:
    return bool(mask >> at * 8 & (1 << ROW * 8) - 1)
