"""The scheduler and the context switch (xen/common/sched/core.c, xen/arch/x86/domain.c).

What the scheduler does under its own lock is one step: nothing of posted interrupts is read or written there. Its
policy is a round robin on each CPU; idle CPUs take over what waits elsewhere. Everything that a vCPU's posted-interrupt
state depends on is as in Xen: when `processor`, `is_running`, `runstate` and `pause_flags` change, `current` and
`curr_vcpu`, the lazy switch to idle, and the flush of another CPU's state before a vCPU runs somewhere else.
"""

from __future__ import annotations

from sim_backend.layout.domains import BLOCKED, CLEAN, OFFLINE, RUNNABLE, RUNNING
from sim_backend.logic.context import VCPU, LogicContext
from sim_backend.logic.kinds import CPU_ID, NUMBER, PLACE
from sim_backend.logic.pending import look_for_interrupts, look_past_pir
from sim_backend.logic.pi import VPF_BLOCKED, vmx_ctxt_switch_from, vmx_ctxt_switch_to, vmx_vcpu_block
from sim_backend.logic.pi.block import lock_list, nv_first
from sim_backend.logic.pi.stores import set_ndst
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

VPF_DOWN = 1
VPF_MIGRATING = 3
TIMER_SOFTIRQ, SCHEDULE_SOFTIRQ, TASKLET_SOFTIRQ = 0, 3, 5
EVENT_CHECK_VECTOR, INVALIDATE_VECTOR, LOCAL_TIMER_VECTOR = 0xFC, 0xFD, 0xFA
STATES = {RUNNING: "running", RUNNABLE: "runnable", BLOCKED: "blocked", OFFLINE: "offline"}


# Under the scheduler's lock.


def runnable(w: LogicContext, v: int) -> bool:
    """Whether nothing keeps a vCPU from running. Source: `vcpu_runnable`."""
    memory, o = w.memory, w.o
    return not (
        memory.u32(v + o.pause_flags)
        or memory.u32(v + o.pause_count)
        or memory.u32(w.domain_of(v) + o.domain_pause_count)
    )


def set_runstate(w: LogicContext, v: int, state: int) -> None:
    """Source: `vcpu_runstate_change`."""
    w.effect = (VCPU, v, "runstate", w.memory.u32(v + w.o.runstate), state)
    w.memory.set_u32(v + w.o.runstate, state)


def wake(w: LogicContext, a: Actor, v: int) -> None:
    """Let a vCPU run that nothing keeps from it any more. Source: `vcpu_wake`."""
    state = w.memory.u32(v + w.o.runstate)
    if runnable(w, v):
        if state >= BLOCKED:
            set_runstate(w, v, RUNNABLE)
            w.memory.fence()
        cpu = w.memory.u32(v + w.o.processor)
        if w.state.scheduled[cpu] != v and v not in w.state.runq[cpu]:
            w.state.runq[cpu].append(v)
            tickle(w, a, cpu)
    elif state == BLOCKED and not w.memory.u32(v + w.o.pause_flags) & 1 << VPF_BLOCKED:
        set_runstate(w, v, OFFLINE)
        w.memory.fence()


def tickle(w: LogicContext, a: Actor, cpu: int) -> None:
    """Something waits for a CPU: have it choose again, or an idle one that may take it over."""
    idle = [c for c in w.state.active if w.state.scheduled[c] == w.addresses.idle[c]]
    chosen = cpu if cpu in idle or not idle else idle[0]
    w.services.cpu_raise_softirq(a, chosen, SCHEDULE_SOFTIRQ)


def sleep(w: LogicContext, a: Actor, v: int) -> None:
    """Take a vCPU that is no longer runnable from where it waits or runs. Source: `vcpu_sleep_nosync`."""
    if runnable(w, v):
        return
    if w.memory.u32(v + w.o.runstate) == RUNNABLE:
        set_runstate(w, v, OFFLINE)
        w.memory.fence()
    cpu = w.memory.u32(v + w.o.processor)
    if w.state.scheduled[cpu] == v:
        w.services.cpu_raise_softirq(a, cpu, SCHEDULE_SOFTIRQ)
    elif v in w.state.runq[cpu]:
        w.state.runq[cpu].remove(v)


