"""The functions of the posted-interrupt logic, each as a call that Xen's code and the model can both make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_backend.layout.cpus import STACK_SIZE
from sim_backend.memory.memory import PAGE

from .states import DEVICE, DOMAINS, VCPUS, State, descriptor_of, message_of

IN_PLACE = "pi_update_irte"
"""What Xen 4.17 has, and no later one."""

Arguments = Callable[[State, Random], tuple[int, ...]]
ForXen = Callable[[State, tuple[int, ...]], tuple[str, list[int]]]


@dataclass(frozen=True)
class Function:
    """A function of Xen, which is a procedure of the model by the same name.

    Attributes:
        arguments: for a state, as the model takes them: physical addresses and numbers.
        value: the bits of RAX that are its return value.
        pointers: how many arguments, the first ones, are addresses; Xen's function gets virtual ones.
        for_xen: Xen's name and arguments where these are others.
    """

    name: str
    arguments: Arguments
    value: int = 0
    pointers: int = 1
    for_xen: ForXen | None = None


def _any_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    listed = [vcpu for vcpus in made.lists.values() for vcpu in vcpus]
    return (rng.choice(listed if listed and rng.random() < 0.7 else made.vcpus),)


def _unlisted_vcpu(made: State, rng: Random) -> tuple[int, ...]:
    listed = {vcpu for vcpus in made.lists.values() for vcpu in vcpus}
    free = [vcpu for vcpu in made.vcpus if vcpu not in listed]
    return (rng.choice(free if free and rng.random() < 0.8 else made.vcpus),)


def _vcpu_and_vector(made: State, rng: Random) -> tuple[int, ...]:
    vcpu = rng.choice((made.current, rng.choice(made.vcpus)))
    return vcpu, rng.getrandbits(8)


def _domain(made: State, rng: Random) -> tuple[int, ...]:
    return (made.layout.domain(rng.choice((VCPUS, VCPUS, *DOMAINS))),)


def _msi(made: State, rng: Random) -> tuple[int, ...]:
    msi = rng.choice(made.layout.device(DEVICE).msis)
    return msi.msi_desc, message_of(made.layout, msi.msi_desc)


def _guest_registers(made: State, _: tuple[int, ...]) -> tuple[str, list[int]]:
    return "vmx_vmenter_helper", [made.layout.virtual(made.layout.cpu_info(made.cpu))]


def _irte_update(made: State, rng: Random) -> tuple[int, ...]:
    """Xen 4.17 has the MSI's own message rewritten; later ones a copy on the stack, which is not compared."""
    msi_desc, message = _msi(made, rng)
    layout = made.layout
    descriptor = rng.choice((0, descriptor_of(layout, rng.choice(made.vcpus))))
    if not layout.profile.has_symbol(IN_PLACE):
        content = layout.memory.read(message, layout.size("msi_msg"))
        message = layout.cpu_info(made.cpu) & -STACK_SIZE
        layout.memory.write(message, content)
        made.pages.add(message // PAGE)
    return msi_desc, descriptor, rng.getrandbits(8), message


def _irte_update_for_xen(made: State, arguments: tuple[int, ...]) -> tuple[str, list[int]]:
    layout = made.layout
    msi_desc, descriptor, gvec, _ = arguments
    pirq = next(msi.irq for msi in layout.device(DEVICE).msis if msi.msi_desc == msi_desc)
    target = layout.virtual(descriptor) if descriptor else 0
    if layout.profile.has_symbol(IN_PLACE):
        return IN_PLACE, [target, pirq, gvec]
    vcpu = target - layout.member("vcpu", "arch.hvm.vmx.pi_desc") if target else 0
    return "vmx_pi_update_irte", [vcpu, pirq, gvec]


FUNCTIONS = [
    Function("vmx_vcpu_block", _unlisted_vcpu),
    Function("vmx_pi_unblock_vcpu", _any_vcpu),
    Function("vmx_pi_per_cpu_init", lambda made, rng: (rng.choice((made.cpu, made.dead)),), pointers=0),
    Function("vmx_test_pir", _vcpu_and_vector, value=0xFF),
    Function("vmx_sync_pir_to_irr", _any_vcpu),
    Function("vmx_ctxt_switch_from", _any_vcpu),
    Function("vmx_ctxt_switch_to", _any_vcpu),
    Function("vmx_vmenter_helper", lambda made, rng: (), value=0xFF, for_xen=_guest_registers),
    Function("pi_wakeup_interrupt", lambda made, rng: ()),
    Function("pi_notification_interrupt", lambda made, rng: ()),
    Function("vmx_pi_desc_fixup", lambda made, rng: (made.dead,), pointers=0),
    Function("vmx_pi_hooks_assign", _domain),
    Function("vmx_pi_hooks_deassign", _domain),
    Function("vmx_deliver_posted_intr", _vcpu_and_vector),
    Function("msi_msg_write_remap_rte", _msi, value=0xFFFF_FFFF, pointers=2),
    Function("vmx_pi_update_irte", _irte_update, value=0xFFFF_FFFF, for_xen=_irte_update_for_xen),
]
