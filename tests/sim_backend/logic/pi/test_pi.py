"""The procedures alone: their stores in order, their calls, what they wait for, what differs between versions.

That they do what Xen's machine code does is what tests/conformance shows; here stands what they mean.
"""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.logic.pi import LIST_POISON1, LIST_POISON2, VCPU_KICK_SOFTIRQ, run_procedure
from sim_backend.logic.versions import CURRENT, SEED
from sim_backend.memory.errors import SimError
from structs.pi_desc import PI_DESC

P, W = 0xF2, 0xF3
MARKER = 0xFFFF_FFFF


@pytest.fixture
def layout():
    """Two CPUs and a guest of three vCPUs, the first one on CPU 0."""
    return Layout(LayoutConfig(cpus=2, domains=(DomainConfig(1, 3),)))


def descriptor(layout, vcpu=0):
    return PI_DESC.parse(layout.memory.read(layout.pi_desc(1, vcpu), 64))


def set_descriptor(layout, vcpu=0, **values):
    layout.memory.write(layout.pi_desc(1, vcpu), PI_DESC.build(dict(descriptor(layout, vcpu)) | values))


def names(layout, stores, vcpu=0):
    """Stores by the fields that they change, in order."""
    v = layout.vcpu(1, vcpu)
    area = layout.percpu(0, "vmx_pi_blocking")
    fields = {
        layout.pi_desc(1, vcpu) + 32: "on/sn",
        layout.pi_desc(1, vcpu) + 34: "nv",
        layout.pi_desc(1, vcpu) + 36: "ndst",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.lock"): "pointer",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list"): "next",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list") + 8: "prev",
        v + layout.member("vcpu", "pause_flags"): "pause_flags",
        area: "head.next",
        area + 8: "head.prev",
        area + 16: "lock",
    }
    return [fields.get(store.address, hex(store.address)) for store in stores]


def waiting(layout, cpu=0):
    node = layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    found = layout.list_nodes(layout.percpu(cpu, "vmx_pi_blocking"))
    return [vcpu for at in found for vcpu in range(3) if layout.vcpu(1, vcpu) + node == at]


def test_blocking_inserts_first_and_switches_nv_last(layout):
    """The insertion must come first, so that a wakeup interrupt always finds the node."""
    done = run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == [
        *("lock", "pointer", "head.prev", "next", "prev", "head.next", "lock"),
        "nv",
    ]
    assert (descriptor(layout)["nv"], waiting(layout), done.calls) == (W, [0], [])


def test_blocking_waits_for_the_lists_lock(layout):
    layout.memory.set_u32(layout.percpu(0, "vmx_pi_blocking") + 16, 0x10000)
    before = layout.memory.digest()
    with pytest.raises(SimError, match="waits for a lock"):
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    assert layout.memory.digest() == before


def test_a_list_is_first_in_first_out(layout):
    for vcpu in (0, 1, 2):
        layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 0})
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
    assert waiting(layout) == [0, 1, 2]


@pytest.mark.parametrize("blocked", [False, True])
def test_switching_out_suppresses_unless_blocked(layout, blocked):
    layout.put("vcpu", layout.vcpu(1, 0), {"pause_flags": int(blocked)})
    done = run_procedure("vmx_pi_switch_from", layout, layout.vcpu(1, 0))
    assert descriptor(layout)["sn"] == int(not blocked)
    assert names(layout, done.stores) == ([] if blocked else ["on/sn"])


