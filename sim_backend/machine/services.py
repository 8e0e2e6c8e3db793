"""What procedures ask of the machine: softirqs, local APICs, who runs where. Source: as named."""

from __future__ import annotations

from typing import Any

from sim_backend.logic.context import CPU
from sim_backend.logic.cpu import Cpu, idle_loop, vmx_do_vmentry
from sim_backend.logic.pi import LOCAL_IRQ_COUNT
from sim_backend.logic.program import Actor
from sim_backend.logic.scheduler import EVENT_CHECK_VECTOR, domain_pause, domain_unpause, wake
from sim_backend.logic.vtd_engine import flush_entry
from sim_backend.machine.state import State
from sim_backend.memory.errors import SimError

BROADCAST = {False: 0xFF, True: 0xFFFF_FFFF}
LOWEST_VECTOR = 16
"""A local APIC drops a message with a lower one (SDM 3A 11.5.2 and 11.5.3: "receive illegal vector")."""


class Services(State):
    """The CPUs' side of a machine."""

    def blocking_list(self, cpu: int) -> int:
        try:
            return self.areas[cpu] + self.o.list
        except KeyError:
            raise SimError(f"CPU {cpu} has no per-CPU area") from None

    def blocking_lock(self, cpu: int) -> int:
        try:
            return self.areas[cpu] + self.o.lock
        except KeyError:
            raise SimError(f"CPU {cpu} has no per-CPU area") from None

    def domain_of(self, vcpu: int) -> int:
        known = self.domain_cache.get(vcpu)
        return super().domain_of(vcpu) if known is None else known

    def online_cpus(self) -> list[int]:
        return self.online

    def softirq_pending(self, cpu: int) -> int:
        return self.memory.u32(self.softirqs[cpu])

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        return self.memory.test_and_set_bit(self.softirqs[cpu], number)

    def clear_softirq(self, cpu: int, number: int) -> None:
        """Take a softirq."""
        self.memory.test_and_clear_bit(self.softirqs[cpu], number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        was = self.memory.test_and_set_bit(self.softirqs[actor.cpu], number)
        self.effect = (CPU, actor.cpu, f"softirq {number}", int(was), 1)

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        was = self.memory.test_and_set_bit(self.softirqs[cpu], number)
        if not was and cpu != actor.cpu:
            self.send_ipi(actor, cpu, EVENT_CHECK_VECTOR)
        if self.effect is None:
            self.effect = (CPU, cpu, f"softirq {number}", int(was), 1)

    def fence(self) -> None:
        """All stores of the CPU that moves become visible to all."""
        if self.store_buffers:
            self.memory.fence()  # type: ignore[attr-defined]

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        self.fence()
        self._message_to(cpu, vector)

    def _message_to(self, cpu: int, vector: int) -> None:
        if cpu not in self.online or vector < LOWEST_VECTOR:
            self.lost += 1
            return
        was = self.cpus[cpu].lapic.request(vector)
        if self.effect is None:
            self.effect = (CPU, cpu, f"LAPIC IRR bit {vector:#x}", was, 1)

    def message(self, destination: int, vector: int) -> None:
        """An interrupt message to an APIC ID; one that no CPU has is lost, and one with an illegal vector."""
        if destination == BROADCAST[self.layout.config.x2apic]:
            for cpu in list(self.online):
                self._message_to(cpu, vector)
        elif destination in self.by_apic:
            self._message_to(self.by_apic[destination], vector)
        else:
            self.lost += 1

    def end_of_interrupt(self, actor: Any) -> None:
        """EOI at the CPU's local APIC."""
        vector = actor.lapic.end_of_interrupt()
        self.effect = (CPU, actor.cpu, f"LAPIC ISR bit {vector:#x}", 1, 0)

    def ack_apic_irq(self, actor: Actor) -> None:
        self.end_of_interrupt(actor)

    def count_irq(self, actor: Actor) -> None:
        place, memory = self.irq_counts[actor.cpu], self.layout.memory
        memory.set_u32(place, memory.u32(place) + 1 & 0xFFFF_FFFF)

    def set_in_irq(self, actor: Actor, change: int) -> None:
        """Enter or leave an interrupt handler: `__local_irq_count`."""
        actor.in_irq += change
        self.layout.memory.set_u32(self.softirqs[actor.cpu] + LOCAL_IRQ_COUNT, actor.in_irq)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        if vcpu not in self.names:
            raise SimError(f"vcpu_wake of what is no vCPU any more, at {vcpu:#x}")
        wake(self, actor, vcpu)

    def domain_pause(self, actor: Actor, domain: int) -> None:
        actor.call(domain_pause, domain)

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        actor.call(domain_unpause, domain)

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        actor.call(flush_entry, unit, index)

    def status_address(self, unit: int) -> int:
        """Where a unit writes that a wait descriptor is done."""
        return self.status[unit]

    # vCPUs and CPUs.

    def curr_vcpu(self, cpu: int) -> int:
        """The vCPU whose state is loaded on a CPU."""
        return self.curr[cpu]

    def set_curr_vcpu(self, cpu: int, v: int) -> None:
        """Store `curr_vcpu`."""
        self.effect = (CPU, cpu, "curr_vcpu", self.memory.u64(self.curr_vcpus[cpu]), self.virtual(v))
        self.curr[cpu] = v
        self.layout.memory.set_u64(self.curr_vcpus[cpu], self.virtual(v))

    def set_current(self, actor: Actor, v: int) -> None:
        """Store `current`."""
        self.effect = (CPU, actor.cpu, "current", self.virtual(actor.current), self.virtual(v))
        actor.current = v
        self.layout.memory.set_u64(self.info[actor.cpu], self.virtual(v))

    def set_running(self, v: int, running: int) -> None:
        """Store `is_running` of a vCPU and of its scheduling unit."""
        self.memory.set_u8(v + self.o.is_running, running)
        self.layout.memory.set_u8(self._units_of[v] + self._unit_running, running)

    def set_scheduled(self, cpu: int, v: int) -> None:
        """Store what the scheduler chose for a CPU."""
        resource = self.memory.u64(self._units_of[self.idle[cpu]] + self._unit_res)
        self.layout.memory.set_u64(self.physical(resource) + self._resource_curr, self.virtual(self._units_of[v]))
        self.fence()

    def set_processor(self, v: int, cpu: int) -> None:
        """Store a vCPU's `processor`."""
        self.memory.set_u32(v + self.o.processor, cpu)
        resource = self.memory.u64(self._units_of[self.idle[cpu]] + self._unit_res)
        self.layout.memory.set_u64(self._units_of[v] + self._unit_res, resource)
        self.fence()

    @property
    def _unit_running(self) -> int:
        return self.layout.member("sched_unit", "is_running")

    @property
    def _unit_res(self) -> int:
        return self.layout.member("sched_unit", "res")

    @property
    def _resource_curr(self) -> int:
        return self.layout.member("sched_resource", "curr")

    def look_for_interrupts(self, actor: Actor, v: int) -> None:
        """Call `hvm_vcpu_has_pending_irq`."""
        from sim_backend.logic.cpu import look_for_interrupts

        actor.call(look_for_interrupts, v)

    def start(self, actor: Actor) -> None:
        """Go on with the current vCPU, from the top of the stack. Source: `reset_stack_and_jump`."""
        actor.stack[:] = [(idle_loop if actor.current == self.idle[actor.cpu] else vmx_do_vmentry).frame()]

    def _start_idle(self, actor: Cpu) -> None:
        actor.current = self.idle[actor.cpu]
        actor.irqs = True
        actor.stack[:] = [idle_loop.frame()]

    def enter_guest(self, actor: Any) -> None:
        """VM entry. From now on interrupts are taken whatever the guest has: external-interrupt exiting."""
        self.fence()
        actor.guest = True
        actor.irqs = True

    def leave_guest(self, actor: Any) -> None:
        """VM exit."""
        actor.guest = False

    def stop_here(self, cpu: int) -> None:
        """A CPU leaves `cpu_online_map`. Source: `__cpu_disable`."""
        self.fence()
        self.layout.offline(cpu)
        self.online.remove(cpu)
        self.cpus[cpu].lapic.clear()
        self.leaving = -1

    def is_dead(self, cpu: int) -> bool:
        """Whether a CPU is offline and does nothing any more."""
        actor = self.cpus[cpu]
        return cpu not in self.online and len(actor.stack) == 1 and self.scheduled[cpu] == self.idle[cpu]

    def bring_up(self, cpu: int) -> None:
        """A CPU comes: per-CPU area, empty blocking list, idle."""
        self.layout.online(cpu)
        self.online = sorted([*self.online, cpu])
        self.active = sorted([*self.active, cpu])
        self.memory.set_u32(self.softirqs[cpu], 0)
        self.scheduled[cpu] = self.curr[cpu] = self.idle[cpu]
        self.tasklets[cpu] = 0
        self._start_idle(self.cpus[cpu])
        self.refresh()
