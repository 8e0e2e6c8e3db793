"""The hardware: VT-d interrupt remapping and posting, fault recording, queued invalidation, and what a CPU does with a
posted-interrupt notification in the guest.

The order of the checks is that of VT-d 5.1.4 and 5.2.3: request, index, fetch, P, source-id, format's reserved bits,
descriptor. `State.reserved_first` moves the reserved bits before the source-id, as QEMU has them.
"""

from __future__ import annotations

from sim_backend.logic import kinds
from sim_backend.logic.context import (
    CONTROL,
    NDST,
    NV,
    ON,
    PIR_WORD,
    PIR_WORDS,
    POSTED_BIT,
    UNIT,
    VCPU,
    Context,
    Ground,
)
from sim_backend.logic.kinds import FIXED, NUMBER, PLACE
from sim_backend.logic.program import DONE, FIRST, PC, PROCEDURE, WAIT, Actor, Frame, Outcome, Procedure
from sim_backend.memory.errors import SimError
from structs.apic import apic_id, reserved_bits
from structs.bits import packed, packed_bytes, reader, reserved_mask
from structs.faults import FRCD, REASONS
from structs.invalidation import DESCRIPTOR
from structs.irte import POSTED, REMAPPED, source_allowed
from structs.msi import REMAPPABLE_ADDRESS
from structs.pi_desc import PI_DESC
from structs.registers import CAP, FSTS, GSTS, IRTA, table_entries
from structs.remapping import SVT_RESERVED, Checks

ENTRY_SIZE = 16
INVALIDATE_ENTRIES, WAIT_DESCRIPTOR = 4, 5
QUEUE_ENTRY = 16


DESCRIPTOR_RESERVED = reserved_mask(PI_DESC)
P, FPD, IM, URG = (POSTED[name].mask for name in ("p", "fpd", "im", "urg"))
ON_BIT, SN_BIT = PI_DESC["on"].mask, PI_DESC["sn"].mask
REQUEST_RESERVED = reserved_mask(REMAPPABLE_ADDRESS)
posted_pda, posted_vector = reader(POSTED["pda"]), reader(POSTED["vector"])
entry_sid, entry_sq, entry_svt = reader(POSTED["sid"]), reader(POSTED["sq"]), reader(POSTED["svt"])
remapped_dst, remapped_vector = (reader(REMAPPED[name]) for name in ("dst", "vector"))
request_handle, request_shv = reader(REMAPPABLE_ADDRESS["handle"]), reader(REMAPPABLE_ADDRESS["shv"])
descriptor_type = reader(DESCRIPTOR.field)
by_index, iec_mask, iec_index = (reader(DESCRIPTOR.select(INVALIDATE_ENTRIES)[name]) for name in ("g", "im", "iidx"))
writes_status, status_data, status_address = (
    reader(DESCRIPTOR.select(WAIT_DESCRIPTOR)[name]) for name in ("sw", "status_data", "status_address")
)
REMAPPABLE = REMAPPABLE_ADDRESS["format"].mask


class Remapping:
    """One VT-d unit's view of its registers; they do not change while a machine runs, but for those read each time."""

    __slots__ = (
        *("checks", "compatibility", "eime", "enabled", "entries", "fault_records", "faults", "fsts", "iqh", "iqt"),
        *("queue", "queue_entries", "table", "unit"),
    )

    def __init__(self, layout: Ground, unit: int) -> None:
        self.unit = unit
        memory = layout.memory

        def register(name: str) -> int:
            return layout.register(unit, name)

        irta = IRTA.parse(memory.read(register("IRTA"), 8))
        cap = CAP.parse(memory.read(register("CAP"), 8))
        gsts = GSTS.parse(memory.read(register("GSTS"), 4))
        self.table, self.entries, self.eime = irta["irta"], table_entries(irta), bool(irta["eime"])
        self.compatibility = bool(gsts["cfis"]) and not self.eime
        self.enabled = bool(gsts["ires"])
        self.checks = Checks(self.eime, bool(cap["pi"]), cap["mgaw"] + 1)
        self.faults = cap["nfr"] + 1
        self.fault_records = register("FRCD")
        self.fsts = register("FSTS")
        self.iqh, self.iqt = register("IQH"), register("IQT")
        self.queue = layout.units[unit].queue
        self.queue_entries = 256 << (memory.u64(register("IQA")) & 7)


