"""PIR is moved to the virtual IRR: `vmx_sync_pir_to_irr`; a bit of PIR is tested: `vmx_test_pir`."""

from __future__ import annotations

from sim_backend.logic.context import ON, PIR_WORD, PIR_WORDS, VCPU, VIRR_WORD, LogicContext
from sim_backend.logic.kinds import NUMBER, PLACE, VECTOR_OF_FIRST, PirWord
from sim_backend.logic.pi.stores import clear_bit
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

IRR = 0x200
"""Of the vLAPIC's register page: 32 vectors each 16 bytes."""
V = FIRST

vmx_sync_pir_to_irr = Procedure(
    "vmx_sync_pir_to_irr", v=PLACE, group=NUMBER, **{f"pir{n}": PirWord(n) for n in range(PIR_WORDS)}
)
GROUP, PIR = FIRST + 1, FIRST + 2


@vmx_sync_pir_to_irr.step("clears ON; if it was clear, PIR is not looked at")
def clear_on(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    was = clear_bit(w, f[V], "on", ON)
    # With the plain read before, Xen takes for granted that it was set.
    return None if was or w.version.sync_reads_first else DONE


@vmx_sync_pir_to_irr.step("takes 64 bits of PIR")
def take_group(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    group = f[GROUP]
    taken = f[PIR + group] = w.memory.xchg_u64(f[V] + w.o.pir + 8 * group, 0)
    w.effect = (VCPU, f[V], (PIR_WORD, group), taken, 0)
    f[GROUP] = group + 1
    return take_group if group + 1 < PIR_WORDS else None


@vmx_sync_pir_to_irr.step("adds them to the vLAPIC's IRR")
def add_to_irr(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    memory = w.memory
    pending = f[PIR] | f[PIR + 1] << 64 | f[PIR + 2] << 128 | f[PIR + 3] << 192
    if not pending:
        return DONE
    first = w.physical(memory.u64(f[V] + w.o.regs)) + IRR
    for number in range(8):
        bits = pending >> 32 * number & 0xFFFF_FFFF
        if bits:
            place = first + 16 * number
            old = memory.u32(place)
            memory.set_u32(place, old | bits)
            w.effect = (VCPU, f[V], (VIRR_WORD, number), old, old | bits)
    return DONE


@vmx_sync_pir_to_irr.step("reads ON; it is clear: PIR is not looked at")
def read_on(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    on = w.memory.u8(f[V] + w.o.control) & 1 << ON
    w.effect = (VCPU, f[V], "on", on, on)
    return clear_on if on else DONE


def sync(w: LogicContext, a: Actor, v: int) -> None:
    """Call `vmx_sync_pir_to_irr` as this version has it."""
    if w.version.sync_reads_first:
        a.call_at(read_on, vmx_sync_pir_to_irr, v)
    else:
        a.call(vmx_sync_pir_to_irr, v)


vmx_test_pir = Procedure("vmx_test_pir", v=PLACE, vector=VECTOR_OF_FIRST)


@vmx_test_pir.step("tests a bit of PIR")
def test_bit(w: LogicContext, a: Actor, f: Frame) -> None:
    vector = f[FIRST + 1]
    a.result = w.memory.u8(f[V] + w.o.pir + (vector >> 3)) >> (vector & 7) & 1
