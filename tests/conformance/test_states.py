"""The random states are of all kinds."""

from __future__ import annotations

from sim_backend.layout.config import profile_named
from sim_backend.layout.layout import Layout
from structs.pi_desc import PI_DESC

from .states import MOST_ON_A_LIST, VCPUS, State, descriptor_of, machine, state

COUNT = 200


def test_all_kinds() -> None:
    base = machine(profile_named())
    states = [state(base, str(number)) for number in range(COUNT)]
    assert {len(made.lists[made.cpu]) for made in states} == set(range(MOST_ON_A_LIST + 1))
    assert {len(made.lists[made.dead]) for made in states} == set(range(MOST_ON_A_LIST + 1))
    for name in ("x2apic_enabled", "iommu_intpost"):
        assert {made.layout.memory.u8(made.layout.symbol(name)) for made in states} == {0, 1}
    assert {made.in_irq for made in states} == {False, True}
    assert {kind for made in states for kind in _descriptors(made)} == {
        (on, sn, pir) for on in (0, 1) for sn in (0, 1) for pir in (False, True)
    }
    hooks = {_hooks(made.layout) for made in states}
    assert {(flags, block) for flags in (0, 2, 3) for block in (False, True)} <= hooks


def test_a_third_is_illegal() -> None:
    base = machine(profile_named())
    found = [_is_illegal(state(base, str(number))) for number in range(COUNT)]
    assert COUNT / 6 < sum(found) < COUNT / 2


def test_a_seed_is_a_state() -> None:
    base = machine(profile_named())
    first, again, other = (state(base, seed).layout.memory.digest() for seed in ("a", "a", "b"))
    assert first == again != other


def _descriptors(made: State) -> list[tuple[int, int, bool]]:
    raw = [made.layout.memory.read(descriptor_of(made.layout, vcpu), PI_DESC.size) for vcpu in made.vcpus]
    return [(fields["on"], fields["sn"], bool(fields["pir"])) for fields in map(PI_DESC.parse, raw)]


def _hooks(layout: Layout) -> tuple[int, bool]:
    domain = layout.domain(VCPUS)
    return (
        layout.get("domain", domain, "arch.hvm.pi_ops.flags"),
        bool(layout.get("domain", domain, "arch.hvm.pi_ops.vcpu_block")),
    )


def _is_illegal(made: State) -> bool:
    """Whether a lock pointer does not name the list that its node is on."""
    layout = made.layout
    places = {vcpu: cpu for cpu, vcpus in made.lists.items() for vcpu in vcpus}
    for vcpu in made.vcpus:
        right = 0
        if vcpu in places:
            place = layout.percpu(places[vcpu], "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "lock")
            right = layout.virtual(place)
        if layout.get("vcpu", vcpu, "arch.hvm.vmx.pi_blocking.lock") != right:
            return True
    return False
