"""Orders that any machine takes: of its devices and guests, whatever hypervisor they run on."""

from __future__ import annotations

from typing import ClassVar

from sim_backend.logic.guests import DOWN, HYPERCALL, SEND_IPI
from sim_backend.logic.program import Procedure
from sim_backend.logic.vtd_engine import interrupt_request
from sim_backend.machine.parts import Parts, W
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import VcpuName, device_name

IPI_VECTOR = 0xFD


class Orders(Parts[W]):
    """Orders, as methods. They raise SimError for what there is not, or what cannot be.

    Attributes:
        delivery: the procedure by which software posts a vector to a vCPU.
        timer_vector: of the local APIC's timer.
    """

    __slots__ = ()

    delivery: ClassVar[Procedure]
    timer_vector: ClassVar[int]

    def post(self, device: str | int, number: int = 0) -> None:
        """A device sends the message of its vector `number`."""
        sid = self.with_vector(device, number)
        self.context.devices[sid].queue.append(number)

    def request(self, device: str | int, address: int, data: int) -> None:
        """A device sends any message."""
        sid = self.sid(device)
        actor = self.context.devices[sid]
        if actor.stack:
            raise SimError(f"device {device_name(sid)} is still sending another message")
        actor.call(interrupt_request, sid, address, data, self.context.layout.unit_of(sid))

    def deliver(self, vcpu: VcpuName, vector: int) -> None:
        """Software posts a vector: an emulated device's interrupt."""
        v = self.vcpu(vcpu)
        if not 16 <= vector < 256:
            raise SimError(f"vector {vector:#x}: a guest's interrupts have vectors 0x10 to 0xff")
        self.order(self.delivery, v, vector)

    def hypercall(self, vcpu: VcpuName) -> None:
        """The guest leaves non-root mode on this vCPU once and comes back."""
        self.context.guests.tell(self.vcpu(vcpu), HYPERCALL)

    def down(self, vcpu: VcpuName) -> None:
        """The guest stops the vCPU for good: HLT with interrupts off."""
        self.context.guests.tell(self.vcpu(vcpu), DOWN)

    def ipi(self, source: VcpuName, target: VcpuName, vector: int = IPI_VECTOR) -> None:
        """The guest sends an interrupt from one vCPU to another one, which is an exit: IPIs are not virtualised."""
        self.context.guests.tell(self.vcpu(source), SEND_IPI, self.vcpu(target), vector)

    def preempt(self, vcpu: VcpuName, by_tasklet: bool = False) -> None:
        """End the time slice of a vCPU: another one runs if one waits, or what `tasklet` has run.

        Raises:
            SimError: it does not run.
        """
        v = self.vcpu(vcpu)
        if v not in self.state.scheduled:
            raise SimError(f"{self.vcpu_name(v)} does not run: there is nothing to preempt")
        cpu = self.state.scheduled.index(v)
        if by_tasklet:
            self.tasklet(cpu)
        else:
            self.context.services.send_ipi(self.context.outside, cpu, self.timer_vector)

    def tasklet(self, cpu: int) -> None:
        """A CPU gets something to run that is no vCPU."""
        raise NotImplementedError

    def migrate(self, vcpu: VcpuName, cpu: int) -> None:
        """Move a vCPU to another CPU."""
        raise NotImplementedError

    def order(self, procedure: Procedure, *arguments: int) -> None:
        """Have the toolstack run a procedure, after those that it was asked for before."""
        self.context.toolstack.queue.append(procedure.frame(*arguments))
        self.state.background = True

    def toolstack_busy(self) -> bool:
        """Whether the toolstack has something to do."""
        return bool(self.context.toolstack.stack or self.context.toolstack.queue)

    def with_vector(self, device: str | int, number: int) -> int:
        """The source-id of a device that has a vector of that number. Raises SimError if there is none."""
        sid = self.sid(device)
        count = len(self.context.layout.device(sid).msis)
        if not 0 <= number < count:
            raise SimError(f"device {device_name(sid)} has vectors 0 to {count - 1}, not {number}")
        return sid

    def check_cpu(self, cpu: int) -> None:
        """Raise SimError if a CPU is not there or not online."""
        if cpu not in self.state.active:
            raise SimError(f"CPU {cpu} is not there or not online; there are {', '.join(map(str, self.state.active))}")