def choose(w: LogicContext, cpu: int, prev: int) -> int:
    """The vCPU that a CPU is to run next. Source: the schedulers' `do_schedule`."""
    queue = w.state.runq[cpu]
    if prev != w.addresses.idle[cpu] and runnable(w, prev):
        queue.append(prev)
    if w.state.tasklets[cpu]:
        return w.addresses.idle[cpu]
    if queue:
        return queue.pop(0)
    for other in w.state.active if cpu in w.state.active else ():
        for v in w.state.runq[other]:
            if not w.memory.u8(v + w.o.is_running):
                w.state.runq[other].remove(v)
                w.services.set_processor(v, cpu)
                return v
    return w.addresses.idle[cpu]


# schedule(), context_switch().

LAZILY = "goes idle lazily: the old one's state stays loaded, and nothing of posted interrupts changes"
NOT_AT_ALL = "finds the next one's state still loaded: nothing of posted interrupts changes"

schedule = Procedure("schedule", prev=PLACE, next=PLACE)
PREV, NEXT = FIRST, FIRST + 1


@schedule.step("chooses what to run")
def choose_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    memory, o, cpu = w.memory, w.o, a.cpu
    prev = w.state.scheduled[cpu]
    following = choose(w, cpu, prev)
    if following == prev:
        w.effect = (VCPU, prev, "runs on on CPU", cpu, cpu)
        return DONE
    f[PREV], f[NEXT] = prev, following
    w.state.scheduled[cpu] = following
    blocked = memory.u32(prev + o.pause_flags) & 1 << VPF_BLOCKED
    state = BLOCKED if blocked else RUNNABLE if prev == w.addresses.idle[cpu] or runnable(w, prev) else OFFLINE
    set_runstate(w, prev, state)
    effect = w.effect
    set_runstate(w, following, RUNNING)
    w.effect = effect if following == w.addresses.idle[cpu] else w.effect
    w.services.set_running(following, 1)
    w.services.set_scheduled(cpu, following)
    return None


@schedule.step("looks whether another CPU still holds the next one's state")
def flush_stale_state(w: LogicContext, a: Actor, f: Frame) -> None:
    dirty = w.memory.u32(f[NEXT] + w.o.dirty_cpu)
    if dirty not in (a.cpu, CLEAN):
        a.call(flush_state, dirty)


@schedule.step("disables interrupts")
def disable_interrupts(w: LogicContext, a: Actor, f: Frame) -> None:
    a.irqs = False


