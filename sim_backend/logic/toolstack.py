"""What the control domain asks for: devices come and go, CPUs go offline and come back, domains end.

In a real machine these are hypercalls of the control domain, on one of the CPUs. Here they have an actor of their own,
which runs beside the CPUs.
"""

from __future__ import annotations

from typing import Any

from sim_backend.logic.context import CPU, DEVICE
from sim_backend.logic.pi import (
    msi_msg_write_remap_rte,
    vmx_pi_desc_fixup,
    vmx_pi_hooks_assign,
    vmx_pi_hooks_deassign,
    vmx_pi_per_cpu_init,
    vmx_pi_update_irte,
)
from sim_backend.logic.pi.sync import sync
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Procedure
from sim_backend.logic.scheduler import SCHEDULE_SOFTIRQ, domain_pause, domain_unpause, start_migration
from sim_backend.memory.errors import SimError
from structs.xen.pirq import SEVERAL

SID, DOMAIN_ID, NUMBER = range(FIRST, FIRST + 3)

assign_device = Procedure("assign_device", "sid", "domain", "number")


@assign_device.step("installs the hooks, if it is the domain's first device")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if w.owner(f[SID]) is not None:
        raise SimError(f"device {w.device_name(f[SID])} is assigned already")
    if not w.devices_of(f[DOMAIN_ID]):
        a.call(vmx_pi_hooks_assign, w.layout.domain(f[DOMAIN_ID]))


@assign_device.step("gives the device to the domain")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.give(f[SID], f[DOMAIN_ID])
    w.effect = (DEVICE, f[SID], "domain", -1, f[DOMAIN_ID])


@assign_device.step("binds the next of its interrupts to a vCPU of the guest")
def bind(w: Any, a: Actor, f: Frame) -> Any:
    msis = w.layout.device(f[SID]).msis
    if f[NUMBER] >= len(msis):
        return None
    msi = msis[f[NUMBER]]
    vcpu, vector = w.bind(msi, f[DOMAIN_ID])
    if w.posting():
        a.call(vmx_pi_update_irte, msi.msi_desc, vcpu + w.o.pi_desc, vector, w.message_to_update(msi))
    f[NUMBER] += 1
    return bind


deassign_device = Procedure("deassign_device", "sid", "domain", "number")


@deassign_device.step("unbinds the next of its interrupts")
def unbind(w: Any, a: Actor, f: Frame) -> Any:
    msis = w.layout.device(f[SID]).msis
    if f[NUMBER] >= len(msis):
        return None
    msi = msis[f[NUMBER]]
    w.unbind(msi)
    if w.posting() and w.version.unbind_restores:
        a.call(vmx_pi_update_irte, msi.msi_desc, 0, 0, w.message_to_update(msi))
    f[NUMBER] += 1
    return unbind


@deassign_device.step("takes the device from the domain, and resets it")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.reset_device(f[SID])
    w.give(f[SID], None)
    w.effect = (DEVICE, f[SID], "domain", f[DOMAIN_ID], -1)


@deassign_device.step("removes the hooks, if it was the domain's last device")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if not w.devices_of(f[DOMAIN_ID]):
        a.call(vmx_pi_hooks_deassign, w.layout.domain(f[DOMAIN_ID]))


destroy_domain = Procedure("domain_kill", "domain")


@destroy_domain.step("pauses the domain for good")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(domain_pause, w.layout.domain(f[FIRST]))


@destroy_domain.step("takes the next device from it")
def next_device(w: Any, a: Actor, f: Frame) -> Any:
    devices = w.devices_of(f[FIRST])
    if not devices:
        return None
    a.call(deassign_device, devices[0], f[FIRST])
    return next_device


@destroy_domain.step("frees its vCPUs")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.forget_domain(f[FIRST])


bind_pt_irq = Procedure("pt_irq_create_bind", "sid", "number", "domain", "vcpu", "nmi")


@bind_pt_irq.step("takes whom the guest's message names now")
def _(w: Any, a: Actor, f: Frame) -> Any:
    sid, number, domain, index, nmi = f[FIRST : FIRST + 5]
    if w.owner(sid) != domain:
        return DONE
    msi, several = w.layout.device(sid).msis[number], index == SEVERAL
    vector = w.rebind(msi, domain, index, bool(nmi))
    if w.posting() and (not several or w.version.multicast_restores):
        pi_desc = 0 if several else w.layout.vcpu(domain, index) + w.o.pi_desc
        a.call(vmx_pi_update_irte, msi.msi_desc, pi_desc, vector, w.message_to_update(msi))
    return DONE


move_interrupt = Procedure("set_msi_affinity", "sid", "number", "cpu")


@move_interrupt.step("directs the interrupt to another CPU")
def _(w: Any, a: Actor, f: Frame) -> Any:
    sid, number, cpu = f[FIRST : FIRST + 3]
    msi = w.layout.device(sid).msis[number]
    w.direct(msi, cpu)
    a.call(msi_msg_write_remap_rte, msi.msi_desc, w.copied_message(msi))
    w.effect = (DEVICE, sid, f"vector {number}'s CPU on the host", -1, cpu)


