"""What a machine can be told to do. Each order is taken at once and happens as the machine goes on.

Beside an actor's turn, an order is a move, of which histories are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isfunction, signature
from typing import Any

from sim_backend.logic import toolstack
from sim_backend.logic.actors import is_blocked, mark_events_pending
from sim_backend.logic.context import LogicContext
from sim_backend.logic.guests import HALT, REWRITE_MSI
from sim_backend.logic.pi import vmx_deliver_posted_intr
from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.logic.scheduler import (
    LOCAL_TIMER_VECTOR,
    SCHEDULE_SOFTIRQ,
    start_migration,
    vcpu_pause,
    vcpu_unpause,
)
from sim_backend.machine.orders import Orders
from sim_backend.machine.parts import Parts, XenParts
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import VcpuName, device_name
from structs.xen.pirq import SEVERAL

PCIE_ENDPOINT = 1

Argument = str | int
NOT_ORDERED = frozenset(("check_cpu", "happen", "is_connected", "order", "toolstack_busy", "where", "with_vector"))
"""Of what an environment has, what is none."""
ENVIRONMENT = ActorId(ActorKind.ENVIRONMENT)
"""Who gives orders."""


class Environment(XenParts, Orders[LogicContext]):
    """Orders to a machine with Xen."""

    __slots__ = ()

    delivery = vmx_deliver_posted_intr
    timer_vector = LOCAL_TIMER_VECTOR

    def block(self, vcpu: VcpuName) -> None:
        """The guest halts the vCPU, the next time that it runs there."""
        v = self.vcpu(vcpu)
        if is_blocked(self.context, v):
            raise SimError(f"{self.vcpu_name(v)} is blocked already")
        self.context.guests.tell(v, HALT)

    def wake(self, vcpu: VcpuName) -> None:
        """Unpause a vCPU that is paused; otherwise an event channel's upcall, which wakes one that is blocked."""
        v = self.vcpu(vcpu)
        if self.memory.u32(v + self.o.pause_count):
            self.order(vcpu_unpause, v)
        else:
            self.order(mark_events_pending, v)

    def sleep(self, vcpu: VcpuName) -> None:
        """Pause a vCPU: it does not run until it is unpaused."""
        self.order(vcpu_pause, self.vcpu(vcpu))

    def expire_timer(self, vcpu: VcpuName) -> None:
        """An emulated timer of a vCPU expires, on the CPU where the vCPU is: its interrupt is posted from a softirq."""
        v, cpu = self._expired(vcpu)
        self.state.timers[cpu].append(v)
        self.context.services.send_ipi(self.context.outside, cpu, LOCAL_TIMER_VECTOR)

    def broadcast_timer(self, vcpu: VcpuName) -> None:
        """The same while the CPU's own timer is stopped, for it sleeps deeply: the HPET's interrupt comes elsewhere."""
        v, cpu = self._expired(vcpu)
        self.state.timers[cpu].append(v)
        self.order(toolstack.broadcast_timer, cpu)

    def _expired(self, vcpu: VcpuName) -> tuple[int, int]:
        v = self.vcpu(vcpu)
        return v, self.memory.u32(v + self.o.processor)

    def tasklet(self, cpu: int) -> None:
        """A CPU gets a tasklet to run, which it does as idle."""
        self.check_cpu(cpu)
        self.state.tasklets[cpu] += 1
        self.context.services.cpu_raise_softirq(self.context.outside, cpu, SCHEDULE_SOFTIRQ)

    def migrate(self, vcpu: VcpuName, cpu: int) -> None:
        """Move a vCPU to another CPU."""
        self.check_cpu(cpu)
        self.order(start_migration, self.vcpu(vcpu), cpu)

    def offline(self, cpu: int) -> None:
        """Take a CPU offline. CPU 0 stays."""
        self.check_cpu(cpu)
        if cpu == 0:
            raise SimError("CPU 0 cannot go offline")
        self.order(toolstack.cpu_down, cpu)

    def bring_online(self, cpu: int) -> None:
        """Bring a CPU back."""
        if not 0 <= cpu < len(self.context.cpus) or cpu in self.state.online:
            raise SimError(f"CPU {cpu} is not offline")
        self.order(toolstack.cpu_up, cpu)

    def save_context(self, vcpu: VcpuName) -> None:
        """Somebody reads the state of a vCPU's domain, all vCPUs' local APICs: `XEN_DOMCTL_gethvmcontext`."""
        self.order(toolstack.save_domain, self.layout.domain(self.names[self.vcpu(vcpu)][0]))

    def load_context(self, vcpu: VcpuName) -> None:
        """Somebody loads the state of a vCPU's domain, as it was saved just before: `XEN_DOMCTL_sethvmcontext`."""
        self.order(toolstack.load_domain, self.layout.domain(self.names[self.vcpu(vcpu)][0]))

    def suspend(self) -> None:
        """The host goes to sleep (ACPI S3) and comes back at once, as far as posted interrupts are concerned."""
        self.order(toolstack.suspend_host)

    def move_interrupt(self, device: str | int, number: int, cpu: int) -> None:
        """The host moves the interrupt of a device's vector `number` to another CPU; a guest that has it sees nothing.

        Source: `set_msi_affinity`.
        """
        sid = self.with_vector(device, number)
        self.check_cpu(cpu)
        self.order(toolstack.move_interrupt, sid, number, cpu)

    def retarget(self, device: str | int, number: int, vcpu: VcpuName) -> None:
        """A guest has the message of a device's vector `number` name another vCPU.

        Raises:
            SimError: the device is not its domain's.
        """
        sid, (domain, index) = self.sid(device), self.names[self.vcpu(vcpu)]
        if self.context.passthrough.owner(sid) != domain:
            raise SimError(f"device {device_name(sid)} is not domain {domain}'s")
        self._bind(sid, number, index)

    def broadcast(self, device: str | int, number: int) -> None:
        """A guest has a device's vector `number` go to all of its vCPUs. If there is one only, it is that one's.

        Source: `hvm_girq_dest_2_vcpu_id`. Raises SimError: no guest has the device.
        """
        sid = self.sid(device)
        domain = self.layout.domains.get(self.state.owners.get(sid, -1))
        self._bind(sid, number, 0 if domain and len(domain.vcpus) == 1 else SEVERAL)

    def rewrite(self, vcpu: VcpuName, device: str | int, number: int, target: VcpuName) -> None:
        """As `retarget`, done by one of the guest's vCPUs: while it runs, others may change the guest's interrupts too.

        Raises:
            SimError: the device is not its domain's.
        """
        v, sid, (domain, index) = self.vcpu(vcpu), self.with_vector(device, number), self.names[self.vcpu(target)]
        if not self.context.passthrough.owner(sid) == domain == self.names[v][0]:
            raise SimError(f"device {device_name(sid)} and {self.vcpu_name(v)} are not domain {domain}'s")
        self.context.guests.tell(v, REWRITE_MSI, sid, number, domain, index)

    def unroute(self, device: str | int, number: int) -> None:
        """A guest stops using a device's vector `number` as an MSI. Raises SimError: no guest has the device."""
        sid = self.with_vector(device, number)
        domain = self.context.passthrough.owner(sid)
        if domain is None:
            raise SimError(f"device {device_name(sid)} is not assigned")
        self.order(toolstack.destroy_bind, sid, number, domain)

    def request_irq(self, device: str | int, number: int) -> None:
        """Xen itself handles the interrupt of a device's vector `number`, which no guest has."""
        sid = self.with_vector(device, number)
        self.state.actions.append(self.layout.device(sid).msis[number].irq)

    def disable_irq(self, device: str | int, number: int) -> None:
        """Xen disables the interrupt of a device's vector `number`. Raises SimError: Xen does not handle it."""
        sid = self.with_vector(device, number)
        irq = self.layout.device(sid).msis[number].irq
        if irq not in self.state.actions:
            raise SimError(f"irq {irq} is not Xen's own")
        self.order(toolstack.disable_irq, irq)

    def make_nmi(self, device: str | int, number: int) -> None:
        """A guest has a device's vector `number` be an NMI of vCPU 0. Raises SimError: no guest has the device."""
        self._bind(self.sid(device), number, 0, nmi=True)

    def _bind(self, sid: int, number: int, vcpu: int, nmi: bool = False) -> None:
        self.with_vector(sid, number)
        domain = self.context.passthrough.owner(sid)
        if domain is None:
            raise SimError(f"device {device_name(sid)} is not assigned")
        self.order(toolstack.bind_pt_irq, sid, number, domain, vcpu, int(nmi))

    def swap_apic_ids(self, vcpu: VcpuName, other: VcpuName) -> None:
        """A guest gives two of its vCPUs each other's APIC IDs: messages that named one name the other one now.

        Raises:
            SimError: they are not of one domain.
        """
        v, w = self.vcpu(vcpu), self.vcpu(other)
        if self.names[v][0] != self.names[w][0]:
            raise SimError(f"{self.vcpu_name(v)} and {self.vcpu_name(w)} are not of one domain")
        swapped = {v: w, w: v}
        self.state.bindings = {
            key: tuple((swapped.get(bound, bound), vector) for bound, vector in pairs)
            for key, pairs in self.state.bindings.items()
        }

    def assign(self, device: str | int, domain: int) -> None:
        """Give a device to a domain, and its interrupts to the domain's vCPUs, one after the other."""
        sid = self.sid(device)
        if domain not in self.context.guests.domain_numbers():
            raise SimError(f"there is no domain {domain} that a device could be assigned to")
        if self.context.passthrough.owner(sid) is not None:
            raise SimError(
                f"device {device_name(sid)} is assigned to domain {self.context.passthrough.owner(sid)} already"
            )
        self.order(toolstack.assign_device, sid, domain)

    def deassign(self, device: str | int) -> None:
        """Take a device away from its domain."""
        sid = self.sid(device)
        owner = self.context.passthrough.owner(sid)
        if owner is None:
            raise SimError(f"device {device_name(sid)} is not assigned")
        self.order(toolstack.deassign_device, sid, owner)

    def destroy_domain(self, domain: int) -> None:
        """End a domain."""
        if domain not in self.context.guests.domain_numbers():
            raise SimError(f"there is no domain {domain} that could be ended")
        self.order(toolstack.destroy_domain, domain)


