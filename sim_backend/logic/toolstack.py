"""What the control domain asks for: devices come and go, CPUs go offline and come back, domains end.

In a real machine these are hypercalls of the control domain, on one of the CPUs. Here they have an actor of their own,
which runs beside the CPUs.
"""

from __future__ import annotations

from sim_backend.logic.context import CPU, DEVICE, HOST_CPU, ON, PIR_WORDS, SOFTIRQ, LogicContext
from sim_backend.logic.kinds import CPU_ID, CPU_MASK, NUMBER, PLACE
from sim_backend.logic.passthrough import NMI
from sim_backend.logic.pi import (
    msi_msg_write_remap_rte,
    vmx_pi_desc_fixup,
    vmx_pi_hooks_assign,
    vmx_pi_hooks_deassign,
    vmx_pi_per_cpu_init,
    vmx_pi_update_irte,
)
from sim_backend.logic.pi.stores import clear_bit
from sim_backend.logic.pi.sync import sync
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure
from sim_backend.logic.scheduler import (
    SCHEDULE_SOFTIRQ,
    TIMER_SOFTIRQ,
    domain_pause,
    domain_unpause,
    start_migration,
)
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import device_name
from structs.xen.pirq import SEVERAL

IRQ_DISABLED = 2
SID, DOMAIN_ID, VECTOR_NUMBER = range(FIRST, FIRST + 3)

assign_device = Procedure("assign_device", sid=NUMBER, domain=NUMBER, number=NUMBER)


