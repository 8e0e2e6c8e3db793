"""The sentences of Xen's commit 4b759ce163, each shown to happen, and read through the inspector.

Nothing here is read from the simulation's own variables: the machine is driven, the inspector reads its memory.
"""

from __future__ import annotations

import pytest

P, W = 0xF2, 0xF3
ONE_CPU = """
[machine]
cpus = 1
[[domain]]
id = 1
vcpus = {vcpus}
[[device]]
bdf = "00:03.0"
vectors = {vcpus}
domain = 1
"""


@pytest.fixture(params=["seed", "current"])
def version(request):
    return request.param


@pytest.fixture
def one_cpu(vtdpi_sim, version, tmp_path):
    """A machine with one CPU and a guest of so many vCPUs, each with an interrupt of a device, at rest."""

    def make(vcpus):
        path = tmp_path / "one-cpu.toml"
        path.write_text(ONE_CPU.format(vcpus=vcpus))
        sim = vtdpi_sim(path, version)
        sim.settle()
        return sim

    return make


@pytest.fixture
def two_cpus(vtdpi_sim, version):
    """A machine with two CPUs, each in the guest on a vCPU of its own."""
    sim = vtdpi_sim("idle", version)
    sim.settle()
    assert [sim.situation(name) for name in ("d1v0", "d1v1")] == ["S1", "S1"]
    return sim


def destination(sim, cpu):
    return {c.cpu: c.apic_id << 8 for c in sim.snapshot().cpus}[cpu]


def test_a_preempted_vcpu_suppresses_and_one_that_runs_again_does_not(one_cpu):
    """The message: "vCPU is preempted": vmx_pi_switch_from() and vmx_pi_switch_to() do it during scheduling."""
    sim = one_cpu(2)
    first, second = ("d1v0", "d1v1") if sim.vcpu("d1v0").is_running else ("d1v1", "d1v0")
    assert (sim.vcpu(first).pi.sn, sim.vcpu(first).pi.nv) == (0, P)
    sim.machine.preempt(first)
    sim.settle()
    assert sim.situation(first) == "S4"
    assert (sim.vcpu(first).runstate, sim.vcpu(first).pi.sn, sim.vcpu(first).pi.nv) == ("runnable", 1, P)
    assert (sim.vcpu(second).runstate, sim.vcpu(second).pi.sn) == ("running", 0)
    assert sim.vcpu(second).pi.ndst == destination(sim, 0)
    sim.machine.preempt(second)
    sim.settle()
    assert (sim.vcpu(first).pi.sn, sim.vcpu(second).pi.sn) == (0, 1)
    assert sim.situation(first) == "S1"


def test_a_post_to_a_preempted_vcpu_disturbs_no_cpu(one_cpu):
    sim = one_cpu(2)
    first = "d1v0" if sim.vcpu("d1v0").is_running else "d1v1"
    sim.machine.preempt(first)
    sim.settle()
    sim.machine.post("00:03.0", int(first[-1]))
    sim.settle()
    pi = sim.vcpu(first).pi
    assert (len(pi.pir), pi.on, pi.sn) == (1, 0, 1)
    assert sim.situation(first) == "S4"


def test_a_vcpu_that_comes_back_elsewhere_is_notified_there(two_cpus):
    """The message: "vmx_pi_switch_to()": NDST follows the vCPU to its new CPU."""
    sim = two_cpus
    before = sim.vcpu("d1v0")
    target = 1 - before.cpu
    assert before.pi.ndst == destination(sim, before.cpu)
    sim.machine.sleep("d1v1")
    sim.settle()
    sim.machine.migrate("d1v0", target)
    sim.settle()
    after = sim.vcpu("d1v0")
    assert (after.cpu, after.pi.ndst, after.pi.sn) == (target, destination(sim, target), 0)
    assert sim.situation("d1v0") == "S1"


def test_a_slept_vcpu_suppresses(two_cpus):
    """The message: "vCPU is slept"."""
    sim = two_cpus
    sim.machine.sleep("d1v0")
    sim.settle()
    assert sim.situation("d1v0") == "S6"
    assert (sim.vcpu("d1v0").pi.sn, sim.vcpu("d1v0").pi.nv, sim.vcpu("d1v0").blocking_list) == (1, P, None)
    sim.machine.wake("d1v0")
    sim.settle()
    assert (sim.situation("d1v0"), sim.vcpu("d1v0").pi.sn) == ("S1", 0)


def test_a_blocked_vcpu_is_on_its_cpus_list_with_the_wakeup_vector(two_cpus):
    """The message: "vCPU is blocked": arch_vcpu_block() updates the descriptor."""
    sim = two_cpus
    cpu = sim.vcpu("d1v0").cpu
    sim.machine.block("d1v0")
    sim.settle()
    blocked = sim.vcpu("d1v0")
    assert blocked.blocked
    assert sim.situation("d1v0") in ("S8", "S9")
    assert (blocked.blocking_list, blocked.pi.nv, blocked.pi.sn, blocked.pi.on) == (cpu, W, 0, 0)
    assert blocked.pi.ndst == destination(sim, cpu)