save_domain = Procedure("hvm_save", "domain", "v")


@save_domain.step("pauses the domain")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(domain_pause, f[FIRST])
    f[FIRST + 1] = w.first_vcpu(f[FIRST])


@save_domain.step("saves the next vCPU's local APIC, and moves PIR to IRR for that")
def save_next(w: Any, a: Actor, f: Frame) -> Any:
    v = f[FIRST + 1]
    if not v:
        return None
    sync(w, a, v)
    f[FIRST + 1] = w.next_vcpu(v)
    return save_next


@save_domain.step("unpauses the domain")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(domain_unpause, f[FIRST])


# S3, without what does not concern posted interrupts. In Xen the vCPUs of a CPU that sleeps return to it, and its
# per-CPU area stays; here they stay where they were moved, and the area is a new one. The units' tables survive.

suspend_host = Procedure("enter_state", "cpus", "domain")


@suspend_host.step("pauses the next domain")
def freeze(w: Any, a: Actor, f: Frame) -> Any:
    domains = w.guests()
    if f[FIRST + 1] >= len(domains):
        f[FIRST + 1] = 0
        return None
    a.call(domain_pause, domains[f[FIRST + 1]])
    f[FIRST + 1] += 1
    return freeze


@suspend_host.step("takes the next CPU offline, all but CPU 0")
def disable_next(w: Any, a: Actor, f: Frame) -> Any:
    others = [cpu for cpu in w.active if cpu]
    if not others:
        return None
    f[FIRST] |= 1 << others[0]
    a.call(cpu_down, others[0])
    return disable_next


@suspend_host.step("sleeps, wakes up, and sets up CPU 0 again")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(vmx_pi_per_cpu_init, 0)


@suspend_host.step("brings the next CPU back")
def enable_next(w: Any, a: Actor, f: Frame) -> Any:
    if not f[FIRST]:
        return None
    cpu = (f[FIRST] & -f[FIRST]).bit_length() - 1
    f[FIRST] &= ~(1 << cpu)
    a.call(cpu_up, cpu)
    return enable_next


@suspend_host.step("unpauses the next domain")
def thaw(w: Any, a: Actor, f: Frame) -> Any:
    domains = w.guests()
    if f[FIRST + 1] >= len(domains):
        return None
    a.call(domain_unpause, domains[f[FIRST + 1]])
    f[FIRST + 1] += 1
    return thaw


cpu_down = Procedure("cpu_down", "cpu", "number")


@cpu_down.step("takes the CPU from the scheduler")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if f[FIRST] not in w.active:
        return DONE
    w.active.remove(f[FIRST])
    w.effect = (CPU, f[FIRST], "schedulable", 1, 0)
    return None


@cpu_down.step("moves the next vCPU away from it")
def move_away(w: Any, a: Actor, f: Frame) -> Any:
    there = [v for v in w.names if w.memory.u32(v + w.o.processor) == f[FIRST]]
    if not there:
        return None
    waiting = [v for v in there if v not in w.migrating]
    if not waiting:
        return WAIT
    a.call(start_migration, waiting[0], w.active[w.below(len(w.active))])
    return move_away


@cpu_down.step("has it stop itself, in a tasklet")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.leaving = f[FIRST]
    w.tasklets[f[FIRST]] += 1
    w.cpu_raise_softirq(a, f[FIRST], SCHEDULE_SOFTIRQ)


@cpu_down.step("waits until it is dead")
def _(w: Any, a: Actor, f: Frame) -> Any:
    return None if w.is_dead(f[FIRST]) else WAIT


@cpu_down.step("directs the next interrupt that went there to another CPU")
def redirect(w: Any, a: Actor, f: Frame) -> Any:
    msis = [msi for device in w.layout.devices.values() for msi in device.msis]
    while f[FIRST + 1] < len(msis):
        msi = msis[f[FIRST + 1]]
        f[FIRST + 1] += 1
        if w.goes_to(msi, f[FIRST]):
            w.direct(msi, w.active[0])
            a.call(msi_msg_write_remap_rte, msi.msi_desc, w.copied_message(msi))
            return redirect
    return None


@cpu_down.step("moves those who are blocked there")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(vmx_pi_desc_fixup, f[FIRST])


@cpu_down.step("frees its per-CPU area")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.layout.free_percpu(f[FIRST])
    w.refresh()
    w.effect = (CPU, f[FIRST], "per-CPU area", 1, 0)


cpu_up = Procedure("cpu_up", "cpu")


@cpu_up.step("brings the CPU up, with an empty blocking list")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if f[FIRST] in w.online:
        return DONE
    w.bring_up(f[FIRST])
    w.effect = (CPU, f[FIRST], "online", 0, 1)
    return None