def test_switching_in_directs_first_and_lifts_suppression_last(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"processor": 1})
    set_descriptor(layout, sn=1, pir=1 << 0x31)
    done = run_procedure("vmx_pi_switch_to", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == ["ndst", "on/sn"]
    after = descriptor(layout)
    assert (after["ndst"], after["sn"]) == (1 << 8, 0)
    assert (after["pir"], after["on"]) == (1 << 0x31, 0), "PIR is not looked at"


def test_the_switch_hooks_are_called_only_if_installed(layout):
    for name in ("vmx_ctxt_switch_from", "vmx_ctxt_switch_to"):
        assert run_procedure(name, layout, layout.vcpu(1, 0)).events == []
    run_procedure("vmx_pi_hooks_assign", layout, layout.domain(1))
    for name in ("vmx_ctxt_switch_from", "vmx_ctxt_switch_to"):
        assert run_procedure(name, layout, layout.vcpu(1, 0)).events


def test_before_vm_entry_nv_first_then_off_the_list(layout):
    run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    done = run_procedure("vmx_pi_do_resume", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == [
        *("nv", "lock", "head.prev", "head.next", "next", "prev", "pointer", "lock"),
    ]
    node = layout.vcpu(1, 0) + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    poison = (layout.memory.u64(node), layout.memory.u64(node + 8))
    assert poison == (LIST_POISON1, LIST_POISON2)
    assert (descriptor(layout)["nv"], waiting(layout)) == (P, [])


def test_the_wakeup_interrupt_takes_those_with_on(layout):
    for vcpu in (0, 1, 2):
        layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 0, "pause_flags": 1})
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
        set_descriptor(layout, vcpu, on=int(vcpu != 1), pir=1 << 0x31)
    done = run_procedure("pi_wakeup_interrupt", layout)
    woken = [("vcpu_wake", layout.vcpu(1, 0), 0), ("vcpu_wake", layout.vcpu(1, 2), 0)]
    assert done.calls == [("ack_APIC_irq", 0, 0), *woken]
    assert waiting(layout) == [1]
    after = descriptor(layout, 2)
    assert (after["nv"], after["on"], after["pir"]) == (W, 1, 1 << 0x31), "left to the VM entry"


def test_a_wakeup_interrupt_that_finds_nobody_changes_nothing(layout):
    run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    done = run_procedure("pi_wakeup_interrupt", layout)
    assert [call[0] for call in done.calls] == ["ack_APIC_irq"]
    assert waiting(layout) == [0]


def test_a_notification_interrupt_has_the_cpu_look_again(layout):
    done = run_procedure("pi_notification_interrupt", layout, cpu=1)
    assert done.calls == [("ack_APIC_irq", 1, 0), ("raise_softirq", 1, VCPU_KICK_SOFTIRQ)]


@pytest.mark.parametrize("on", [0, 1])
def test_pir_is_moved_only_if_on(layout, on):
    vectors = 1 << 0x31 | 1 << 0xFE | 1 << 0x10
    set_descriptor(layout, on=on, pir=vectors)
    run_procedure("vmx_sync_pir_to_irr", layout, layout.vcpu(1, 0))
    after = descriptor(layout)
    irr = [layout.memory.u32(layout.vlapic(1, 0) + 0x200 + 16 * word) for word in range(8)]
    assert after["on"] == 0
    assert after["pir"] == (0 if on else vectors)
    assert sum(word << 32 * n for n, word in enumerate(irr)) == (vectors if on else 0)


@pytest.mark.parametrize(
    ("on", "sn", "after", "kicked"), [(0, 0, 1, False), (0, 1, 0, True), (1, 0, 1, True), (1, 1, 1, True)]
)
def test_a_software_post(layout, on, sn, after, kicked):
    """As hardware has it for a message that is not urgent: SN=1 leaves ON as it is."""
    layout.put("vcpu", layout.vcpu(1, 0), {"is_running": 1, "processor": 1})
    set_descriptor(layout, on=on, sn=sn)
    done = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert (descriptor(layout)["on"], descriptor(layout)["pir"]) == (after, 1 << 0x31)
    kick, notify = [("cpu_raise_softirq", 1, VCPU_KICK_SOFTIRQ)], [("send_IPI_mask", 1, P)]
    assert done.calls == (kick if kicked else notify)
    again = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert [event for event in again.events if not isinstance(event, tuple) and event.before != event.after] == []
    assert again.calls == [], "a vector that is set already is not announced again"


def test_a_software_post_unblocks(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"pause_flags": 1})
    done = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert done.calls == [("vcpu_wake", layout.vcpu(1, 0), 0)]


def test_a_changed_exit_map_always_sets_on(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"arch.hvm.vmx.eoi_exitmap_changed": 1})
    set_descriptor(layout, sn=1)
    run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert descriptor(layout)["on"] == 1


