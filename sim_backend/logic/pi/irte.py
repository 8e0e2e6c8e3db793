"""The remapping entry of a message-signalled interrupt (xen/drivers/passthrough/vtd/intremap.c)."""

from __future__ import annotations

from sim_backend.logic.context import ENTRY, LogicContext
from sim_backend.logic.kinds import FIXED, NUMBER
from sim_backend.logic.pi.stores import lock_taken, unlock
from sim_backend.logic.program import FIRST, WAIT, Actor, Frame, Outcome, Procedure
from sim_backend.memory.errors import SimError
from structs.bits import packed, reserved_mask
from structs.irte import POSTED, REMAPPED
from structs.msi import COMPATIBILITY_ADDRESS, COMPATIBILITY_DATA, REMAPPABLE_ADDRESS

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
IM = POSTED["im"].mask


msi_msg_write_remap_rte = Procedure(
    "msi_msg_write_remap_rte", msi_desc=FIXED, msg=FIXED, unit=NUMBER, irqs=NUMBER, posting=NUMBER, high=FIXED
)
MSI, MESSAGE, UNIT, IRQS, POSTING, HIGH = range(FIRST, FIRST + 6)

DIRECT_SOURCE = (1, 2, 3, 6)
"""`pci_dev.type` of PCIe endpoints and bridges, PCIe-to-PCI bridges and host bridges: they use their own source-id."""
PHANTOM_SQ = {1: 3, 2: 2, 4: 1}
"""SQ by `pci_dev.phantom_stride`: which function bits phantom functions differ in."""
LOWEST_PRIORITY = 1
STACK = reserved_mask(POSTED)
"""What of a new posted entry is left of the stack where nobody cleared it; its fields are written in any case."""
EFAULT = 14


def source_of(w: LogicContext, pci_dev: int) -> dict[str, int]:
    """SID, SQ and SVT that a device's entries get. Source: `set_msi_source_id`."""
    kind = w.layout.get("pci_dev", pci_dev, "type")
    if kind not in DIRECT_SOURCE:
        raise SimError(
            f"a PCI device of type {kind} is validated by the bridges above it, of which there are none here"
        )
    stride = w.layout.get("pci_dev", pci_dev, "phantom_stride")
    return {"sid": w.source_id(pci_dev), "svt": 1, "sq": PHANTOM_SQ.get(stride, 0)}


def new_entry(w: LogicContext, msi_desc: int, message: int) -> int:
    """The entry that `msi_msg_to_remap_entry` builds: posted if the MSI has a descriptor, else from the message."""
    memory, o = w.memory, w.o
    source = source_of(w, w.physical(memory.u64(msi_desc + o.msi_dev)))
    pi_desc = memory.u64(msi_desc + o.msi_pi_desc)
    if pi_desc:
        values = {"p": 1, "im": 1, "vector": memory.u8(msi_desc + o.msi_gvec), "pda": w.physical(pi_desc)}
        return packed(POSTED, values | source) | (0 if w.version.clears_new_entry else STACK)
    return packed(REMAPPED, remapped_fields(w, message) | source)


def remapped_fields(w: LogicContext, message: int) -> dict[str, int]:
    """An entry in remapped format for a message, without its source."""
    memory, o = w.memory, w.o
    address, data = memory.u32(message + o.msg_address), memory.u32(message + o.msg_data)
    dlm = COMPATIBILITY_DATA["dlm"].extract(data)
    return {
        "p": 1,
        "dm": COMPATIBILITY_ADDRESS["dm"].extract(address),
        "tm": COMPATIBILITY_DATA["tm"].extract(data),
        "dlm": dlm,
        "rh": int(dlm == LOWEST_PRIORITY),
        "vector": COMPATIBILITY_DATA["vector"].extract(data),
        "dst": memory.u32(message + o.msg_dest32)
        if memory.u8(w.x2apic_enabled)
        else COMPATIBILITY_ADDRESS["dst"].extract(address) << 8,
    }


def scribbled_entry(w: LogicContext, msi_desc: int, message: int, entry: int) -> int:
    """What the first versions made of an entry when its interrupt moved to another CPU: whatever it was before, the
    fields of the remapped format were written over it; of those of a posted one, only IM stayed.
    """
    values = remapped_fields(w, message) | source_of(w, w.physical(w.memory.u64(msi_desc + w.o.msi_dev)))
    return packed(REMAPPED, values) | entry & IM


def entry_to_write(w: LogicContext, f: Frame, old: int) -> int:
    """What `msi_msg_write_remap_rte` writes over an entry: for a guest's interrupt, or for one that the host moved."""
    version, msi_desc, message = w.version, f[MSI], f[MESSAGE]
    if not f[POSTING]:
        if not version.rebuilds_posted:
            return scribbled_entry(w, msi_desc, message, old)
        if not version.host_spares_posted:
            source = source_of(w, w.physical(w.memory.u64(msi_desc + w.o.msi_dev)))
            return packed(REMAPPED, remapped_fields(w, message) | source)
    new = new_entry(w, msi_desc, message)
    if not version.restores_current:
        if new & IM and not old & IM:
            w.state.before_posting[msi_desc] = old
        elif not new & IM:
            return w.state.before_posting.pop(msi_desc, new)
    return new


