"""Interrupt-remapping entries against Xen's own records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from inspector.analysis.sources import InterruptSources
from inspector.audit.evidence import quiet, why
from inspector.audit.rule import ANY, CAPABILITIES, DESCRIPTORS, ENTRIES, IN_USE, RECORDS, WARNING, Found, rule
from inspector.model.interrupts import Msi
from inspector.model.snapshot import Binding, Domain, Snapshot
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import bdf
from structs.arrays import np
from structs.columns import Array, columns, records
from structs.irte import IRTE, POSTED, REMAPPED
from structs.msi import is_remappable
from structs.remapping import Checks

EXAMPLES = 16
"""Of entries of one table that break a rule alike, how many are told one by one."""


@lru_cache(maxsize=32)
def decoded(unit: VtdUnit) -> dict[str, Array]:
    """Columns of the present entries: `index`, `im`, and the remapped format's fields, which hold for the common
    part."""
    table = columns(REMAPPED, records(REMAPPED, unit.raw))
    return {"index": np.array(unit.indices, "<u4"), **table}


@lru_cache(maxsize=32)
def posted(unit: VtdUnit) -> dict[str, Array]:
    """Columns of the present entries in posted format, with `index`."""
    raw = records(REMAPPED, unit.raw)
    chosen = columns(REMAPPED, raw, ["im"])["im"] == 1
    return {"index": np.array(unit.indices, "<u4")[chosen], **columns(POSTED, raw[chosen])}


def chosen(table: dict[str, Array], which: Array) -> Iterator[dict[str, int]]:
    """The rows that a mask selects, as plain integers; at most EXAMPLES."""
    for at in np.flatnonzero(which)[:EXAMPLES].tolist():
        yield {name: int(column[at]) for name, column in table.items()}


def subject(unit: VtdUnit, index: int) -> str:
    """How findings name an entry."""
    return f"{unit.name} entry {index:#x}"


@rule(
    "D17", "stray-entry", "a posted entry leads to no vCPU, or to one of another domain", needs=(ENTRIES, DESCRIPTORS)
)
def stray_entry(snapshot: Snapshot) -> Iterator[Found]:
    """The hardware sets a bit in whatever memory a posted entry's PDA names. It must be the descriptor of a live
    vCPU, of the domain that owns the device.

    How it comes about: the entry outlived its vCPU, or stayed posted when the device was taken from the domain (commits
    a5e25908d1, 4.9, and 8c97eb6551, 4.11); or a change of affinity overwrote a posted entry with remapped fields (Xen
    4.7 and 4.8; commit a5e25908d1, 4.9). For an instant, a device that is being assigned may be in no domain's list.

    Look next at: `route irte N`, `irte N`, `faults` (0x27, 0x28).
    """
    if not snapshot.vcpus:
        return
    owners = {device: domain for domain in snapshot.domains for device in domain.devices}
    live = np.array(sorted(snapshot.by_descriptor), "<u8")
    for unit in snapshot.units:
        table = posted(unit)
        known = np.isin(table["pda"], live)
        for row in chosen(table, ~known):
            message = f"is posted to {row['pda']:#x}, which is no live vCPU's descriptor: hardware writes there"
            yield Found(subject(unit, row["index"]), message)
        for at in np.flatnonzero(known).tolist():
            sid, svt, pda = (int(table[name][at]) for name in ("sid", "svt", "pda"))
            owner = _owner(owners, unit, sid) if svt == 1 else None
            vcpu = snapshot.by_descriptor[pda]
            place = subject(unit, int(table["index"][at]))
            if owner and owner.domain != vcpu.domain:
                message = f"is posted to {vcpu.name}, but its device {bdf(sid)} belongs to d{owner.domain}"
                yield Found(place, message)
            elif svt == 1 and not owner:
                message = f"is posted to {vcpu.name}, but its device {bdf(sid)} is none of d{vcpu.domain}'s"
                yield Found(place, f"{message} (a suspicion: lists of devices may be changing)", False, (pda, sid))


@rule(
    "D18",
    "entry-differs",
    "an entry and the record of it differ",
    since=(4, 9),
    needs=(ENTRIES, RECORDS),
    linux=ANY,
)
def entry_differs(snapshot: Snapshot) -> Iterator[Found]:
    """Since Xen 4.9 `struct msi_desc` records what was asked for: a descriptor and a guest vector for a posted entry,
    none for a remapped one, which has the vector of its irq; `gmsi.posted` records whether the guest's MSI is posted at
    all. Linux keeps what it wrote in `struct intel_ir_data`, and the vector in `struct apic_chip_data`; of an entry
    that KVM lets post to a vCPU, only that it does (`posted_vcpu`). The table must agree.

    How it comes about: an update that failed was taken for done (commit cb587f620a, 4.21, in 4.18 to 4.20); a guest
    gave its MSI several destinations and the entry stayed posted to the old one (Xen 4.7 and 4.8; commit 220e0b033d,
    4.9), or an update was left out; an entry stayed posted after its MSI was unbound (commit a5e25908d1, 4.9); an entry
    was made of a message that was overwritten (D32). For an instant, between the record and the write of the entry, it
    is legal.

    Look next at: `irte N`, `route irte N`; a second snapshot.
    """
    bindings = {binding.irq: binding for domain in snapshot.domains for binding in domain.bindings or ()}
    sources = InterruptSources(snapshot)
    named = np.array(sorted({msi.index for msi in snapshot.msis}), "<u8")
    for unit in snapshot.units:
        table, post = decoded(unit), posted(unit)
        places = {index: at for at, index in enumerate(post["index"].tolist())}
        for at in np.flatnonzero(np.isin(table["index"], named)).tolist():
            remapped = _row(table, at)
            msi, index = sources.msi(unit, remapped), remapped["index"]
            if msi is None:
                continue
            entry = _row(post, places[index]) if index in places else None
            binding = bindings.get(msi.irq)
            host = snapshot.host
            wrong = _posted_wrongly(entry, msi, host) if entry else _remapped_wrongly(remapped, msi, host)
            if not wrong and entry and binding and not binding.posted:
                wrong = f"is posted, but Xen has bound irq {msi.irq} of the guest as not posted"
            elif not wrong and entry and binding and binding.gvec != entry["vector"]:
                wrong = (
                    f"posts vector {entry['vector']:#x}, but irq {msi.irq} is bound to guest vector {binding.gvec:#x}"
                )
            elif not wrong and entry:
                wrong = _bound_otherwise(snapshot, entry, msi, binding)
            if wrong:
                state = (wrong,)
                yield Found(subject(unit, index), f"{wrong} ({why(snapshot)})", quiet(snapshot), state)


@rule(
    "D32",
    "overwritten-message",
    "Xen's record of an MSI's message is what the device sends",
    WARNING,
    since=(4, 9),
    needs=(RECORDS,),
)
def overwritten_message(snapshot: Snapshot) -> Iterator[Found]:
    """Xen keeps the message that the device would send without remapping: to which CPU, with which vector. It makes
    remapped entries of that. Once the record is in remappable format, the next such entry lacks the vector.

    How it comes about: an update of a posted entry rewrote the record (Xen 4.9 to 4.20; commit 30f0e55a79, 4.21, also
    in 4.18 to 4.20). It harms when the guest then gives its MSI several destinations, or the interrupt is unbound.

    Look next at: `irte N`, `route irte N`.
    """
    for msi in snapshot.msis:
        if msi.address is not None and is_remappable(msi.address):
            device = "a timer" if msi.device is None else bdf(msi.device & 0xFFFF)
            yield Found(f"irq {msi.irq}", f"has the message {msi.address:#x} of {device} on record, which names no CPU")


@rule("D19", "malformed-entry", "a present entry has reserved bits or values", needs=(ENTRIES,), linux=ANY)
def malformed_entry(snapshot: Snapshot) -> Iterator[Found]:
    """An interrupt through an entry with a reserved bit set, or with a field whose value is reserved in this mode, is a
    fault (0x24) and is lost: DLM 3 and 6, SVT 3, in xAPIC mode all of DST but bits 15:8, a PDA beyond what physical
    addresses have. In a posted entry, bits 7:2 are where a remapped one has DM, RH, TM and DLM. (IM where the unit
    cannot post is D21's.)

    How it comes about: a change of affinity wrote remapped fields into a posted entry (Xen 4.7 and 4.8; commit
    a5e25908d1, 4.9).

    Look next at: `irte N`, `faults` (0x24).
    """
    width = snapshot.dmar.host_address_width if snapshot.dmar else None
    for unit in snapshot.units:
        checks = Checks(bool(unit.eime), None, width)
        raw = records(REMAPPED, unit.raw)
        for at in np.flatnonzero(checks.malformed_rows(raw))[:EXAMPLES].tolist():
            entry = int.from_bytes(raw[at].tobytes(), "little")
            title = IRTE.record_of(raw[at].tobytes()).title
            wrong = checks.malformed(entry)
            hint = " (DM, RH, TM, DLM of a remapped entry?)" if any(of.field == "rsvd_7_2" for of in wrong) else ""
            what = ", ".join(map(str, wrong))
            yield Found(subject(unit, unit.indices[at]), f"is {title} with reserved bits or values: {what}{hint}")


@rule("D20", "unchecked-source", "a present entry may be used by anyone", needs=(ENTRIES,), linux=ANY)
def unchecked_source(snapshot: Snapshot) -> Iterator[Found]:
    """With SVT=0 the source-id is not checked: any device that can write an MSI can raise this interrupt. Xen sets
    SVT in every entry.

    How it comes about: Xen did not find out who the source is, and left the entry so (commits a22223ae44 and
    07d2320427, 4.21).

    Look next at: `irte N`; the device's type and bridges.
    """
    for unit in snapshot.units:
        table = decoded(unit)
        for row in chosen(table, table["svt"] == 0):
            yield Found(subject(unit, row["index"]), "has SVT=0: any device may raise this interrupt")


@rule(
    "D21",
    "posting-unsupported",
    "a posted entry in a unit that cannot post",
    needs=(ENTRIES, CAPABILITIES),
    linux=ANY,
)
def posting_unsupported(snapshot: Snapshot) -> Iterator[Found]:
    """With CAP.PI=0, IM is a reserved bit: an interrupt through the entry is a fault (0x24). (QEMU's unit, which
    never has CAP.PI, takes the entry for a remapped one.)

    Look next at: `regs`, `irte N`.
    """
    for unit in snapshot.units:
        table = posted(unit)
        if unit.cap_pi == 0 and len(table["index"]):
            for row in chosen(table, table["index"] >= 0):
                yield Found(subject(unit, row["index"]), "is posted, but the unit cannot post (CAP.PI=0)")


@rule("D24", "entry-count", "Xen counts other entries than there are", severity=WARNING, needs=(ENTRIES, IN_USE))
def entry_count(snapshot: Snapshot) -> Iterator[Found]:
    """`intremap.num` counts the entries that Xen has allocated. Xen's debug key `V` warns as well if it is not the
    number of present ones. An entry that is allocated and not written yet counts already.

    Look next at: `irt --all`.
    """
    for unit in snapshot.units:
        if unit.in_use is not None and unit.base is not None and unit.in_use != len(unit.indices):
            message = f"{len(unit.indices)} entries are present, and Xen counts {unit.in_use}"
            yield Found(unit.name, message, False, (unit.in_use, len(unit.indices)))


@rule("D29", "urgent-entry", "a posted entry is urgent", severity=WARNING, needs=(ENTRIES,))
def urgent_entry(snapshot: Snapshot) -> Iterator[Found]:
    """Xen never sets URG: somebody else wrote the entry. It defeats SN: the unit notifies for a preempted vCPU too.

    Look next at: `irte N`.
    """
    for unit in snapshot.units:
        table = posted(unit)
        for row in chosen(table, table["urg"] == 1):
            yield Found(subject(unit, row["index"]), "has URG=1, which Xen never sets")


def _owner(owners: dict[int, Domain], unit: VtdUnit, sid: int) -> Domain | None:
    """The domain that owns a source; functions of one device that only differ in the function are told apart."""
    return owners.get(unit.segment << 16 | sid)


def _row(table: dict[str, Array], at: int) -> dict[str, int]:
    return {name: int(column[at]) for name, column in table.items()}


def _remapped_wrongly(remapped: dict[str, int], msi: Msi, host: str) -> str | None:
    if msi.to_vcpu:
        return f"is remapped, but {host} has irq {msi.irq} as posted to a vCPU"
    if msi.pi_desc:
        return f"is remapped, but {host} has irq {msi.irq} as posted to {msi.pi_desc:#x}"
    if msi.vector not in (None, remapped["vector"]):
        return f"is remapped to vector {remapped['vector']:#x}, but {host} has irq {msi.irq} as vector {msi.vector:#x}"
    return None


def _bound_otherwise(snapshot: Snapshot, entry: dict[str, int], msi: Msi, binding: Binding | None) -> str | None:
    """What the guest's interrupts say of a posted entry: another vCPU, or, if all of them are known, nothing."""
    vcpu = snapshot.by_descriptor.get(entry["pda"])
    if vcpu is None:
        return None
    if binding is None:
        known = any(domain.domain == vcpu.domain and domain.bindings is not None for domain in snapshot.domains)
        return f"is posted to {vcpu.name}, but irq {msi.irq} is bound to no guest's interrupt" if known else None
    if binding.vcpu in (-1, vcpu.vcpu):
        return None
    return f"is posted to {vcpu.name}, but irq {msi.irq} is bound to vCPU {binding.vcpu} of its domain"


def _posted_wrongly(entry: dict[str, int], msi: Msi, host: str) -> str | None:
    if not msi.pi_desc:
        if host == "Linux" and msi.to_vcpu is not False:
            return None
        return f"is posted to {entry['pda']:#x}, but {host} has irq {msi.irq} as not posted"
    if entry["pda"] != msi.pi_desc:
        return f"is posted to {entry['pda']:#x}, but {host} has irq {msi.irq} as posted to {msi.pi_desc:#x}"
    if entry["vector"] != msi.gvec:
        return f"posts vector {entry['vector']:#x}, but {host} has irq {msi.irq} as guest vector {msi.gvec:#x}"
    return None
