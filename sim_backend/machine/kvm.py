"""The simulated machine with Linux and KVM.

    >>> machine = KvmMachine(load("idle"))
    >>> machine.block("vm1v0")
    >>> machine.settle() > 0
    True

A VM is a domain of the scenario, its number the process that made it; domain 0 is the host. vCPUs are named `vm1v0`
(`d1v0` means the same). All vCPUs have threads that run them from the beginning.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim_backend.layout.config import DEFAULT_PROFILE as XEN_PROFILE
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.devices import Msi
from sim_backend.layout.kvm.layout import DEFAULT_PROFILE, KvmLayout
from sim_backend.logic.actors import Beside
from sim_backend.logic.context import DOMAIN, msi_key
from sim_backend.logic.guests import (
    HALT,
    REWRITE_MSI,
    Guests,
)
from sim_backend.logic.kvm.context import HALTED, LOCAL_TIMER_VECTOR, REQ_NMI, KvmContext, KvmOffsets
from sim_backend.logic.kvm.cpu import do_idle
from sim_backend.logic.kvm.deliver import vmx_deliver_posted_interrupt
from sim_backend.logic.kvm.irqfd import (
    UNROUTED,
    add_producer,
    del_producer,
    intel_ir_set_affinity,
    kvm_set_irq_routing,
    note_message,
)
from sim_backend.logic.kvm.migrate import set_cpus_allowed
from sim_backend.logic.kvm.schedule import resched
from sim_backend.logic.kvm.services import KvmServices
from sim_backend.logic.kvm.state import KvmState
from sim_backend.logic.kvm.vcpu import kvm_arch_vcpu_ioctl_run
from sim_backend.logic.kvm.versions import KVM, KvmVersion
from sim_backend.logic.kvm.wake import kvm_make_request
from sim_backend.logic.program import BY_NUMBER
from sim_backend.logic.workload import U64, Drawn
from sim_backend.machine.engine import Engine
from sim_backend.machine.orders import Orders
from sim_backend.machine.outside import Outside
from sim_backend.machine.parts import Parts, put_together
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import VcpuName, device_name
from sim_backend.scenario.scenario import DEFAULT, Scenario, load
from structs.xen.pirq import SEVERAL


class KvmParts(Parts[KvmContext]):
    """What a machine with Linux and KVM is made of."""

    __slots__ = ()

    @property
    def layout(self) -> KvmLayout:
        """How Linux's memory is laid out; what others see of memory is its `memory`."""
        return self.context.layout

    @property
    def state(self) -> KvmState:
        """What is neither in memory nor an actor's."""
        return self.context.state

    @property
    def o(self) -> KvmOffsets:
        """Where members lie in Linux's structures."""
        return self.context.o

    @property
    def version(self) -> KvmVersion:
        """The version of the logic."""
        return self.context.version

    def attach(self, w: KvmContext) -> None:
        """As Parts."""
        w.services, w.guests = KvmServices(w), Guests(w)

    def cpu_of(self, v: int) -> int:
        """As Parts; of one that was never loaded, the first."""
        cpu = self.memory.u32(v + self.o.cpu)
        return cpu if cpu < len(self.cpus) else 0

    def binding_in(self, msi: Msi, domain: int) -> tuple[int, int]:
        """As Parts."""
        vcpus = self.layout.domains[domain].vcpus
        return vcpus[msi.number % len(vcpus)], self.context.services.vector_of(msi)

    def is_paused(self, v: int) -> bool:
        """As Parts: nobody pauses single vCPUs."""
        return False

    def name_of(self, kind: int, subject: int) -> str:
        """As Parts."""
        if kind == DOMAIN:
            return next((f"vm{vm}" for vm, has in self.layout.domains.items() if has.address == subject), "a VM")
        return super().name_of(kind, subject)

    def vcpu_name(self, v: int) -> str:
        """`vm1v0`, or an address that is no vCPU's."""
        return "vm{}v{}".format(*self.names[v]) if v in self.names else f"no vCPU at {v:#x}"


