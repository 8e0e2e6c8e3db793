"""What procedures ask of the machine: softirqs, local APICs, who runs where. Source: as named."""

from __future__ import annotations

from sim_backend.logic.apics import Apics
from sim_backend.logic.context import CPU, SOFTIRQ, LogicContext
from sim_backend.logic.cpu import Cpu, handle_interrupt, idle_loop, vmx_do_vmentry
from sim_backend.logic.pi import IN_MWAIT, LOCAL_IRQ_COUNT
from sim_backend.logic.program import Actor
from sim_backend.logic.scheduler import EVENT_CHECK_VECTOR, domain_pause, domain_unpause, wake
from sim_backend.logic.vtd_engine import flush_entry
from sim_backend.memory.errors import SimError


class Services(Apics):
    """The CPUs' side of a machine with Xen; `Calls` are a part of it."""

    __slots__ = ()

    w: LogicContext

    def softirq_pending(self, cpu: int) -> int:
        """As Calls."""
        return self.w.memory.u32(self.w.addresses.softirqs[cpu])

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        """As Calls."""
        return self.w.memory.test_and_set_bit(self.w.addresses.softirqs[cpu], number)

    def clear_softirq(self, cpu: int, number: int) -> None:
        """Take a softirq."""
        self.w.memory.test_and_clear_bit(self.w.addresses.softirqs[cpu], number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        """As Calls."""
        w = self.w
        was = w.memory.test_and_set_bit(w.addresses.softirqs[actor.cpu], number)
        w.effect = (CPU, actor.cpu, (SOFTIRQ, number), int(was), 1)

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        """As Calls. With `in_mwait`, the operation that sets it also tells whether the CPU waits in MWAIT.

        Source: `arch_set_softirq`.
        """
        w = self.w
        was = w.memory.test_and_set_bit(w.addresses.softirqs[cpu], number)
        notices = w.version.in_mwait and self.waits_in_mwait(cpu)
        if not was and cpu != actor.cpu:
            self.touch_monitored(cpu)
            if not notices:
                self.send_ipi(actor, cpu, EVENT_CHECK_VECTOR)
        if w.effect is None:
            w.effect = (CPU, cpu, (SOFTIRQ, number), int(was), 1)

    def waits_in_mwait(self, cpu: int) -> bool:
        """Whether a CPU says that it waits in MWAIT."""
        return bool(self.w.memory.u8(self.w.addresses.softirqs[cpu] + IN_MWAIT))

    def say_in_mwait(self, cpu: int, waits: bool) -> None:
        """A plain store of whether a CPU waits in MWAIT."""
        self.w.memory.set_u8(self.w.addresses.softirqs[cpu] + IN_MWAIT, waits)

    def touch_monitored(self, cpu: int) -> None:
        """Somebody else has stored to where a CPU's softirqs are: its MWAIT ends, or will not begin."""
        if self.w.version.in_mwait:
            self.w.state.monitored[cpu] = 0

    def interrupt(self, cpu: Cpu, vector: int) -> None:
        """As Apics."""
        handle_interrupt(self.w, cpu, vector)

    def ack_apic_irq(self, actor: Actor) -> None:
        """As Calls."""
        self.end_of_interrupt(actor.cpu)

    def count_irq(self, actor: Actor) -> None:
        """As Calls."""
        place, memory = self.w.state.areas[actor.cpu] + self.w.addresses.irq_count, self.w.layout.memory
        memory.set_u32(place, memory.u32(place) + 1 & 0xFFFF_FFFF)

    def set_in_irq(self, actor: Actor, change: int) -> None:
        """Enter or leave an interrupt handler: `__local_irq_count`."""
        actor.in_irq += change
        self.w.layout.memory.set_u32(self.w.addresses.softirqs[actor.cpu] + LOCAL_IRQ_COUNT, actor.in_irq)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        """As Calls."""
        if vcpu not in self.w.addresses.names:
            raise SimError(f"vcpu_wake of what is no vCPU any more, at {vcpu:#x}")
        wake(self.w, actor, vcpu)

    def domain_pause(self, actor: Actor, domain: int) -> None:
        """As Calls."""
        actor.call(domain_pause, domain)

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        """As Calls."""
        actor.call(domain_unpause, domain)

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        """As Calls."""
        actor.call(flush_entry, unit, index)

    # vCPUs and CPUs.

    def set_curr_vcpu(self, cpu: int, v: int) -> None:
        """Store `curr_vcpu`."""
        w = self.w
        place, pointer = w.state.areas[cpu] + w.addresses.curr_vcpu, w.virtual(v)
        w.effect = (CPU, cpu, "curr_vcpu", w.layout.memory.u64(place), pointer)
        w.state.curr[cpu] = v
        w.layout.memory.set_u64(place, pointer)

    def set_current(self, actor: Actor, v: int) -> None:
        """Store `current`."""
        w = self.w
        pointer = w.virtual(v)
        w.effect = (CPU, actor.cpu, "current", w.virtual(actor.current), pointer)
        actor.current = v
        w.layout.memory.set_u64(w.addresses.current[actor.cpu], pointer)

    def set_running(self, v: int, running: int) -> None:
        """Store `is_running` of a vCPU and of its scheduling unit."""
        w = self.w
        w.memory.set_u8(v + w.o.is_running, running)
        w.layout.memory.set_u8(w.addresses.units[v] + w.addresses.unit_running, running)

    def set_scheduled(self, cpu: int, v: int) -> None:
        """Store what the scheduler chose for a CPU."""
        w, at = self.w, self.w.addresses
        w.layout.memory.set_u64(at.resources[cpu] + at.resource_curr, w.virtual(at.units[v]))
        w.memory.fence()

    def set_processor(self, v: int, cpu: int) -> None:
        """Store a vCPU's `processor`."""
        w, at = self.w, self.w.addresses
        w.memory.set_u32(v + w.o.processor, cpu)
        w.layout.memory.set_u64(at.units[v] + at.unit_res, w.virtual(at.resources[cpu]))
        w.memory.fence()

    def start(self, actor: Actor) -> None:
        """Go on with the current vCPU, from the top of the stack. Source: `reset_stack_and_jump`."""
        idle = actor.current == self.w.addresses.idle[actor.cpu]
        actor.stack[:] = [(idle_loop if idle else vmx_do_vmentry).frame()]

    def start_idle(self, cpu: Cpu) -> None:
        """Have a CPU run its idle vCPU from the beginning."""
        cpu.current = self.w.addresses.idle[cpu.cpu]
        cpu.irqs = True
        cpu.stack[:] = [idle_loop.frame()]

    def stop_here(self, cpu: int) -> None:
        """A CPU leaves `cpu_online_map`. Source: `__cpu_disable`."""
        w = self.w
        w.memory.fence()
        w.layout.offline(cpu)
        w.state.online.remove(cpu)
        w.cpus[cpu].lapic.clear()
        w.state.leaving = -1

    def is_dead(self, cpu: int) -> bool:
        """Whether a CPU is offline and does nothing any more."""
        state = self.w.state
        stack = self.w.cpus[cpu].stack
        return cpu not in state.online and len(stack) == 1 and state.scheduled[cpu] == self.w.addresses.idle[cpu]

    def free_area(self, cpu: int) -> None:
        """Free a dead CPU's per-CPU area."""
        self.w.layout.free_percpu(cpu)
        del self.w.state.areas[cpu]

    def bring_up(self, cpu: int) -> None:
        """A CPU comes: per-CPU area, empty blocking list, idle."""
        w, state = self.w, self.w.state
        w.layout.online(cpu)
        state.areas[cpu] = w.layout.percpu(cpu, "vmx_pi_blocking")
        state.online = sorted([*state.online, cpu])
        state.active = sorted([*state.active, cpu])
        w.memory.set_u32(w.addresses.softirqs[cpu], 0)
        state.scheduled[cpu] = state.curr[cpu] = w.addresses.idle[cpu]
        state.tasklets[cpu] = 0
        self.start_idle(w.cpus[cpu])