class Fault(Exception):
    """An interrupt-remapping fault (VT-d 5.1.4.1). `entry` is the remapping entry, as far as it was read."""

    def __init__(self, reason: int, index: int, entry: int = 0) -> None:
        super().__init__(f"fault {reason:#x}: {REASONS[reason].text}")
        self.reason, self.index, self.entry = reason, index, entry


def interrupt_index(address: int, data: int) -> int:
    """`structs.msi.index` of a remappable request, made fast."""
    return request_handle(address) + (data & 0xFFFF if request_shv(address) else 0)


def look_up(w: Context, unit: Remapping, sid: int, address: int, data: int) -> int:
    """The remapping entry that a request in remappable format may use.

    Raises:
        Fault: the unit refuses the request.
    """
    if address & REQUEST_RESERVED or (request_shv(address) and data >> 16):
        raise Fault(0x20, 0)
    index = interrupt_index(address, data)
    if index >= unit.entries:
        raise Fault(0x21, index & 0xFFFF)
    entry = w.state.iec.get((unit.unit, index))
    if entry is None:
        try:
            entry = int.from_bytes(w.memory.read(unit.table + index * ENTRY_SIZE, ENTRY_SIZE), "little")
        except SimError:
            raise Fault(0x23, index) from None
    if not entry & P:
        raise Fault(0x22, index, entry)
    if w.state.reserved_first:
        _check_reserved(unit, index, entry)
        _check_source(unit, sid, index, entry)
    else:
        _check_source(unit, sid, index, entry)
        _check_reserved(unit, index, entry)
    # Faulting entries are not cached while CAP.CM=0 (VT-d 6.1).
    w.state.iec[unit.unit, index] = entry
    return entry


def _check_source(unit: Remapping, sid: int, index: int, entry: int) -> None:
    svt = entry_svt(entry)
    # SVT=3 is a reserved value: that check finds it.
    if svt != SVT_RESERVED and not source_allowed(svt, entry_sq(entry), entry_sid(entry), sid):
        raise Fault(0x26, index, entry)


def _check_reserved(unit: Remapping, index: int, entry: int) -> None:
    if unit.checks.is_malformed(entry):
        raise Fault(0x24, index, entry)


def post(w: Context, unit: Remapping, index: int, entry: int) -> tuple[bool, int, int]:
    """Post to the entry's descriptor: one atomic read-modify-write of its 64 bytes (VT-d 5.2.3).

    Returns whether a notification is to be sent, its vector, and its destination.

    Raises:
        Fault: the descriptor cannot be accessed, or has reserved bits set.
    """
    pda, vector = posted_pda(entry), posted_vector(entry)
    try:
        old = int.from_bytes(w.memory.read(pda, PI_DESC.size), "little")
    except SimError:
        raise Fault(0x27, index, entry) from None
    if not w.memory.is_ram(pda):
        raise Fault(0x27, index, entry)
    ndst = old >> 8 * NDST & 0xFFFF_FFFF
    if old & DESCRIPTOR_RESERVED or reserved_bits(ndst, unit.eime):
        raise Fault(0x28, index, entry)
    new = old | 1 << vector
    notify = not old & ON_BIT and bool(entry & URG or not old & SN_BIT)
    if notify:
        new |= ON_BIT
    w.memory.write(pda, new.to_bytes(PI_DESC.size, "little"))
    vcpu = pda - w.o.pi_desc
    w.tally.posted(vcpu, vector)
    before, after = (n >> ON + 8 * CONTROL & 1 for n in (old, new))
    w.effect = (VCPU, vcpu, (POSTED_BIT, vector), before, after)
    return notify, old >> 8 * NV & 0xFF, ndst


