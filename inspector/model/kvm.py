"""What KVM of a Linux keeps of its VMs, as plain data."""

from __future__ import annotations

from typing import Annotated

from structs.frozen import frozen

OUTSIDE, IN_GUEST, EXITING, READING = "outside guest", "in guest", "exiting guest", "reading shadow page tables"
MODES = (OUTSIDE, IN_GUEST, EXITING, READING)
"""`kvm_vcpu.mode`: OUTSIDE_GUEST_MODE, IN_GUEST_MODE, EXITING_GUEST_MODE, READING_SHADOW_PAGE_TABLES."""

RUNNING, PREEMPTED, BLOCKED, WOKEN = "running", "preempted", "blocked", "runnable"
USER_SPACE, NEVER_RUN = "user space", "never run"
"""`Vcpu.runstate` of KVM's: what it, or its thread, does; `runnable` is one that was woken and waits for a CPU."""

Pid = Annotated[int, range(1 << 22)]
CpuNumber = Annotated[int, range(1 << 20)]


@frozen
class KvmVcpu:
    """What KVM and the scheduler keep of a vCPU and its thread. None is what could not be read.

    Attributes:
        thread: the number of its thread; None before its ioctl KVM_RUN was called.
        mode: one of MODES.
        loaded_on: the CPU that has it loaded (`kvm_running_vcpu`), between vcpu_load and vcpu_put.
        blocking: whether it waits in kvm_vcpu_block (`wait.task` is set).
        preempted, ready: what kvm_sched_out and kvm_vcpu_wake_up leave.
        runnable: whether its thread is (`task_struct.__state` is TASK_RUNNING); on_cpu: whether it is on a CPU.
        exits: how many VM exits it had: if two snapshots agree, it has not run between.
        wakes: whether blocking puts it on a wakeup list (vmx_needs_pi_wakeup), its interrupts not being masked.
    """

    thread: Pid | None = None
    mode: str | None = None
    loaded_on: CpuNumber | None = None
    blocking: bool = False
    preempted: bool = False
    ready: bool = False
    runnable: bool | None = None
    on_cpu: bool | None = None
    exits: int | None = None
    wakes: bool | None = None


@frozen
class Irqfd:
    """An irqfd: an event of user space, or of a device, that raises an interrupt in a VM.

    Attributes:
        gsi: the VM's own number of the interrupt.
        irq: the host's irq that its producer takes from a device (vfio); None without one.
        postable: whether the VM's MSI is one that an entry can post: fixed or lowest priority, to one vCPU; None if it
            is no MSI.
        vector, vcpu: of that MSI; the vCPU's id, None if it is not one vCPU.
        posted_to: the vCPU by name that KVM has on record (`irq_bypass_vcpu`, 6.17 on); empty for none, None if this
            build keeps no such record.
    """

    gsi: int
    irq: int | None = None
    postable: bool | None = None
    vector: Annotated[int, range(1 << 8)] | None = None
    vcpu: Annotated[int, range(1 << 14)] | None = None
    posted_to: str | None = None