class TestDifferences:
    """Where the first version and the current one differ."""

    def test_notifying_again_while_the_softirq_bit_is_set(self, layout):
        """The first one suppresses the second IPI by a bit that nobody clears while the guest runs."""
        layout.put("vcpu", layout.vcpu(1, 0), {"is_running": 1, "processor": 1})
        sent = {}
        for version in (SEED, CURRENT):
            there = layout.copy()
            first = run_procedure("vmx_deliver_posted_intr", there, there.vcpu(1, 0), 0x31, version=version)
            there.memory.test_and_clear_bit(there.pi_desc(1, 0) + 32, 0)
            second = run_procedure("vmx_deliver_posted_intr", there, there.vcpu(1, 0), 0x32, version=version)
            sent[version.name] = [len(first.calls), len(second.calls)]
        assert sent == {"seed": [1, 0], "current": [1, 1]}

    def test_assigning_repairs_ndst_in_between(self, layout):
        layout.put("vcpu", layout.vcpu(1, 1), {"processor": 0})
        set_descriptor(layout, 1, ndst=0x100)
        members = ("arch.hvm.pi_ops.flags", "arch.hvm.pi_ops.vcpu_block")
        hooks = {layout.domain(1) + layout.member("domain", name) for name in members}
        for version in (SEED, CURRENT):
            there = layout.copy()
            done = run_procedure("vmx_pi_hooks_assign", there, there.domain(1), version=version)
            ndst = [descriptor(there, vcpu)["ndst"] for vcpu in range(3)]
            if version is CURRENT:
                assert ndst == [0, 0x100, 0], "only those that no hook has seen"
                assert [store.address in hooks for store in done.stores] == [True, False, False, True]
            else:
                assert ndst == [MARKER, 0x100, MARKER], "no repair"
                assert all(store.address in hooks for store in done.stores)

    def test_deassigning_cleans_up(self, layout):
        for version in (SEED, CURRENT):
            there = layout.copy()
            run_procedure("vmx_pi_hooks_assign", there, there.domain(1), version=version)
            run_procedure("vmx_vcpu_block", there, there.vcpu(1, 0))
            done = run_procedure("vmx_pi_hooks_deassign", there, there.domain(1), version=version)
            flags = there.get("domain", there.domain(1), "arch.hvm.pi_ops.flags")
            state = (flags, waiting(there), descriptor(there)["nv"], [call[0] for call in done.calls])
            cleaned = (2, [], P, ["domain_pause", "domain_unpause"])
            assert state == (cleaned if version is CURRENT else (0, [0], W, []))

    def test_a_cpu_that_goes_offline_leaves_nobody_behind(self, layout):
        for vcpu in (0, 1, 2):
            layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 1, "pause_flags": 1})
            run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
            set_descriptor(layout, vcpu, ndst=0x100, on=int(vcpu == 1))
        layout.offline(1)
        for version in (SEED, CURRENT):
            there = layout.copy()
            done = run_procedure("vmx_pi_desc_fixup", there, 1, version=version)
            if version is SEED:
                assert done.events == []
                continue
            assert done.calls == [("vcpu_wake", there.vcpu(1, 1), 0)]
            assert (waiting(there, 1), waiting(there, 0)) == ([], [2, 0]), "reinserted at the front"
            assert [descriptor(there, vcpu)["ndst"] for vcpu in (0, 2)] == [0, 0]
            assert [descriptor(there, vcpu)["sn"] for vcpu in range(3)] == [0, 0, 0]


def test_an_xapic_id_over_255_is_truncated(layout):
    """As in Xen, which encodes it by MASK_INSR."""
    layout.memory.set_u32(layout.symbol("x86_cpu_to_apicid"), 0x123)
    run_procedure("vmx_pi_switch_to", layout, layout.vcpu(1, 0))
    assert descriptor(layout)["ndst"] == 0x2300


def test_wild_pointers_are_errors(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"arch.hvm.vmx.pi_blocking.lock": 0x1234})
    with pytest.raises(SimError, match="0x1234"):
        run_procedure("vmx_pi_do_resume", layout, layout.vcpu(1, 0))
    with pytest.raises(SimError, match="no procedure"):
        run_procedure("vmx_vcpu_blok", layout)
