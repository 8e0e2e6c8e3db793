"""The functions of KVM's posted interrupts, each as a call that the code and the model can both make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_backend.layout.kvm.layout import Msi
from sim_backend.layout.kvm.vms import MSI_ADDRESS, MSI_DESTINATION_SHIFT
from sim_backend.memory.memory import PAGE

from .states import CPUS, DEVICE, NEVER_LOADED, OWNER, VECTORS, State, descriptor_of

Arguments = Callable[[State, Random], tuple[int, ...]]
ForCode = Callable[[State, tuple[int, ...]], tuple[str, list[int]]]
U32 = (1 << 32) - 1
TABLE_COUNT, TABLE_MAP, TABLE_SIZE = 288, 296, 0x200
ENTRY_TYPE, ENTRY_MSI, ENTRY_LINK = 4, 16, 48
"""Of `struct kvm_irq_routing_table` and `struct kvm_kernel_irq_routing_entry`, which no profile keeps."""
ROUTE_PIN, ROUTE_MSI = 1, 2
EVERYBODY = 0xFF
NOTIFIER = 8
"""Of `struct kvm_vcpu`."""


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


def _scheduled_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    """One whose thread is the CPU's current one."""
    (vcpu,) = _any_vcpu(made, rng)
    layout = made.layout
    place = layout.percpu(made.cpu, "pcpu_hot")
    made.pages.add(place // PAGE)
    layout.put("pcpu_hot", place, {"current_task": layout.virtual(layout.task(vcpu))})
    return (vcpu,)


def _scheduled(function: str) -> ForCode:
    """The code gets the vCPU's `struct preempt_notifier`, and the CPU; what it gets when it goes is not asked."""
    return lambda made, arguments: (function, [made.layout.virtual(arguments[0]) + NOTIFIER, made.cpu])


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


def _update(made: State, rng: Random) -> tuple[int, ...]:
    return DEVICE, rng.randrange(VECTORS), rng.getrandbits(1)


def _update_for_code(made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
    """The code finds the route in the VM's table: no entry, one of an IO-APIC's pin, or an MSI to one vCPU or all."""
    layout = made.layout
    _, number, to_set = arguments
    vm, gsi = layout.vm(OWNER), number
    table, entry = made.scratch, made.scratch + TABLE_SIZE
    place = vm + layout.member("kvm", "irq_routing")
    made.pages.update((made.scratch // PAGE, place // PAGE))
    layout.memory.set_u64(place, layout.virtual(table))
    layout.memory.set_u32(table + TABLE_COUNT, VECTORS)
    layout.memory.set_u64(table + TABLE_MAP + 8 * gsi, layout.virtual(entry + ENTRY_LINK))
    layout.memory.set_u32(entry + ENTRY_TYPE, ROUTE_MSI if made.route else ROUTE_PIN)
    if made.route:
        vcpu, vector = made.route[0]
        to = layout.domains[OWNER].vcpus.index(vcpu) if len(made.route) == 1 else EVERYBODY
        layout.memory.set_u32(entry + ENTRY_MSI, MSI_ADDRESS | to << MSI_DESTINATION_SHIFT)
        layout.memory.set_u32(entry + ENTRY_MSI + 8, vector)
    return "vmx_pi_update_irte", [layout.virtual(vm), _msi(made, number).irq, gsi, to_set]


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
    Function("kvm_sched_out", _scheduled_vcpu, for_code=_scheduled("kvm_sched_out")),
    Function("kvm_sched_in", _scheduled_vcpu, for_code=_scheduled("kvm_sched_in")),
    Function("vmx_pi_update_irte", _update, for_code=_update_for_code),
]
