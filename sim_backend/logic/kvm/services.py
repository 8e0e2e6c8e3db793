"""What procedures ask of a machine with Linux and KVM: interrupts, threads, who runs where."""

from __future__ import annotations

from sim_backend.layout.devices import Msi
from sim_backend.logic.apics import Apics
from sim_backend.logic.context import CPU, LAPIC_IRR_BIT, msi_key
from sim_backend.logic.cpu import Cpu
from sim_backend.logic.guests import FIRST_GUEST_VECTOR, GUEST_VECTORS
from sim_backend.logic.kinds import Frame
from sim_backend.logic.kvm.context import POSTED_INTR_VECTOR, TASK_RUNNING, KvmContext
from sim_backend.logic.kvm.cpu import HANDLERS, device, do_idle, interrupt_return
from sim_backend.logic.kvm.schedule import OTHER, enqueue
from sim_backend.logic.kvm.vcpu import TAKEN, enable_interrupts, leave_guest, vcpu_enter_guest
from sim_backend.logic.program import PC, PROCEDURE, Actor
from sim_backend.logic.vtd_engine import flush_entry, posted_interrupt_processing


class KvmServices(Apics):
    """The CPUs' side of a machine with Linux and KVM."""

    __slots__ = ()

    w: KvmContext

    def interrupt(self, cpu: Cpu, vector: int) -> None:
        """As Apics."""
        w, guest = self.w, cpu.guest
        cpu.lapic.acknowledge(vector)
        if guest and vector == POSTED_INTR_VECTOR:
            cpu.irqs = False
            cpu.stack[-1][TAKEN] = 0
            cpu.call(posted_interrupt_processing, cpu.current)
        elif guest:
            leave_guest(cpu, vector)
        else:
            self.handle(cpu, vector)
        w.effect = (CPU, cpu.cpu, (LAPIC_IRR_BIT, vector), 1, 0)
        w.words = ("interrupt", f"takes vector {vector:#x}" + (" in the guest" if guest else ""))

    def handle(self, cpu: Cpu, vector: int) -> None:
        """A CPU begins to handle an interrupt, outside of the guest."""
        cpu.irqs = False
        cpu.in_irq += 1
        cpu.call(interrupt_return, cpu.result)
        cpu.call(HANDLERS.get(vector, device), vector)

    def handles_exit(self, cpu: Actor) -> bool:
        """Whether what an interrupt returns to is the way out of the guest, where interrupts are still off."""
        stack = cpu.stack
        below = stack[-2] if len(stack) > 1 else stack[-1]
        return below[PROCEDURE] == vcpu_enter_guest.number and below[PC] == enable_interrupts.pc

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        """Have a unit forget an entry, and wait until it has. Source: `qi_flush_iec`."""
        actor.call(flush_entry, unit, index)

    def routes_of(self, vector: int) -> tuple[tuple[int, int], ...]:
        """The vCPUs and vectors that the irqfd of the MSI with this physical vector goes to."""
        w = self.w
        for each in w.layout.devices.values():
            for msi in each.msis:
                if msi.vector == vector:
                    return w.state.routes.get(msi_key(msi), ())
        return ()

    def vector_of(self, msi: Msi) -> int:
        """The vector that a guest has given an MSI."""
        return FIRST_GUEST_VECTOR + (msi.number * 8 + msi.number // 24) % GUEST_VECTORS

    # Threads.

    def idle_frame(self) -> Frame:
        """Where the idle thread begins."""
        return do_idle.frame()

    def start_idle(self, cpu: Cpu) -> None:
        """A CPU has nothing to do yet."""
        cpu.current = OTHER
        cpu.irqs = True
        cpu.stack[:] = [self.idle_frame()]

    def is_on_cpu(self, v: int) -> bool:
        """Whether a CPU is not yet done with a vCPU's thread."""
        return bool(self.w.memory.u32(self.w.addresses.tasks[v] + self.w.o.on_cpu))

    def set_on_cpu(self, v: int, on: int) -> None:
        """A vCPU's thread comes to a CPU, or has left it."""
        self.w.memory.set_u32(self.w.addresses.tasks[v] + self.w.o.on_cpu, on)

    def leaves_cpu(self, v: int) -> bool:
        """Whether a CPU is about to switch away from a vCPU's thread that sleeps. Who wakes it waits for that."""
        state = self.w.state
        return self.is_on_cpu(v) and v not in state.scheduled and not any(v in queue for queue in state.runq)

    def wake_up_process(self, actor: Actor, v: int) -> bool:
        """Let a vCPU's thread run that sleeps, or has said that it will; False if it does neither."""
        w = self.w
        place = w.addresses.tasks[v] + w.o.task_state
        if w.memory.u32(place) == TASK_RUNNING:
            return False
        w.memory.set_u32(place, TASK_RUNNING)
        w.memory.fence()
        state = w.state
        if v not in state.scheduled and not any(v in queue for queue in state.runq):
            w.memory.set_u32(w.addresses.tasks[v] + w.o.on_rq, 1)
            cpu = w.memory.u32(v + w.o.cpu)
            moved = v in state.migrating
            enqueue(w, actor, v, state.migrating.pop(v, cpu if cpu in state.active else state.active[0]), moved)
        return True

    def set_current(self, actor: Actor, v: int) -> None:
        """Store which thread a CPU runs."""
        w, cpu = self.w, actor.cpu
        actor.current = v
        task = w.addresses.tasks[v] if v != OTHER else w.addresses.idle[cpu]
        w.layout.memory.set_u64(w.addresses.current[cpu], w.virtual(task))
        if v != OTHER:
            w.layout.memory.set_u32(task + w.o.task_cpu, cpu)

    def set_running_vcpu(self, cpu: int, v: int) -> None:
        """Store `kvm_running_vcpu`."""
        w = self.w
        w.memory.set_u64(w.addresses.running[cpu], w.virtual(v) if v != OTHER else 0)

    def runs_here(self, actor: Actor, v: int) -> bool:
        """Whether a vCPU is the one that runs on the actor's CPU. Source: `kvm_get_running_vcpu`."""
        w = self.w
        return actor.cpu >= 0 and w.memory.u64(w.addresses.running[actor.cpu]) == w.virtual(v)