class KvmEnvironment(KvmParts, Orders[KvmContext]):
    """Orders to a machine with Linux and KVM."""

    __slots__ = ()

    delivery = vmx_deliver_posted_interrupt
    timer_vector = LOCAL_TIMER_VECTOR

    def block(self, vcpu: VcpuName) -> None:
        """The guest halts the vCPU, the next time that it runs there."""
        v = self.vcpu(vcpu)
        if self.memory.u32(v + self.o.mp_state) == HALTED:
            raise SimError(f"{self.vcpu_name(v)} is halted already")
        self.context.guests.tell(v, HALT)

    def wake(self, vcpu: VcpuName) -> None:
        """An NMI for a vCPU: it leaves the guest, or wakes, and is no longer masked."""
        self.order(kvm_make_request, self.vcpu(vcpu), REQ_NMI)

    def expire_timer(self, vcpu: VcpuName) -> None:
        """An emulated timer of a vCPU expires, on the CPU where the vCPU was loaded last."""
        v = self.vcpu(vcpu)
        cpu = self._last_cpu(v)
        self.state.timers[cpu].append(v)
        self.context.services.send_ipi(self.context.outside, cpu, LOCAL_TIMER_VECTOR)

    def tasklet(self, cpu: int) -> None:
        """Another thread of the host is to run on a CPU."""
        self.check_cpu(cpu)
        self.state.tasklets[cpu] += 1
        resched(self.context, self.context.outside, cpu)

    def migrate(self, vcpu: VcpuName, cpu: int) -> None:
        """Move a vCPU's thread to another CPU."""
        self.check_cpu(cpu)
        self.order(set_cpus_allowed, self.vcpu(vcpu), cpu)

    def move_interrupt(self, device: str | int, number: int, cpu: int) -> None:
        """The host moves the interrupt of a device's vector `number` to another CPU; a guest that has it sees nothing.

        Source: `intel_ir_set_affinity`.
        """
        sid = self.with_vector(device, number)
        self.check_cpu(cpu)
        self.order(intel_ir_set_affinity, sid, number, cpu)

    def retarget(self, device: str | int, number: int, vcpu: VcpuName) -> None:
        """A guest has the message of a device's vector `number` name another vCPU.

        Raises:
            SimError: the device is not its VM's.
        """
        sid, (vm, index) = self.sid(device), self.names[self.vcpu(vcpu)]
        if self.state.owners.get(sid) != vm:
            raise SimError(f"device {device_name(sid)} is not VM {vm}'s")
        self._route(sid, number, index)

    def broadcast(self, device: str | int, number: int) -> None:
        """A guest has a device's vector `number` go to all of its vCPUs. If there is one only, it is that one's."""
        sid = self.sid(device)
        vm = self.layout.domains.get(self.state.owners.get(sid, -1))
        self._route(sid, number, 0 if vm and len(vm.vcpus) == 1 else SEVERAL)

    def rewrite(self, vcpu: VcpuName, device: str | int, number: int, target: VcpuName) -> None:
        """As `retarget`, done by the thread of one of the VM's vCPUs: the VMM may change other things meanwhile.

        Raises:
            SimError: the device is not its VM's.
        """
        v, sid, (vm, index) = self.vcpu(vcpu), self.with_vector(device, number), self.names[self.vcpu(target)]
        if not self.state.owners.get(sid) == vm == self.names[v][0]:
            raise SimError(f"device {device_name(sid)} and {self.vcpu_name(v)} are not VM {vm}'s")
        self.context.guests.tell(v, REWRITE_MSI, sid, number, vm, index)

    def unroute(self, device: str | int, number: int) -> None:
        """A guest stops using a device's vector `number` as an MSI. Raises SimError: no guest has the device."""
        self._route(self.sid(device), number, UNROUTED)

    def assign(self, device: str | int, domain: int) -> None:
        """Connect a device's interrupts with irqfds of a VM, which become interrupts of its vCPUs, one after the other.

        Raises:
            SimError: another VM has them, or they are connected.
        """
        sid = self.sid(device)
        if domain not in self.layout.domains:
            raise SimError(f"there is no VM {domain} that a device could be assigned to")
        if self.state.owners.get(sid, domain) != domain:
            raise SimError(f"device {device_name(sid)} is VM {self.state.owners[sid]}'s")
        if self.is_connected(sid):
            raise SimError(f"device {device_name(sid)} is assigned to VM {domain} already")
        if sid not in self.state.owners:
            self._give(sid, domain)
            for number in range(len(self.layout.device(sid).msis)):
                self._disconnect(sid, number)
        for number in range(len(self.layout.device(sid).msis)):
            self.order(add_producer, sid, number)

    def deassign(self, device: str | int) -> None:
        """Disconnect a device's interrupts from the irqfds of its VM, which keeps these."""
        sid = self.sid(device)
        if not self.is_connected(sid):
            raise SimError(f"device {device_name(sid)} is not assigned")
        for number in range(len(self.layout.device(sid).msis)):
            self.order(del_producer, sid, number)

    def is_connected(self, sid: int) -> bool:
        """Whether a device's interrupts are connected with irqfds of a VM."""
        msis = self.layout.device(sid).msis
        return any(msi.pirq and self.memory.u64(msi.pirq + self.o.producer) for msi in msis)

    def _give(self, sid: int, vm: int) -> None:
        """Let irqfds of a VM be there for a device, connected, and the guest have programmed its MSIs."""
        w, state = self.context, self.state
        if not all(msi.pirq for msi in self.layout.device(sid).msis):
            self.layout.give_device(sid, vm)
        w.find_producers()
        state.owners[sid] = vm
        for msi in self.layout.device(sid).msis:
            route = (self.binding_in(msi, vm),)
            state.bindings[msi_key(msi)] = state.routes[msi_key(msi)] = route
            note_message(w, msi, route)

    def _disconnect(self, sid: int, number: int) -> None:
        """As before anything was connected, at once."""
        w, msi = self.context, self.layout.device(sid).msis[number]
        w.memory.set_u64(msi.pirq + w.o.producer, 0)
        w.memory.add_u32(self.layout.vm(self.state.owners[sid]) + w.o.assigned, 0xFFFF_FFFF)

    def _route(self, sid: int, number: int, to: int) -> None:
        self.with_vector(sid, number)
        vm = self.state.owners.get(sid)
        if vm is None:
            raise SimError(f"device {device_name(sid)} is not assigned")
        self.order(kvm_set_irq_routing, sid, number, vm, to)

    def _last_cpu(self, v: int) -> int:
        cpu = self.memory.u32(v + self.o.cpu)
        return cpu if cpu in self.state.active else self.state.active[0]