def test_a_post_to_a_blocked_vcpu_wakes_it(two_cpus):
    """The wakeup interrupt finds the vCPU on the list, by ON, and unblocks it."""
    sim = two_cpus
    sim.machine.block("d1v0")
    sim.settle()
    sim.machine.post("00:03.0", 0)
    sim.run_until("sends its interrupt", f"{W:#x}")
    assert sim.vcpu("d1v0").pi.on == 1
    sim.run_until("pi_wakeup_interrupt", "unlocks the list")
    woken = sim.vcpu("d1v0")
    assert (woken.blocked, woken.blocking_list, woken.pi.nv, woken.pi.on) == (False, None, W, 1)
    sim.settle()
    assert sim.situation("d1v0") == "S1"
    assert sim.vcpu("d1v0").pi.pir == ()


def test_before_vm_entry_the_descriptor_is_restored(two_cpus):
    """The message:
    "before VM-entry, we will make sure the 'NV' filed is set to 'posted_intr_vector' and the vCPU is not in any
    blocking lists [...] we change the posted-interrupts descriptor in vcpu_block(), however, we don't change it back in
    vcpu_unblock()"."""
    sim = two_cpus
    cpu = sim.vcpu("d1v0").cpu
    sim.machine.block("d1v0")
    sim.settle()
    sim.machine.wake("d1v0")
    sim.run_until("vcpu_unblock", "VPF_blocked 1 -> 0")
    woken = sim.vcpu("d1v0")
    assert (woken.blocked, woken.pi.nv, woken.blocking_list) == (False, W, cpu)
    assert sim.situation("d1v0") in ("S11", "between")
    sim.run_until("vmx_asm_do_vmentry", "prepares VM entry")
    assert sim.situation("d1v0") == "S3"
    assert (sim.vcpu("d1v0").pi.nv, sim.vcpu("d1v0").blocking_list) == (W, cpu)
    sim.run_until("vmx_asm_do_vmentry", "enters the guest")
    entered = sim.vcpu("d1v0")
    assert (entered.pi.nv, entered.blocking_list, entered.lock) == (P, None, 0)
    assert sim.situation("d1v0") == "S1"


def test_before_vm_entry_also_when_vcpu_block_returns_at_once(two_cpus):
    """The message:
    "or when vcpu_block() directly returns due to event delivery (in fact, we don't need to do it in the two places,
    that is why we do it before VM-Entry)"."""
    sim = two_cpus
    cpu = sim.vcpu("d1v0").cpu
    sim.machine.block("d1v0")
    sim.run_until("VPF_blocked 0 -> 1")
    sim.machine.post("00:03.0", 0)
    sim.run_until("is posted")
    sim.run_until("vcpu_block", "returns if there is one", "VPF_blocked 1 -> 0")
    running = sim.vcpu("d1v0")
    assert (running.runstate, running.blocked, running.pi.nv, running.blocking_list) == ("running", False, W, cpu)
    assert sim.situation("d1v0") == "S3"
    sim.run_until("vmx_asm_do_vmentry", "enters the guest")
    assert (sim.vcpu("d1v0").pi.nv, sim.vcpu("d1v0").blocking_list) == (P, None)


def test_lazy_switch_to_a_tasklet_leaves_sn(one_cpu):
    """The message: "Preempted by a tasklet, which uses in an idle context [...] We don't change the 'SN' bit"."""
    sim = one_cpu(1)
    sim.machine.tasklet(0)
    sim.run_until("goes idle lazily")
    sim.run_until("goes on with the new one")
    assert sim.situation("d1v0") == "S5"
    (cpu,) = sim.snapshot().cpus
    assert (cpu.current, cpu.loaded) == ("idle", "d1v0")
    assert (sim.vcpu("d1v0").runstate, sim.vcpu("d1v0").pi.sn, sim.vcpu("d1v0").pi.nv) == ("runnable", 0, P)


def test_a_tasklets_own_start_ends_the_lazy_state(one_cpu):
    """Not in the message: since 2010 Xen saves the state that a tasklet's CPU still holds before it calls the tasklet
    (do_tasklet_work, sync_local_execstate). So SN is set in the end, and cleared when the vCPU comes back."""
    sim = one_cpu(1)
    sim.machine.tasklet(0)
    sim.run_until("goes idle lazily")
    sim.run_until("vmx_pi_switch_from", "sn 0 -> 1")
    sim.run_until("runs the tasklet")
    assert (sim.situation("d1v0"), sim.vcpu("d1v0").pi.sn) == ("S4", 1)
    sim.settle()
    assert (sim.situation("d1v0"), sim.vcpu("d1v0").pi.sn) == ("S1", 0)