def record_fault(w: Context, unit: Remapping, fault: Fault, sid: int) -> None:
    """Record a fault in FRCD and FSTS, unless the entry's FPD forbids it (VT-d 7.2, 5.1.4.1)."""
    w.effect = (UNIT, unit.unit, "fault", 0, fault.reason)
    if REASONS[fault.reason].fpd_suppresses and fault.entry & FPD:
        return
    memory = w.memory
    status = FSTS.parse(memory.read(unit.fsts, 4))
    number = w.state.next_fault[unit.unit]
    place = unit.fault_records + number * FRCD.size
    if memory.u64(place + 8) >> 63:
        memory.set_u32(unit.fsts, memory.u32(unit.fsts) | FSTS["pfo"].mask)
        return
    index = 0 if fault.reason == 0x25 else fault.index
    memory.write(place, packed_bytes(FRCD, {"fi": index << 48, "sid": sid, "fr": fault.reason, "f": 1}))
    if not status["ppf"]:
        memory.set_u32(unit.fsts, FSTS["ppf"].insert(FSTS["fri"].insert(memory.u32(unit.fsts), number), 1))
    w.state.next_fault[unit.unit] = (number + 1) % unit.faults


def clear_faults(w: Context, unit: Remapping) -> None:
    """What software does with recorded faults once it has read them: writes 1 to F, and to FSTS."""
    for number in range(unit.faults):
        w.memory.write(unit.fault_records + number * FRCD.size, bytes(FRCD.size))
    w.memory.set_u32(unit.fsts, 0)


# A device's message on its way.

interrupt_request = Procedure(
    "VT-d interrupt request",
    sid=NUMBER,
    address=kinds.MESSAGE_ADDRESS,
    data=kinds.MESSAGE_DATA,
    unit=NUMBER,
    entry=kinds.ENTRY_VALUE,
    vector=NUMBER,
    dst=kinds.APIC_ID,
)
SID, ADDRESS, DATA, UNIT_NUMBER, ENTRY, VECTOR, DST = range(FIRST, FIRST + 7)


@interrupt_request.step("is remapped: the entry is fetched and checked")
def remap(w: Context, a: Actor, f: Frame) -> Outcome:
    unit = w.remapping[f[UNIT_NUMBER]]
    address, data = f[ADDRESS], f[DATA]
    if not address & REMAPPABLE:
        if not unit.compatibility:
            record_fault(w, unit, Fault(0x25, 0), f[SID])
            return DONE
        f[VECTOR], f[DST] = data & 0xFF, address >> 12 & 0xFF
        return send
    try:
        f[ENTRY] = look_up(w, unit, f[SID], address, data)
    except Fault as fault:
        record_fault(w, unit, fault, f[SID])
        return DONE
    if f[ENTRY] & IM:
        return None
    f[VECTOR] = remapped_vector(f[ENTRY])
    f[DST] = apic_id(remapped_dst(f[ENTRY]), unit.eime)
    return send


@interrupt_request.step("is posted: one read-modify-write of the descriptor")
def post_to_descriptor(w: Context, a: Actor, f: Frame) -> Outcome:
    unit = w.remapping[f[UNIT_NUMBER]]
    index = interrupt_index(f[ADDRESS], f[DATA])
    try:
        notify, f[VECTOR], ndst = post(w, unit, index, f[ENTRY])
    except Fault as fault:
        record_fault(w, unit, fault, f[SID])
        return DONE
    f[DST] = apic_id(ndst, unit.eime)
    return None if notify else DONE


@interrupt_request.step("sends its interrupt to a local APIC")
def send(w: Context, a: Actor, f: Frame) -> None:
    w.services.message(f[DST], f[VECTOR])


# The invalidation queue.

flush_entry = Procedure("iommu_flush_iec_index", unit=NUMBER, index=FIXED, tail=NUMBER)
_TAIL = FIRST + 2