KvmEnvironment.environment = KvmEnvironment


class KvmMachine(KvmEnvironment, Engine[KvmContext]):
    """A machine with the posted-interrupt logic of one version of KVM.

    Args:
        scenario: what machine; the bundled `one-device` by default. A LayoutConfig is a machine that does nothing of
            itself.
        version: of the logic.
        seed: of the generator that decides who moves.
        store_buffers: what a CPU stores becomes visible to others later (see `sim_backend.logic.store_buffers`).
        state: the class of its state.

    Raises:
        SimError: there is no such machine.
    """

    __slots__ = ()

    def __init__(
        self,
        scenario: Scenario | LayoutConfig | None = None,
        version: KvmVersion = KVM,
        seed: int = 0,
        store_buffers: bool = False,
        state: type[KvmState] = KvmState,
    ) -> None:
        if isinstance(scenario, LayoutConfig):
            scenario = Scenario(layout=scenario)
        scenario = scenario or load(DEFAULT)
        layout = KvmLayout(linux_config(scenario.layout))
        first = state.switched_on(layout.config.cpus, len(layout.units), store_buffers)
        first.draw = first.random = seed & U64
        first.status = [layout.heap.small(layout.memory, 64) for _ in layout.units]
        self._put_together(layout, version, first, scenario)
        for cpu in self.cpus:
            self.context.services.start_idle(cpu)
        self._boot()

    @classmethod
    def around(cls, layout: KvmLayout, version: KvmVersion, state: KvmState, scenario: Scenario) -> KvmMachine:
        """A machine of this memory and state; its actors have nothing to do."""
        machine = cls.__new__(cls)
        machine._put_together(layout, version, state, scenario)
        return machine

    def _put_together(self, layout: KvmLayout, version: KvmVersion, state: KvmState, scenario: Scenario) -> None:
        w = KvmContext(layout, version, state, Drawn(state))
        w.workload = scenario.workload
        put_together(w)
        self.attach(w)
        self._take(scenario, w)

    def save(self, path: str | Path) -> None:
        """Write the machine to a file, which appears whole or not at all. Raises SimError if that fails."""
        from sim_backend.machine.checkpoint import write

        write(self, Path(path))

    def _boot(self) -> None:
        """Have the devices' interrupts be their VMs', then let every vCPU's thread wait for a CPU."""
        w, state = self.context, self.state
        owned = [(each.bdf, each.domain) for each in self.layout.config.devices if each.domain in self.layout.domains]
        for sid, vm in owned:
            self._give(sid, vm)
            for number in range(len(self.layout.device(sid).msis)):
                self._disconnect(sid, number)
        for sid, vm in owned:
            self.assign(sid, vm)
        movers: list[Beside] = [w.toolstack, *w.units]
        while self.toolstack_busy():
            if not any(mover.turn(w) for mover in movers):
                raise SimError("the devices cannot be assigned: the VMM waits for ever")
        apic = self.layout.member("vcpu_vmx", "vcpu.arch.apic")
        for at, v in enumerate(self.names):
            # With APICv it is always so.
            self.layout.put("kvm_lapic", self.layout.physical(self.memory.u64(v + apic)), {"irr_pending": 1})
            state.threads[v] = [kvm_arch_vcpu_ioctl_run.frame(v)]
            self.layout.put("task_struct", w.addresses.tasks[v], {"__state": 0, "on_rq": 1})
            self.memory.set_u64(v + w.o.requests, 0)
            state.runq[at % len(w.cpus)].append(v)
        state.reschedule = [1] * len(w.cpus)

    def happen(self, outside: Outside, name: str) -> bool:
        """As Parts."""
        from sim_backend.machine.kvm_outside import happens

        return happens(self, outside, name)

    def where(self, cpu: int) -> str:
        """As Parts."""
        actor = self.cpus[cpu]
        if actor.guest:
            return "guest"
        procedure, pc = actor.stack[-1][:2]
        if procedure == do_idle.number:
            return "idle"
        return BY_NUMBER[procedure].name + (f"+{pc}" if pc else "")


def linux_config(config: LayoutConfig) -> LayoutConfig:
    """A scenario's machine with Linux's profile, unless it names one that is not Xen's default."""
    return replace(config, profile=DEFAULT_PROFILE) if config.profile == XEN_PROFILE else config