@dataclass(frozen=True, slots=True)
class Move:
    """One move; either `turn` or `order` is there.

    Attributes:
        turn: the actor that does its next atomic action, by name (`CPU 0`, `device 00:03.0`, `toolstack`).
        order: a method of the machine by name, with its `arguments` (vCPUs as `d1v0`, devices as
            `00:03.0`). It takes no step itself.
        choices: what the logic's own draws (`get_random`) give during the move, in order; 0 when they are used up.
    """

    turn: str | None = None
    order: str | None = None
    arguments: tuple[Argument, ...] = ()
    choices: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, (self.order or self.turn, *self.arguments)))


def give(machine: Parts[Any], order: str, arguments: tuple[Argument, ...]) -> None:
    """Give a machine an order. Raises SimError if there is none such, or the machine refuses it."""
    known = orders(machine.environment)
    if order not in known:
        raise SimError(f"no order {order!r}; there are {', '.join(known)}")
    method = getattr(machine.environment, order)
    parameters = list(signature(method).parameters.values())[1:]
    needed = sum(parameter.default is parameter.empty for parameter in parameters)
    if not needed <= len(arguments) <= len(parameters):
        names = ", ".join(parameter.name for parameter in parameters)
        raise SimError(f"order {order} with {len(arguments)} arguments: it takes {names}")
    for parameter, argument in zip(parameters, arguments, strict=False):
        kind, words = _KINDS.get(parameter.annotation, _NAME)
        if type(argument) is not kind:
            raise SimError(f"order {order}: {parameter.name} = {argument!r}: expected {words}")
    method(machine, *arguments)


_NAME: tuple[type, str] = (str, "a name, such as d1v0 or 00:03.0")
_KINDS: dict[object, tuple[type, str]] = {"int": (int, "a whole number"), "bool": (bool, "true or false")}


def orders(environment: type[Parts[Any]]) -> tuple[str, ...]:
    """The orders that a move may give to a machine of that environment."""
    methods = {
        name: None
        for each in reversed(environment.__mro__)
        if issubclass(each, Orders)
        for name, value in vars(each).items()
        if isfunction(value)
    }
    return tuple(name for name in methods if not name.startswith("_") and name not in NOT_ORDERED)


Environment.environment = Environment
ORDERS = orders(Environment)
"""The orders that a move may give to a machine with Xen."""