@flush_entry.step("queues the invalidation of one entry and a wait descriptor")
def queue_invalidation(w: Context, a: Actor, f: Frame) -> Outcome:
    unit = w.remapping[f[FIRST]]
    memory = w.memory
    tail = memory.u64(unit.iqt) // QUEUE_ENTRY
    head = memory.u64(unit.iqh) // QUEUE_ENTRY
    if (head - tail - 1) % unit.queue_entries < 2:
        return WAIT
    status = w.state.status[f[FIRST]]
    memory.set_u32(status, 0)
    descriptors = (
        {"type": INVALIDATE_ENTRIES, "g": 1, "iidx": f[FIRST + 1]},
        {"type": WAIT_DESCRIPTOR, "sw": 1, "fn": 1, "status_data": 1, "status_address": status},
    )
    for descriptor in descriptors:
        raw = packed(DESCRIPTOR.select(descriptor["type"]), descriptor)
        memory.write(unit.queue + tail * QUEUE_ENTRY, raw.to_bytes(QUEUE_ENTRY, "little"))
        tail = (tail + 1) % unit.queue_entries
    w.effect = (UNIT, f[FIRST], "IQT", memory.u64(unit.iqt), tail * QUEUE_ENTRY)
    memory.set_u64(unit.iqt, tail * QUEUE_ENTRY)
    return None


@flush_entry.step("waits for the unit to write the status")
def await_status(w: Context, a: Actor, f: Frame) -> Outcome:
    return None if w.memory.u32(w.state.status[f[FIRST]]) or not w.version.awaits_flush else WAIT


def invalidate_next(w: Context, unit: Remapping) -> bool:
    """The unit does the next descriptor of its queue. False if the queue is empty, or if a message that went through
    an entry that is to be invalidated is still on its way: that is waited for (interrupt draining, VT-d 6.5.5).
    """
    memory = w.memory
    head = memory.u64(unit.iqh)
    if head == memory.u64(unit.iqt):
        return False
    raw = int.from_bytes(memory.read(unit.queue + head, QUEUE_ENTRY), "little")
    kind = descriptor_type(raw)
    if kind == INVALIDATE_ENTRIES:
        first, count = (iec_index(raw), 1 << iec_mask(raw)) if by_index(raw) else (0, unit.entries)
        indexes = range(first, first + count)
        if not _on_their_way(w, unit).isdisjoint(indexes):
            return False
        for key in [key for key in w.state.iec if key[0] == unit.unit and key[1] in indexes]:
            del w.state.iec[key]
    elif kind == WAIT_DESCRIPTOR and writes_status(raw):
        memory.set_u32(status_address(raw), status_data(raw))
    after = (head + QUEUE_ENTRY) % (unit.queue_entries * QUEUE_ENTRY)
    memory.set_u64(unit.iqh, after)
    w.effect = (UNIT, unit.unit, "IQH", head, after)
    return True


def _on_their_way(w: Context, unit: Remapping) -> set[int]:
    """The entries of a unit through which messages went that have not been posted or sent yet."""
    frames = (frame for device in w.devices.values() for frame in device.stack)
    return {
        interrupt_index(frame[ADDRESS], frame[DATA])
        for frame in frames
        if frame[PROCEDURE] == interrupt_request.number and frame[PC] and frame[UNIT_NUMBER] == unit.unit
    }


# Posted-interrupt processing by a CPU in the guest (SDM volume 3, "Posted-Interrupt Processing").

posted_interrupt_processing = Procedure("posted-interrupt processing", v=PLACE, word=NUMBER)


@posted_interrupt_processing.step("clears ON")
def clear_on(w: Context, a: Actor, f: Frame) -> None:
    was = w.memory.test_and_clear_bit(f[FIRST] + w.o.control, ON)
    w.effect = (VCPU, f[FIRST], "on", int(was), 0)


@posted_interrupt_processing.step("acknowledges the notification")
def acknowledge_in_guest(w: Context, a: Actor, f: Frame) -> None:
    w.services.end_of_interrupt(a.cpu)


@posted_interrupt_processing.step("moves 64 bits of PIR to the virtual IRR")
def move(w: Context, a: Actor, f: Frame) -> Outcome:
    memory, v, word = w.memory, f[FIRST], f[FIRST + 1]
    taken = memory.xchg_u64(v + w.o.pir + 8 * word, 0)
    if taken:
        w.guests.add_to_irr(v, word, taken)
    w.effect = (VCPU, v, (PIR_WORD, word), taken, 0)
    f[FIRST + 1] = word + 1
    # Microcode: no interrupt comes in between.
    a.irqs = word + 1 == PIR_WORDS
    return None if a.irqs else move
