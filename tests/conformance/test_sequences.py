"""Calls one after the other on the same memory: Xen's code and the model go the same way.

The last tests show where some such ways lead, known from reading the code.
"""

from __future__ import annotations

from random import Random

import pytest

from sim_backend.layout.layout import Layout
from structs.pi_desc import PI_DESC, vectors

from .bench import Bench
from .functions import FUNCTIONS
from .states import State, blocking, descriptor_of, state

pytestmark = pytest.mark.live

LENGTH = 8
BY_NAME = {function.name: function for function in FUNCTIONS}
ALONE = ("vmx_pi_update_irte",)
"""Not in sequences: its arguments are part of the state."""

VECTOR = 0x51
HOOKS_ON = {"arch.hvm.pi_ops.flags": 3}


def test_random_sequences(bench: Bench, states: int) -> None:
    functions = [function for function in FUNCTIONS if function.name not in ALONE]
    for number in range(states // 2):
        rng = Random(number)
        made = state(bench.base, f"sequence {number}")
        calls = [(function, function.arguments(made, rng)) for function in rng.choices(functions, k=LENGTH)]
        _, found = bench.sequence(made, calls)
        assert not found, f"sequence {number}: {found[:20]}"


def test_a_post_while_switched_out_leaves_no_notification(bench: Bench) -> None:
    made = _quiet(bench)
    vcpu = made.vcpus[0]
    layout = _run(bench, made, ("vmx_ctxt_switch_from", vcpu), ("vmx_deliver_posted_intr", vcpu, VECTOR))
    assert _descriptor(layout, vcpu) == ([VECTOR], 0, 1)
    calls = (("vmx_ctxt_switch_from", vcpu), ("vmx_deliver_posted_intr", vcpu, VECTOR), ("vmx_ctxt_switch_to", vcpu))
    layout = _run(bench, made, *calls)
    assert _descriptor(layout, vcpu) == ([VECTOR], 0, 0)
    layout = _run(bench, made, *calls, ("vmx_sync_pir_to_irr", vcpu))
    assert _descriptor(layout, vcpu) == ([VECTOR], 0, 0)


def test_a_dead_cpus_list_is_moved_in_reverse(bench: Bench) -> None:
    made = _quiet(bench)
    layout = made.layout
    for vcpu in made.vcpus[:3]:
        layout.put("vcpu", vcpu, {"processor": made.dead})
    block = [("vmx_vcpu_block", vcpu) for vcpu in made.vcpus[:3]]
    moved = _run(bench, made, *block, ("vmx_pi_desc_fixup", made.dead))
    assert _listed(moved, made.dead) == []
    (target,) = (cpu for cpu in range(layout.config.cpus) if _listed(moved, cpu))
    assert _listed(moved, target) == made.vcpus[2::-1]


def test_a_vcpu_that_was_woken_keeps_its_destination(bench: Bench) -> None:
    made = _quiet(bench)
    vcpu = made.vcpus[0]
    made.layout.put("vcpu", vcpu, {"processor": made.cpu, "pause_flags": 1})
    before = (("vmx_ctxt_switch_to", vcpu), ("vmx_vcpu_block", vcpu), ("vmx_ctxt_switch_from", vcpu))
    asleep = _run(bench, made, *before)
    woken = _run(bench, made, *before, ("vmx_deliver_posted_intr", vcpu, VECTOR), ("pi_wakeup_interrupt",))
    assert _listed(asleep, made.cpu) == [vcpu]
    assert _listed(woken, made.cpu) == []
    place = descriptor_of(made.layout, vcpu)
    old, new = (PI_DESC.parse(layout.memory.read(place, PI_DESC.size)) for layout in (asleep, woken))
    wakeup = made.layout.memory.u8(made.layout.symbol("pi_wakeup_vector"))
    assert (old["nv"], old["ndst"]) == (new["nv"], new["ndst"]) == (wakeup, old["ndst"])


def _quiet(bench: Bench) -> State:
    """A state with empty lists, hooks installed, nothing posted, nobody blocked."""
    made = next(made for made in (state(bench.base, f"quiet {n}") for n in range(1000)) if not any(made.lists.values()))
    layout = made.layout
    layout.set_variable("iommu_intpost", 1, 1)
    for domain in layout.domains.values():
        layout.put("domain", domain.address, HOOKS_ON)
    for vcpu in made.vcpus:
        layout.memory.write(descriptor_of(layout, vcpu), bytes(PI_DESC.size))
        layout.put("vcpu", vcpu, {"pause_flags": 0, "poll_evtchn": 0, "arch.hvm.vmx.pi_blocking.lock": 0})
        layout.put("vcpu", vcpu, {"arch.hvm.vmx.eoi_exitmap_changed": 0, "is_running": 0})
    return made


def _run(bench: Bench, made: State, *calls: tuple[str | int, ...]) -> Layout:
    layout, found = bench.sequence(
        made, [(BY_NAME[str(name)], tuple(map(int, arguments))) for name, *arguments in calls]
    )
    assert not found
    return layout


def _descriptor(layout: Layout, vcpu: int) -> tuple[list[int], int, int]:
    fields = PI_DESC.parse(layout.memory.read(descriptor_of(layout, vcpu), PI_DESC.size))
    return vectors(fields["pir"]), fields["on"], fields["sn"]


def _listed(layout: Layout, cpu: int) -> list[int]:
    node = layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    return [place - node for place in layout.list_nodes(blocking(layout, cpu))]