@schedule.step("makes it current")
def make_current(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.set_current(a, f[NEXT])


@schedule.step("switches the state, unless it need not")
def switch_state(w: LogicContext, a: Actor, f: Frame) -> None:
    loaded = w.state.curr[a.cpu]
    lazy = f[NEXT] == w.addresses.idle[a.cpu] and a.cpu in w.state.online
    same = loaded == f[NEXT]
    w.words = ("schedule", LAZILY if lazy and not same else NOT_AT_ALL if same else "switches the state")
    if loaded != f[NEXT] and not lazy:
        a.call(context_switch)


@schedule.step("enables interrupts")
def enable_interrupts(w: LogicContext, a: Actor, f: Frame) -> None:
    a.irqs = True


@schedule.step("says that the previous one is no longer running")
def stop_previous(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.set_running(f[PREV], 0)
    # `unit_context_saved` has a barrier: whoever finds the vCPU running has set VPF_migrating in time.
    w.memory.fence()
    w.effect = (VCPU, f[PREV], "is_running", 1, 0)
    if w.memory.u32(f[PREV] + w.o.pause_flags) & 1 << VPF_MIGRATING:
        a.call(finish_migration, f[PREV])


@schedule.step("goes on with the new one")
def go_on(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.start(a)


context_switch = Procedure("__context_switch", p=PLACE, n=PLACE)
P, N = FIRST, FIRST + 1


@context_switch.step("saves the state that is loaded")
def save_loaded(w: LogicContext, a: Actor, f: Frame) -> None:
    f[P], f[N] = w.state.curr[a.cpu], a.current
    if f[P] in w.addresses.names:
        a.call(vmx_ctxt_switch_from, f[P])


@context_switch.step("marks whose state this CPU holds now")
def mark_dirty_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.set_u32(f[N] + w.o.dirty_cpu, a.cpu)


@context_switch.step("loads the state of the new one")
def load_new(w: LogicContext, a: Actor, f: Frame) -> None:
    if f[N] in w.addresses.names:
        a.call(vmx_ctxt_switch_to, f[N])


@context_switch.step("notes that the old one's state is nowhere but in memory")
def note_old_clean(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.set_u32(f[P] + w.o.dirty_cpu, CLEAN)
    w.services.set_curr_vcpu(a.cpu, f[N])


sync_local_execstate = Procedure("sync_local_execstate", irqs=NUMBER)


@sync_local_execstate.step("switches the state if it is not the current vCPU's")
def switch_if_lazy(w: LogicContext, a: Actor, f: Frame) -> None:
    f[FIRST], a.irqs = int(a.irqs), False
    if w.state.curr[a.cpu] != a.current:
        a.call(context_switch)


@sync_local_execstate.step("restores interrupts")
def restore_interrupts(w: LogicContext, a: Actor, f: Frame) -> None:
    a.irqs = bool(f[FIRST])


flush_state = Procedure("flush_mask", cpu=CPU_ID)


@flush_state.step("takes the flush lock")
def take_flush_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if w.state.flush_locked:
        return WAIT
    w.state.flush_locked = 1
    return None


@flush_state.step("has the other CPU save the state that it holds")
def request_flush(w: LogicContext, a: Actor, f: Frame) -> None:
    # Xen masks its request with cpu_online_map.
    if f[FIRST] in w.state.online:
        w.state.flush_mask |= 1 << f[FIRST]
        w.services.send_ipi(a, f[FIRST], INVALIDATE_VECTOR)


@flush_state.step("waits until it has")
def await_flush(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return WAIT if w.state.flush_mask else None


@flush_state.step("releases the flush lock")
def release_flush_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    w.state.flush_locked = 0


# A vCPU blocks.

vcpu_block = Procedure("vcpu_block", v=PLACE)


@vcpu_block.step("sets VPF_blocked")
def set_blocked(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    was = w.memory.test_and_set_bit(f[FIRST] + w.o.pause_flags, VPF_BLOCKED)
    w.effect = (VCPU, f[FIRST], "VPF_blocked", int(was), 1)
    return None if w.version.looks_again else inspection


@vcpu_block.step("calls the block hook, if there is one")
def call_hook(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if w.memory.u64(w.domain_of(f[FIRST]) + w.o.block_hook):
        a.call_at(lock_list if w.version.lists_before_nv else nv_first, vmx_vcpu_block, f[FIRST])
    return None if w.version.looks_again else block_or_return


@vcpu_block.step("looks for events that came meanwhile")
def inspection(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if w.version.block_sees_pir:
        a.call(look_for_interrupts, f[FIRST])
    else:
        a.call_at(look_past_pir, look_for_interrupts, f[FIRST])
    return None if w.version.looks_again else call_hook


@vcpu_block.step("returns if there is one, else lets the scheduler switch it out")
def block_or_return(w: LogicContext, a: Actor, f: Frame) -> None:
    if a.result:
        w.memory.test_and_clear_bit(f[FIRST] + w.o.pause_flags, VPF_BLOCKED)
        w.effect = (VCPU, f[FIRST], "VPF_blocked", 1, 0)
    else:
        w.services.raise_softirq(a, SCHEDULE_SOFTIRQ)


hvm_vcpu_down = Procedure("hvm_vcpu_down", v=PLACE)


@hvm_vcpu_down.step("sets VPF_down: the vCPU is offline")
def set_down(w: LogicContext, a: Actor, f: Frame) -> None:
    was = w.memory.test_and_set_bit(f[FIRST] + w.o.pause_flags, VPF_DOWN)
    w.effect = (VCPU, f[FIRST], "VPF_down", int(was), 1)


@hvm_vcpu_down.step("has its CPU choose another one")
def give_up_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    sleep(w, a, f[FIRST])


# Pause, unpause, migration.

vcpu_sleep_sync = Procedure("vcpu_sleep_sync", v=PLACE)


@vcpu_sleep_sync.step("takes the vCPU off its CPU's queue, or has the CPU choose another one")
def take_off_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    sleep(w, a, f[FIRST])


@vcpu_sleep_sync.step("waits until it runs no more")
def await_not_running(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return WAIT if w.memory.u8(f[FIRST] + w.o.is_running) and not runnable(w, f[FIRST]) else None


@vcpu_sleep_sync.step("has its state saved, if a CPU still holds it")
def flush_its_state(w: LogicContext, a: Actor, f: Frame) -> None:
    dirty = w.memory.u32(f[FIRST] + w.o.dirty_cpu)
    if dirty != CLEAN:
        a.call(flush_state, dirty)


vcpu_pause = Procedure("vcpu_pause", v=PLACE)


def add(w: LogicContext, place: int, change: int) -> int:
    """Add to a 32-bit counter; returns its new value."""
    value = w.memory.u32(place) + change & 0xFFFF_FFFF
    w.memory.set_u32(place, value)
    return value


@vcpu_pause.step("counts one more pause")
def count_pause(w: LogicContext, a: Actor, f: Frame) -> None:
    count = add(w, f[FIRST] + w.o.pause_count, 1)
    w.effect = (VCPU, f[FIRST], "pause_count", count - 1, count)
    a.call(vcpu_sleep_sync, f[FIRST])


vcpu_unpause = Procedure("vcpu_unpause", v=PLACE)


@vcpu_unpause.step("counts one pause less")
def count_unpause(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    count = add(w, f[FIRST] + w.o.pause_count, -1)
    w.effect = (VCPU, f[FIRST], "pause_count", count + 1, count)
    return DONE if count else None


@vcpu_unpause.step("wakes it")
def wake_unpaused(w: LogicContext, a: Actor, f: Frame) -> None:
    wake(w, a, f[FIRST])


domain_pause = Procedure("domain_pause", d=NUMBER, v=PLACE)


@domain_pause.step("counts one more pause of the domain")
def count_domain_pause(w: LogicContext, a: Actor, f: Frame) -> None:
    add(w, f[FIRST] + w.o.domain_pause_count, 1)
    f[FIRST + 1] = w.first_vcpu(f[FIRST])


@domain_pause.step("stops the next vCPU")
def stop_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[FIRST + 1]
    if not v:
        return None
    a.call(vcpu_sleep_sync, v)
    f[FIRST + 1] = w.next_vcpu(v)
    return stop_next


domain_unpause = Procedure("domain_unpause", d=NUMBER, v=PLACE)


@domain_unpause.step("counts one pause of the domain less")
def count_domain_unpause(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    f[FIRST + 1] = w.first_vcpu(f[FIRST])
    return DONE if add(w, f[FIRST] + w.o.domain_pause_count, -1) else None


@domain_unpause.step("wakes the next vCPU")
def wake_next(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[FIRST + 1]
    if not v:
        return None
    wake(w, a, v)
    f[FIRST + 1] = w.next_vcpu(v)
    return wake_next


start_migration = Procedure("vcpu_migrate_start", v=PLACE, cpu=CPU_ID)


@start_migration.step("takes the vCPU from where it is")
def take_from_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.test_and_set_bit(f[FIRST] + w.o.pause_flags, VPF_MIGRATING)
    w.state.migrating[f[FIRST]] = f[FIRST + 1]
    sleep(w, a, f[FIRST])


@start_migration.step("moves it at once, unless it still runs: then that is left to the switch")
def move_if_not_running(w: LogicContext, a: Actor, f: Frame) -> None:
    if not w.memory.u8(f[FIRST] + w.o.is_running):
        a.call(finish_migration, f[FIRST])


finish_migration = Procedure("vcpu_migrate_finish", v=PLACE)


@finish_migration.step("moves the vCPU to its new CPU")
def move_to_cpu(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[FIRST]
    if v not in w.state.migrating or not w.memory.test_and_clear_bit(v + w.o.pause_flags, VPF_MIGRATING):
        return DONE
    cpu = w.state.migrating.pop(v)
    cpu = cpu if cpu in w.state.active else w.state.active[0]
    old = w.memory.u32(v + w.o.processor)
    w.services.set_processor(v, cpu)
    w.effect = (VCPU, v, "processor", old, cpu)
    hooked = w.memory.u64(w.domain_of(v) + w.o.block_hook)
    return follow if hooked and not w.version.ndst_stays else wake_there


@finish_migration.step("wakes it there")
def wake_there(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    wake(w, a, f[FIRST])
    return DONE


@finish_migration.step("has its notifications follow it")
def follow(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_ndst(w, f[FIRST], w.memory.u32(f[FIRST] + w.o.processor))
    return wake_there