@assign_device.step("installs the hooks, if it is the domain's first device")
def install_hooks(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.passthrough.owner(f[SID]) is not None:
        raise SimError(f"device {device_name(f[SID])} is assigned already")
    if not w.passthrough.devices_of(f[DOMAIN_ID]):
        a.call(vmx_pi_hooks_assign, w.layout.domain(f[DOMAIN_ID]))


@assign_device.step("gives the device to the domain")
def give_device(w: LogicContext, a: Actor, f: Frame) -> None:
    w.passthrough.give(f[SID], f[DOMAIN_ID])
    w.effect = (DEVICE, f[SID], "domain", -1, f[DOMAIN_ID])


@assign_device.step("binds the next of its interrupts to a vCPU of the guest")
def bind(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    msis = w.layout.device(f[SID]).msis
    if f[VECTOR_NUMBER] >= len(msis):
        return None
    msi = msis[f[VECTOR_NUMBER]]
    vcpu, vector = w.passthrough.bind(msi, f[DOMAIN_ID])
    if w.passthrough.posting():
        a.call(vmx_pi_update_irte, msi.msi_desc, vcpu + w.o.pi_desc, vector, w.passthrough.message_to_update(msi))
    f[VECTOR_NUMBER] += 1
    return bind


def take_binding_lock(w: LogicContext) -> bool:
    """Take `event_lock`, under which a guest's interrupts are changed; False if somebody has it."""
    if w.state.binding_locked:
        return False
    w.state.binding_locked = int(w.version.locks_binding)
    return True


deassign_device = Procedure("deassign_device", sid=NUMBER, domain=NUMBER, number=NUMBER)


@deassign_device.step("unbinds the next of its interrupts")
def unbind(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    msis = w.layout.device(f[SID]).msis
    if f[VECTOR_NUMBER]:
        w.state.binding_locked = 0
    if f[VECTOR_NUMBER] >= len(msis):
        return None
    if not take_binding_lock(w):
        return WAIT
    msi = msis[f[VECTOR_NUMBER]]
    w.passthrough.unbind(msi)
    if w.passthrough.posting() and w.version.unbind_restores:
        a.call(vmx_pi_update_irte, msi.msi_desc, 0, 0, w.passthrough.message_to_update(msi))
    f[VECTOR_NUMBER] += 1
    return unbind


@deassign_device.step("takes the device from the domain, and resets it")
def reclaim_device(w: LogicContext, a: Actor, f: Frame) -> None:
    w.passthrough.reset(f[SID])
    w.passthrough.give(f[SID], None)
    w.effect = (DEVICE, f[SID], "domain", f[DOMAIN_ID], -1)


@deassign_device.step("removes the hooks, if it was the domain's last device")
def remove_hooks(w: LogicContext, a: Actor, f: Frame) -> None:
    if not w.passthrough.devices_of(f[DOMAIN_ID]):
        a.call(vmx_pi_hooks_deassign, w.layout.domain(f[DOMAIN_ID]))


destroy_domain = Procedure("domain_kill", domain=NUMBER)


@destroy_domain.step("pauses the domain for good")
def pause_for_good(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(domain_pause, w.layout.domain(f[FIRST]))


@destroy_domain.step("takes the next device from it")
def next_device(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    devices = w.passthrough.devices_of(f[FIRST])
    if not devices:
        return None
    a.call(deassign_device, devices[0], f[FIRST])
    return next_device


@destroy_domain.step("frees its vCPUs")
def free_vcpus(w: LogicContext, a: Actor, f: Frame) -> None:
    w.guests.forget_domain(f[FIRST])


bind_pt_irq = Procedure("pt_irq_create_bind", sid=NUMBER, number=NUMBER, domain=NUMBER, vcpu=NUMBER, nmi=NUMBER)


@bind_pt_irq.step("takes whom the guest's message names now")
def rebind(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    sid, number, domain, index, nmi = f[FIRST : FIRST + 5]
    msi, several = w.layout.device(sid).msis[number], index == SEVERAL
    before = w.passthrough.binding_of(w.passthrough.msi_key(msi))
    if w.passthrough.owner(sid) != domain or not before:
        return DONE
    vector = w.passthrough.rebind(msi, domain, index, bool(nmi))
    if not w.version.updates_always and before[0][1] == vector | NMI * nmi:
        return DONE
    if w.passthrough.posting() and (not several or w.version.multicast_restores):
        pi_desc = 0 if several else w.layout.vcpu(domain, index) + w.o.pi_desc
        a.call(vmx_pi_update_irte, msi.msi_desc, pi_desc, vector, w.passthrough.message_to_update(msi))
    return DONE


disable_irq = Procedure("disable_irq", irq=NUMBER)


@disable_irq.step("disables the irq")
def set_disabled(w: LogicContext, a: Actor, f: Frame) -> None:
    place = w.passthrough.irq_status(f[FIRST])
    w.memory.set_u32(place, w.memory.u32(place) | IRQ_DISABLED)


rewrite_msi = Procedure("msixtbl_write", sid=NUMBER, number=NUMBER, domain=NUMBER, vcpu=NUMBER)


@rewrite_msi.step("takes the lock under which a guest's interrupts are changed")
def lock_binding(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not take_binding_lock(w):
        return WAIT
    a.call(bind_pt_irq, *f[FIRST : FIRST + 4], 0)
    return None


@rewrite_msi.step("releases it")
def unlock_binding(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.version.locks_binding:
        w.state.binding_locked = 0


destroy_bind = Procedure("pt_irq_destroy_bind", sid=NUMBER, number=NUMBER, domain=NUMBER)


@destroy_bind.step("makes the interrupt none of the guest's MSIs any more")
def unroute(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    sid, number, domain = f[FIRST : FIRST + 3]
    msi = w.layout.device(sid).msis[number]
    if w.passthrough.owner(sid) != domain or not w.passthrough.binding_of(w.passthrough.msi_key(msi)):
        return DONE
    w.passthrough.unbind(msi)
    if w.passthrough.posting() and w.version.unroute_restores:
        a.call(vmx_pi_update_irte, msi.msi_desc, 0, 0, w.passthrough.message_to_update(msi))
    return DONE


move_interrupt = Procedure("set_msi_affinity", sid=NUMBER, number=NUMBER, cpu=CPU_ID)


@move_interrupt.step("directs the interrupt to another CPU")
def direct_message(w: LogicContext, a: Actor, f: Frame) -> None:
    sid, number, cpu = f[FIRST : FIRST + 3]
    msi = w.layout.device(sid).msis[number]
    w.passthrough.direct(msi, cpu)
    a.call(msi_msg_write_remap_rte, msi.msi_desc, w.passthrough.copied_message(msi))
    w.effect = (DEVICE, sid, (HOST_CPU, number), -1, cpu)


save_domain = Procedure("hvm_save", domain=NUMBER, v=PLACE)


@save_domain.step("pauses the domain")
def pause_to_save(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(domain_pause, f[FIRST])
    f[FIRST + 1] = w.first_vcpu(f[FIRST])


@save_domain.step("saves the next vCPU's local APIC, and moves PIR to IRR for that")
def save_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[FIRST + 1]
    if not v:
        return None
    sync(w, a, v)
    f[FIRST + 1] = w.next_vcpu(v)
    return save_next


@save_domain.step("unpauses the domain")
def unpause_saved(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(domain_unpause, f[FIRST])


load_domain = Procedure("hvm_load", domain=NUMBER, v=PLACE)


@load_domain.step("pauses the domain")
def pause_to_load(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(domain_pause, f[FIRST])
    f[FIRST + 1] = w.first_vcpu(f[FIRST])


@load_domain.step("loads the next vCPU's local APIC, as it is")
def load_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[FIRST + 1]
    if not v:
        return None
    if not w.version.load_keeps_posted:
        a.call(drop_posted, v)
    f[FIRST + 1] = w.next_vcpu(v)
    return load_next


@load_domain.step("unpauses the domain")
def unpause_loaded(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(domain_unpause, f[FIRST])


drop_posted = Procedure("vmx_apicv_post_state_restore", v=PLACE)


@drop_posted.step("clears ON")
def drop_on(w: LogicContext, a: Actor, f: Frame) -> None:
    clear_bit(w, f[FIRST], "on", ON)


@drop_posted.step("clears PIR")
def drop_pir(w: LogicContext, a: Actor, f: Frame) -> None:
    for word in range(PIR_WORDS):
        w.memory.xchg_u64(f[FIRST] + w.o.pir + 8 * word, 0)


broadcast_timer = Procedure("hpet_broadcast", cpu=CPU_ID, seen=NUMBER)


@broadcast_timer.step("looks whether the CPU is in MWAIT")
def sample_in_mwait(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    f[FIRST + 1] = w.services.waits_in_mwait(f[FIRST])
    return None if f[FIRST + 1] and not w.version.elides_at_once else raise_timer


@broadcast_timer.step("has it run its timers, and sends nothing: it is in MWAIT")
def raise_timer_silently(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    was = w.services.test_and_set_softirq(f[FIRST], TIMER_SOFTIRQ)
    w.services.touch_monitored(f[FIRST])
    w.effect = (CPU, f[FIRST], (SOFTIRQ, TIMER_SOFTIRQ), int(was), 1)
    return DONE


@broadcast_timer.step("has it run its timers")
def raise_timer(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.cpu_raise_softirq(a, f[FIRST], TIMER_SOFTIRQ)


# S3, without what does not concern posted interrupts. In Xen the vCPUs of a CPU that sleeps return to it, and its
# per-CPU area stays; here they stay where they were moved, and the area is a new one. The units' tables survive.

suspend_host = Procedure("enter_state", cpus=CPU_MASK, domain=NUMBER)


@suspend_host.step("pauses the next domain")
def freeze(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    domains = w.guests.domains()
    if f[FIRST + 1] >= len(domains):
        f[FIRST + 1] = 0
        return None
    a.call(domain_pause, domains[f[FIRST + 1]])
    f[FIRST + 1] += 1
    return freeze


@suspend_host.step("takes the next CPU offline, all but CPU 0")
def disable_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    others = [cpu for cpu in w.state.active if cpu]
    if not others:
        return None
    f[FIRST] |= 1 << others[0]
    a.call(cpu_down, others[0])
    return disable_next


@suspend_host.step("sleeps, wakes up, and sets up CPU 0 again")
def sleep_and_wake(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(vmx_pi_per_cpu_init, 0)


@suspend_host.step("brings the next CPU back")
def enable_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not f[FIRST]:
        return None
    cpu = (f[FIRST] & -f[FIRST]).bit_length() - 1
    f[FIRST] &= ~(1 << cpu)
    a.call(cpu_up, cpu)
    return enable_next


@suspend_host.step("unpauses the next domain")
def thaw(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    domains = w.guests.domains()
    if f[FIRST + 1] >= len(domains):
        return None
    a.call(domain_unpause, domains[f[FIRST + 1]])
    f[FIRST + 1] += 1
    return thaw


cpu_down = Procedure("cpu_down", cpu=CPU_ID, number=NUMBER)


@cpu_down.step("takes the CPU from the scheduler")
def deactivate(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if f[FIRST] not in w.state.active:
        return DONE
    w.state.active.remove(f[FIRST])
    w.effect = (CPU, f[FIRST], "schedulable", 1, 0)
    return None


@cpu_down.step("moves the next vCPU away from it")
def move_away(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    there = [v for v in w.addresses.names if w.memory.u32(v + w.o.processor) == f[FIRST]]
    if not there:
        return None
    waiting = [v for v in there if v not in w.state.migrating]
    if not waiting:
        return WAIT
    a.call(start_migration, waiting[0], w.state.active[w.chance.below(len(w.state.active))])
    return move_away


@cpu_down.step("has it stop itself, in a tasklet")
def stop_in_tasklet(w: LogicContext, a: Actor, f: Frame) -> None:
    w.state.leaving = f[FIRST]
    w.state.tasklets[f[FIRST]] += 1
    w.services.cpu_raise_softirq(a, f[FIRST], SCHEDULE_SOFTIRQ)


@cpu_down.step("waits until it is dead")
def await_death(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.services.is_dead(f[FIRST]) else WAIT


@cpu_down.step("directs the next interrupt that went there to another CPU")
def redirect(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    msis = [msi for device in w.layout.devices.values() for msi in device.msis]
    while f[FIRST + 1] < len(msis):
        msi = msis[f[FIRST + 1]]
        f[FIRST + 1] += 1
        if w.passthrough.goes_to(msi, f[FIRST]) and w.version.tracks_cpu_mask:
            w.passthrough.direct(msi, w.state.active[0])
            a.call(msi_msg_write_remap_rte, msi.msi_desc, w.passthrough.copied_message(msi))
            return redirect
    return None


@cpu_down.step("moves those who are blocked there")
def move_blocked(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(vmx_pi_desc_fixup, f[FIRST])


@cpu_down.step("frees its per-CPU area")
def free_area(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.free_area(f[FIRST])
    w.effect = (CPU, f[FIRST], "per-CPU area", 1, 0)


cpu_up = Procedure("cpu_up", cpu=CPU_ID)


@cpu_up.step("brings the CPU up, with an empty blocking list")
def bring_up(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if f[FIRST] in w.state.online:
        return DONE
    w.services.bring_up(f[FIRST])
    w.effect = (CPU, f[FIRST], "online", 0, 1)
    return None
