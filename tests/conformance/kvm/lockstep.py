"""A machine with KVM that KVM's own code follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sim_backend.logic.kvm.cpu import interrupt_return
from sim_backend.logic.program import PROCEDURES, Actor
from sim_backend.machine.kvm import KvmMachine
from tests.fixtures.kvm import KvmBuild

from ..lockstep import Followed, Lockstep, Sides
from ..machine_code import Event
from .code import KvmCode
from .functions import FUNCTIONS, Function
from .names import names_of
from .sides import GUEST_INTR_STATUS, STUBS, as_told, sleeps
from .states import State, prepare

ARGUMENTS = {
    "kvm_vcpu_kick": 1,
    "kvm_vcpu_wake_up": 1,
    "pi_wakeup_handler": 0,
    "vmx_deliver_posted_interrupt": 2,
    "vmx_sync_pir_to_irr": 1,
    "vmx_vcpu_pi_load": 2,
    "vmx_vcpu_pi_put": 1,
}
"""The functions that run in the code, and how many arguments they take."""
BY_NAME = {function.name: function for function in FUNCTIONS}
WORD, HALF = 8, 4
PIR, CONTROL = 0, 32


def followed(machine: KvmMachine, build: KvmBuild) -> Lockstep:
    """The machine, laid out as the build is, and the code of the build."""
    layout = machine.layout
    prepare(layout)
    code = KvmCode(build.vmlinux, build.modules, layout, STUBS, layout.config.cpus)
    code.vmcs = {GUEST_INTR_STATUS: 0}
    code.answers = {
        "irq_remapping_cap": lambda *_: int(layout.config.intpost),
        "vmx_interrupt_blocked": lambda vcpu, *_: int(layout.physical(vcpu) in machine.state.masked),
        "wake_up_process": lambda task, *_: int(sleeps(layout, code, task)),
    }

    def told(cpu: int, event: Event) -> Event | None:
        return as_told(code, layout, cpu, event)

    def wakes(actor: Actor, vcpu: int) -> Event:
        return "wake_up_process", layout.task(vcpu), 0

    stubbed: Mapping[str, Callable[..., Event]] = {
        "send_ipi": lambda actor, cpu, vector: ("send_ipi", cpu, vector),
        "wake_up_process": wakes,
    }
    run = {PROCEDURES[f"kvm {name}"].number: _followed(machine, BY_NAME[name], n) for name, n in ARGUMENTS.items()}
    watched = {at: part for v in machine.names for at, part in _contested(machine, v)}
    sides = Sides(code, names_of(layout), run, frozenset(), stubbed, told, watched, interrupt_return.number)
    return Lockstep(machine, sides)


def _followed(machine: KvmMachine, function: Function, arguments: int) -> Followed:
    def call(cpu: int, given: tuple[int, ...]) -> tuple[str, list[int]]:
        return function.call(State(machine.layout, set(), cpu, False, False, 0, 0, (), {}), given)

    return Followed(function.name, arguments, function.value, call)


def _contested(machine: KvmMachine, v: int) -> Iterator[tuple[int, int]]:
    """The bytes of a vCPU that procedures read while others write, and the part of memory that each belongs to."""
    o = machine.o
    for part, size in (
        *((o.pir + at, HALF) for at in range(PIR, CONTROL, HALF)),
        *((o.control, WORD), (o.cpu, 4), (o.mode, 4), (o.wait, WORD)),
    ):
        yield from ((v + part + at, v + part) for at in range(size))
