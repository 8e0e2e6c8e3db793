"""PIR is moved to the virtual IRR: `vmx_sync_pir_to_irr`, `__kvm_apic_update_irr`."""

from __future__ import annotations

from sim_backend.logic.context import ON, PIR_WORDS, VCPU, VIRR_WORD
from sim_backend.logic.kinds import NUMBER, PLACE, PirWord
from sim_backend.logic.kvm.context import KvmContext
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.stores import clear_bit
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome

V, WORD, TAKEN = FIRST, FIRST + 1, FIRST + 2
HALVES = 2 * PIR_WORDS
PIR_HALF = "pir, 32 bits {}"


class PirHalf(PirWord):
    """32 bits of the PIR of the vCPU that is the frame's first variable, of which the second one says which."""

    def __init__(self) -> None:
        super().__init__(0)


vmx_sync_pir_to_irr = KvmProcedure("vmx_sync_pir_to_irr", v=PLACE, word=NUMBER, taken=PirHalf())
"""Its result is the highest vector in the virtual IRR, or -1."""


@vmx_sync_pir_to_irr.step("reads ON; it is clear: PIR is not looked at")
def read_on(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    on = w.memory.u8(f[V] + w.o.control) & 1 << ON
    w.effect = (VCPU, f[V], "on", on, on)
    return None if on else find_highest


@vmx_sync_pir_to_irr.step("clears ON")
def clear_on(w: KvmContext, a: Actor, f: Frame) -> None:
    clear_bit(w, f[V], "on", ON)


@vmx_sync_pir_to_irr.step("reads 32 bits of PIR")
def read_word(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if w.memory.u32(f[V] + w.o.pir + 4 * f[WORD]):
        return None
    return next_word(f)


def next_word(f: Frame) -> Outcome:
    """Go on with the next 32 bits."""
    f[WORD] += 1
    if f[WORD] < HALVES:
        return read_word
    f[WORD] = 0
    return find_highest


@vmx_sync_pir_to_irr.step("takes them")
def take_word(w: KvmContext, a: Actor, f: Frame) -> None:
    place = f[V] + w.o.pir + 4 * f[WORD]
    f[TAKEN] = w.memory.u32(place)
    w.memory.fence()
    w.memory.set_u32(place, 0)
    w.memory.fence()
    w.effect = (VCPU, f[V], (PIR_HALF, f[WORD]), f[TAKEN], 0)


@vmx_sync_pir_to_irr.step("adds them to the virtual IRR")
def add_to_irr(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    place = w.addresses.irrs[f[V]] + 16 * f[WORD]
    old = w.memory.u32(place)
    new = old | f[TAKEN]
    if new != old:
        w.memory.set_u32(place, new)
        w.memory.fence()
    w.effect = (VCPU, f[V], (VIRR_WORD, f[WORD]), old, new)
    f[TAKEN] = 0
    return next_word(f)


@vmx_sync_pir_to_irr.step("finds the highest vector there")
def find_highest(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.result = w.guests.highest_virtual(f[V])
    return DONE
