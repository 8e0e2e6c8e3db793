"""Threads take turns."""

from __future__ import annotations

from sim_backend.logic.kvm.schedule import choose, kvm_sched_out, schedule
from sim_backend.logic.kvm.versions import KVM_PREEMPT
from tests.sim_backend.logic.kvm.conftest import made, run_to


def test_a_thread_goes_on_where_it_was():
    machine = made(vcpus=2, cpus=1)
    running, waiting = machine.state.scheduled[0], machine.state.runq[0][0]
    machine.preempt(machine.vcpu_name(running))
    machine.settle()
    assert (machine.state.scheduled[0], machine.state.runq[0]) == (waiting, [running])
    assert machine.state.threads[running][-1][0] == schedule.number
    machine.preempt(machine.vcpu_name(waiting))
    machine.settle()
    assert machine.state.scheduled[0] == running
    assert machine.cpus[0].guest


def test_only_who_could_have_gone_on_is_preempted(machine):
    v = machine.vcpu("vm1v0")
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.block("vm1v0")
    run_to(machine, cpu, kvm_sched_out)
    assert machine.memory.u8(v + machine.o.preempted) == 0
    machine.settle()
    assert (machine.memory.u8(v + machine.o.preempted), machine.memory.u8(v + machine.o.scheduled_out)) == (0, 1)


def test_an_idle_cpu_takes_over_what_waits_elsewhere_unless_it_is_still_there():
    machine = made(vcpus=3, cpus=2)
    (waiting,) = [v for queue in machine.state.runq for v in queue]
    owner = next(cpu for cpu in (0, 1) if waiting in machine.state.runq[cpu])
    services = machine.context.services
    services.set_on_cpu(waiting, 1)
    assert choose(machine.context, 1 - owner) == 0
    services.set_on_cpu(waiting, 0)
    assert choose(machine.context, 1 - owner) == waiting


def test_with_full_preemption_a_thread_is_preempted_in_the_kernel():
    for version, expected in ((KVM_PREEMPT, True), (made().version, False)):
        machine = made(vcpus=1, cpus=1, version=version)
        v, cpu = machine.vcpu("vm1v0"), machine.cpus[0]
        machine.block("vm1v0")
        while machine.memory.u64(v + machine.o.wait) == 0:
            assert cpu.turn(machine.context)
        machine.tasklet(0)
        machine.preempt("vm1v0")
        run_to(machine, cpu, kvm_sched_out)
        cpu.turn(machine.context)
        assert bool(machine.memory.u8(v + machine.o.preempted)) == expected, version.name
