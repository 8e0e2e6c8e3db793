"""The functions of KVM's posted interrupts, each as a call that the code and the model can both make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_backend.layout.kvm.layout import Msi
from sim_backend.memory.memory import PAGE

from .states import CPUS, DEVICE, NEVER_LOADED, State, descriptor_of

Arguments = Callable[[State, Random], tuple[int, ...]]
ForCode = Callable[[State, tuple[int, ...]], tuple[str, list[int]]]
U32 = (1 << 32) - 1


@dataclass(frozen=True)
class Function:
    """A function of KVM, which is a procedure of the model by the same name.

    Attributes:
        arguments: for a state, as the model takes them: physical addresses and numbers.
        value: the bits of RAX that are its return value.
        for_code: the code's function and arguments where these are others: by default the first argument, if there is
            any, is an address.
    """

    name: str
    arguments: Arguments
    value: int = 0
    for_code: ForCode | None = None

    def call(self, made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
        """The code's function and its arguments, addresses virtual."""
        if self.for_code:
            return self.for_code(made, arguments)
        return self.name, [*map(made.layout.virtual, arguments[:1]), *arguments[1:]]


def _any_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    listed = [vcpu for vcpus in made.lists.values() for vcpu in vcpus]
    return (rng.choice(listed if listed and rng.random() < 0.5 else made.vcpus),)


def _vcpu_to_put(made: State, rng: Random) -> tuple[int, ...]:
    """One that was loaded, and is on no list."""
    listed = {vcpu for vcpus in made.lists.values() for vcpu in vcpus}
    layout = made.layout
    free = [vcpu for vcpu in made.vcpus if vcpu not in listed]
    loaded = [vcpu for vcpu in free if layout.get("vcpu_vmx", vcpu, "vcpu.cpu") != NEVER_LOADED]
    if not loaded:
        loaded = free[:1]
        layout.put("vcpu_vmx", loaded[0], {"vcpu.cpu": made.cpu})
    return (rng.choice(loaded),)


def _vcpu_and_cpu(made: State, rng: Random) -> tuple[int, ...]:
    (vcpu,) = _any_vcpu(made, rng)
    return vcpu, rng.choice((made.cpu, rng.randrange(CPUS)))


def _vcpu_and_vector(made: State, rng: Random) -> tuple[int, ...]:
    (vcpu,) = _any_vcpu(made, rng)
    return vcpu, rng.randrange(16, 256)


def _delivery(made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
    vcpu, vector = arguments
    return "vmx_deliver_interrupt", [made.layout.get("vcpu_vmx", vcpu, "vcpu.arch.apic"), 0, 0, vector]


def _affinity(made: State, rng: Random) -> tuple[int, ...]:
    msi = _msi(made, rng.randrange(len(made.layout.device(DEVICE).msis)))
    return DEVICE, msi.number, rng.choice((0, rng.choice(made.vcpus))), rng.getrandbits(8)


def _msi(made: State, number: int) -> Msi:
    return made.layout.device(DEVICE).msis[number]


def _affinity_for_code(made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
    """The code gets an irq's data, of which it takes `chip_data`, and a `struct vcpu_data` or none."""
    layout = made.layout
    _, number, vcpu, vector = arguments
    data, target = made.scratch, made.scratch + layout.size("irq_data")
    made.pages.add(made.scratch // PAGE)
    layout.put("irq_data", data, {"chip_data": layout.virtual(_msi(made, number).msi_desc)})
    layout.memory.set_u64(target, descriptor_of(layout, vcpu) if vcpu else 0)
    layout.memory.set_u32(target + 8, vector)
    return "intel_ir_set_vcpu_affinity", [layout.virtual(data), layout.virtual(target) if vcpu else 0]


FUNCTIONS = [
    Function("vmx_vcpu_pi_load", _vcpu_and_cpu),
    Function("vmx_vcpu_pi_put", _vcpu_to_put),
    Function("pi_enable_wakeup_handler", _vcpu_to_put),
    Function("pi_wakeup_handler", lambda made, rng: ()),
    Function("vmx_sync_pir_to_irr", _any_vcpu, value=U32),
    Function("vmx_deliver_posted_interrupt", _vcpu_and_vector, for_code=_delivery),
    Function("kvm_vcpu_wake_up", _any_vcpu, value=1),
    Function("kvm_vcpu_kick", _any_vcpu),
    Function("intel_ir_set_vcpu_affinity", _affinity, for_code=_affinity_for_code),
]
