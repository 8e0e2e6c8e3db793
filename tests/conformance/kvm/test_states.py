"""The random states are of all kinds."""

from __future__ import annotations

from collections.abc import Iterator

from structs.irte import POSTED
from structs.pi_desc import PI_DESC

from .states import DEVICE, MOST_ON_A_LIST, NOTIFICATION, WAKEUP, State, descriptor_of, machine, state

COUNT = 200
PROFILE = "6.12"


def test_all_kinds() -> None:
    base = machine(PROFILE)
    states = [state(base, str(number)) for number in range(COUNT)]
    assert {len(made.lists[made.cpu]) for made in states} == set(range(MOST_ON_A_LIST + 1))
    assert {(made.in_irq, made.blocked) for made in states} == {(a, b) for a in (False, True) for b in (False, True)}
    assert {(made.layout.config.intpost, made.layout.config.x2apic) for made in states} == {
        (intpost, x2apic) for intpost in (False, True) for x2apic in (False, True)
    }
    kinds = {(on, sn, bool(pir), nv) for made in states for on, sn, pir, nv in _descriptors(made) if nv >= WAKEUP}
    assert {kind for kind in kinds if kind[3] <= NOTIFICATION} == {
        (on, sn, pir, nv) for on in (0, 1) for sn in (0, 1) for pir in (False, True) for nv in (WAKEUP, NOTIFICATION)
    }
    assert {bool(entry) for made in states for entry in _posted(made)} == {False, True}


def test_a_third_is_illegal() -> None:
    base = machine(PROFILE)
    found = [_is_illegal(state(base, str(number))) for number in range(COUNT)]
    assert COUNT / 6 < sum(found) < COUNT / 2


def test_a_seed_is_a_state() -> None:
    base = machine(PROFILE)
    first, again, other = (state(base, seed).layout.memory.digest() for seed in ("a", "a", "b"))
    assert first == again != other


def _descriptors(made: State) -> Iterator[tuple[int, int, int, int]]:
    for vcpu in made.vcpus:
        fields = PI_DESC.parse(made.layout.memory.read(descriptor_of(made.layout, vcpu), PI_DESC.size))
        yield fields["on"], fields["sn"], fields["pir"], fields["nv"]


def _posted(made: State) -> Iterator[int]:
    """IM of each entry."""
    for msi in made.layout.device(DEVICE).msis:
        yield made.layout.memory.u64(made.layout.irte(msi.unit, msi.index)) & POSTED["im"].mask


def _is_illegal(made: State) -> bool:
    """Whether the wakeup vector does not go with being on the list of the vCPU's CPU."""
    layout = made.layout
    places = {vcpu: cpu for cpu, vcpus in made.lists.items() for vcpu in vcpus}
    for vcpu in made.vcpus:
        nv = layout.get("vcpu_vmx", vcpu, "pi_desc.nv")
        if vcpu not in places:
            if nv != NOTIFICATION:
                return True
        elif nv != WAKEUP or layout.get("vcpu_vmx", vcpu, "vcpu.cpu") != places[vcpu]:
            return True
    return False