@msi_msg_write_remap_rte.step("finds the device's unit, and disables interrupts")
def find_unit(w: LogicContext, a: Actor, f: Frame) -> None:
    f[UNIT] = w.layout.unit_of(w.source_id(w.physical(w.memory.u64(f[MSI] + w.o.msi_dev))))
    f[IRQS], a.irqs = int(a.irqs), False
    a.result = 0


@msi_msg_write_remap_rte.step("locks the unit's table")
def take_table_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if lock_taken(w, w.table_lock(f[UNIT])) else WAIT


@msi_msg_write_remap_rte.step("writes the remapping entry, 16 bytes at once")
def write_entry(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    memory, o, message = w.memory, w.o, f[MESSAGE]
    index = memory.u32(f[MSI] + o.msi_index)
    if index >> 31:
        raise SimError(f"the MSI at {f[MSI]:#x} has no entry yet")
    if index >= 1 << 16:
        memory.set_u32(f[MSI] + o.msi_index, U32)
        a.result = -EFAULT
        return unlock_table
    entry = w.layout.irte(f[UNIT], index)
    old = int.from_bytes(memory.read(entry, 16), "little")
    new = entry_to_write(w, f, old)
    prefix = REMAPPABLE_ADDRESS["prefix"].extract(memory.u32(message + o.msg_address))
    rewritten = packed(REMAPPABLE_ADDRESS, {"prefix": prefix, "shv": 1, "format": 1, "handle": index})
    memory.set_u32(message + o.msg_address, rewritten)
    memory.set_u32(message + o.msg_address_hi, 0)
    memory.set_u32(message + o.msg_data, 0)
    if not w.version.entry_at_once:
        f[HIGH] = new >> 64
        write_low(w, f, entry, old, new)
        return None
    memory.cmpxchg_u128(entry, old, new)
    w.effect = (ENTRY, f[UNIT] << 16 | index, "IRTE", old, new)
    return note


def write_low(w: LogicContext, f: Frame, entry: int, old: int, new: int) -> None:
    """Write the low half of an entry. Source: how compilers assign structures of 16 bytes without vector registers."""
    w.memory.set_u64(entry, new & U64)
    w.words = (msi_msg_write_remap_rte.name, "writes the low half of the remapping entry")
    w.effect = (ENTRY, w.memory.u32(f[MSI] + w.o.msi_index) | f[UNIT] << 16, "IRTE", old, old >> 64 << 64 | new & U64)


@msi_msg_write_remap_rte.step("writes the high half of the remapping entry")
def write_high_half(w: LogicContext, a: Actor, f: Frame) -> None:
    index = w.memory.u32(f[MSI] + w.o.msi_index)
    entry = w.layout.irte(f[UNIT], index)
    old = int.from_bytes(w.memory.read(entry, 16), "little")
    w.memory.set_u64(entry + 8, f[HIGH])
    w.effect = (ENTRY, f[UNIT] << 16 | index, "IRTE", old, old & U64 | f[HIGH] << 64)


@msi_msg_write_remap_rte.step("notes that the entry is initialised")
def note(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.set_u8(f[MSI] + w.o.msi_initialized, 1)


@msi_msg_write_remap_rte.step("invalidates the unit's cache of it")
def flush_entry_cache(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.flush_iec(a, f[UNIT], w.memory.u32(f[MSI] + w.o.msi_index))


@msi_msg_write_remap_rte.step("unlocks the unit's table")
def unlock_table(w: LogicContext, a: Actor, f: Frame) -> None:
    unlock(w, w.table_lock(f[UNIT]))
    a.irqs = bool(f[IRQS])


vmx_pi_update_irte = Procedure("vmx_pi_update_irte", msi_desc=FIXED, pi_desc=FIXED, gvec=FIXED, msg=FIXED)


@vmx_pi_update_irte.step("notes descriptor and guest vector with the MSI")
def note_descriptor(w: LogicContext, a: Actor, f: Frame) -> None:
    msi_desc, pi_desc, gvec = f[FIRST : FIRST + 3]
    w.memory.set_u64(msi_desc + w.o.msi_pi_desc, w.virtual(pi_desc) if pi_desc else 0)
    w.memory.set_u8(msi_desc + w.o.msi_gvec, gvec)


@vmx_pi_update_irte.step("has the remapping entry written")
def have_entry_written(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(msi_msg_write_remap_rte, f[FIRST], f[FIRST + 3])
    a.stack[-1][POSTING] = 1
