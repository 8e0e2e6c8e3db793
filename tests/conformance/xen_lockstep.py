"""A machine with Xen that Xen's own code follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim_backend.logic.cpu import interrupt_return
from sim_backend.logic.program import PROCEDURES
from sim_backend.machine.machine import Machine

from .functions import FUNCTIONS, Function
from .lockstep import Followed, Lockstep, Sides
from .machine_code import Event
from .names import names_of
from .sides import NOT_COMPARED, STUBS, as_told, prepare
from .states import State
from .xen_code import XenCode

ARGUMENTS = {
    "pi_notification_interrupt": 0,
    "pi_wakeup_interrupt": 0,
    "vmx_ctxt_switch_from": 1,
    "vmx_ctxt_switch_to": 1,
    "vmx_deliver_posted_intr": 2,
    "vmx_pi_unblock_vcpu": 1,
    "vmx_sync_pir_to_irr": 1,
    "vmx_vcpu_block": 1,
    "vmx_vmenter_helper": 0,
}
"""The functions that run in Xen's code, and how many arguments they take."""
BY_NAME = {function.name: function for function in FUNCTIONS}
STUBBED = {
    "ack_apic_irq": lambda actor: ("ack_APIC_irq", actor.cpu, 0),
    "cpu_raise_softirq": lambda actor, cpu, number: ("cpu_raise_softirq", cpu, number),
    "raise_softirq": lambda actor, number: ("raise_softirq", actor.cpu, number),
    "send_ipi": lambda actor, cpu, vector: ("send_IPI_mask", cpu, vector),
    "vcpu_wake": lambda actor, vcpu: ("vcpu_wake", vcpu, 0),
}
"""What the procedures ask of the machine, which in Xen's code is a stub, and how the call is told."""
WORD = 8


def followed(machine: Machine, symbols: Path) -> Lockstep:
    """The machine, laid out as the build is, and the code of the build's xen-syms, which is put into its memory."""
    layout = machine.layout
    code = XenCode(symbols, layout, STUBS)
    prepare(layout, code.virtual)
    code.start()

    def told(cpu: int, event: Event) -> Event | None:
        return None if event[0] in NOT_COMPARED else as_told(code, layout, cpu, event)

    run = {PROCEDURES[name].number: _followed(machine, BY_NAME[name], count) for name, count in ARGUMENTS.items()}
    not_run = frozenset(PROCEDURES[name].number for name in BY_NAME.keys() - ARGUMENTS.keys())
    watched = {at: part for v in machine.names for at, part in _contested(machine, v)}
    return Lockstep(
        machine,
        Sides(code, names_of(layout, code.virtual), run, not_run, STUBBED, told, watched, interrupt_return.number),
    )


def _followed(machine: Machine, function: Function, arguments: int) -> Followed:
    layout = machine.layout

    def call(cpu: int, given: tuple[int, ...]) -> tuple[str, list[int]]:
        if function.for_xen:
            return function.for_xen(State(layout, set(), cpu, -1, 0, False, 0, {}), given)
        return function.name, [*map(layout.virtual, given[:1]), *given[1:]]

    return Followed(function.name, arguments, function.value, call)


def _contested(machine: Machine, v: int) -> Iterator[tuple[int, int]]:
    """The bytes of a vCPU that procedures read while others write, and the part of memory that each belongs to."""
    o = machine.o
    for word in range(o.pir, o.control + WORD, WORD):
        yield from ((v + word + at, v + word) for at in range(WORD))
    for place, size in ((o.pause_flags, 4), (o.processor, 4), (o.is_running, 1), (o.node_lock, 8)):
        yield from ((v + place + at, v + place) for at in range(size))