def test_lazy_switch_from_an_offline_vcpu_leaves_sn(one_cpu):
    """The message:
    "the prev vcpu is in offline and no new available vcpus in run queue. We don't change the 'SN' bit"."""
    sim = one_cpu(1)
    sim.machine.down("d1v0")
    sim.settle()
    gone = sim.vcpu("d1v0")
    (cpu,) = sim.snapshot().cpus
    assert (gone.runstate, gone.pi.sn, gone.blocking_list) == ("offline", 0, None)
    assert (cpu.current, cpu.loaded) == ("idle", "d1v0")


def test_an_offline_vcpu_with_another_one_waiting_suppresses(one_cpu):
    """The other side of it: if another vCPU comes, the switch is not lazy."""
    sim = one_cpu(2)
    first = "d1v0" if sim.vcpu("d1v0").is_running else "d1v1"
    sim.machine.down(first)
    sim.settle()
    assert (sim.vcpu(first).runstate, sim.vcpu(first).pi.sn) == ("offline", 1)


def test_a_spurious_notification_in_the_lazy_state_comes_once(one_cpu):
    """The message: "this may incur spurious PI notification events, but since PI notification event is only sent when
    'ON' is clear, and once the PI notificatoin is sent, ON is set by hardware, hence no more notification events
    before 'ON' is clear"."""
    sim = one_cpu(1)
    sim.machine.down("d1v0")
    sim.settle()
    sim.machine.post("00:03.0", 0)
    lines = [str(event) for event in sim.machine.events_of(1000)]
    assert sum(f"takes vector {P:#x}" in line for line in lines) == 1
    assert sim.vcpu("d1v0").pi.on == 1
    sim.machine.post("00:03.0", 0)
    lines = [str(event) for event in sim.machine.events_of(1000)]
    assert not any("takes vector" in line or "sends its interrupt" in line for line in lines)
    assert (sim.vcpu("d1v0").pi.on, sim.vcpu("d1v0").pi.sn, len(sim.vcpu("d1v0").pi.pir)) == (1, 0, 1)


def test_a_spurious_notification_of_a_lazily_preempted_vcpu_is_delivered_later(one_cpu):
    """The same where the vCPU comes back: its vector is delivered at its next VM entry."""
    sim = one_cpu(1)
    sim.machine.tasklet(0)
    sim.run_until("goes idle lazily")
    sim.machine.post("00:03.0", 0)
    sim.run_until("sends its interrupt", f"{P:#x}")
    assert sim.vcpu("d1v0").pi.on == 1
    sim.run_until("pi_notification_interrupt", "before VM entry")
    assert (sim.vcpu("d1v0").pi.on, sim.vcpu("d1v0").in_guest) == (1, False)
    sim.run_until("runs in the guest", "vIRR bit 0x30")
    sim.settle()
    assert (sim.vcpu("d1v0").pi.on, sim.vcpu("d1v0").pi.pir, sim.vcpu("d1v0").irr) == (0, (), ())
    assert sim.situation("d1v0") == "S1"


def test_a_notification_while_the_guest_is_in_xen_is_harmless(one_cpu):
    """The message:
    "when guests trap to Xen and PI notification event happens, there is nothing Xen actually needs to do about it,
    the interrupts will be delivered to guest atht the next time we do a VMENTRY"."""
    sim = one_cpu(1)
    sim.machine.hypercall("d1v0")
    sim.run_until("until a hypercall")
    assert sim.situation("d1v0") == "S2"
    sim.machine.post("00:03.0", 0)
    sim.run_until("pi_notification_interrupt", "before VM entry")
    sim.run_until("enters the guest")
    entered = sim.vcpu("d1v0")
    assert (entered.pi.on, entered.pi.pir, entered.irr, entered.pi.nv) == (0, (), (0x30,), P)
    sim.run_until("runs in the guest", "vIRR bit 0x30")
    assert sim.vcpu("d1v0").irr == ()


def test_in_the_guest_a_notification_needs_no_vm_exit(one_cpu):
    """Why NV is the notification vector "when vCPU is running in non-root mode"."""
    sim = one_cpu(1)
    sim.machine.post("00:03.0", 0)
    sim.run_until("takes vector", "in the guest")
    sim.run_until("posted-interrupt processing", "pir[3]")
    assert (sim.situation("d1v0"), sim.vcpu("d1v0").irr) == ("S1", (0x30,))
    sim.settle()
    assert (sim.situation("d1v0"), sim.vcpu("d1v0").irr) == ("S1", ())


def test_the_audit_finds_nothing_wrong_on_the_way(two_cpus):
    sim = two_cpus
    for drive in (
        lambda: sim.machine.block("d1v0"),
        lambda: sim.machine.post("00:03.0", 0),
        lambda: sim.machine.sleep("d1v1"),
        lambda: sim.machine.block("d1v0"),
        lambda: sim.machine.wake("d1v1"),
        lambda: sim.machine.wake("d1v0"),
    ):
        drive()
        sim.settle()
        assert [str(finding) for finding in sim.audit() if finding.severity == "bug"] == []
