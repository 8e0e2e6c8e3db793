"""Where vCPUs are on the blocking lists, read on the simulated machine, against what a whole look says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.trace.lists import Lists, with_word
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


def test_each_change_is_seen_once_and_the_end_is_right() -> None:
    machine = Machine(load("wakeup-storm"), seed=3)
    inspection = Inspection(Simulation(machine))
    assert inspection.xen
    vcpus = [vcpu for vcpu in inspection.snapshot.vcpus if vcpu.pi]
    lists = Lists(inspection.xen, inspection.snapshot.lists, vcpus)
    heads = len(inspection.snapshot.lists)
    assert [write.size for write in lists.writes] == [16] * heads + [24] * len(vcpus)
    for write in lists.writes:
        assert write.physical == inspection.xen.memory.translate(write.virtual)
    known = {vcpu.name: vcpu.blocking_list for vcpu in vcpus}
    changes = 0
    for _ in range(400):
        machine.run(5)
        for name, (before, after) in lists.changed().items():
            assert before != after
            changes += 1
            if before[0] != after[0]:
                assert known[name] == before[0]
                known[name] = after[0]
    inspection = inspection.again()
    assert known == {vcpu.name: vcpu.blocking_list for vcpu in inspection.snapshot.vcpus if vcpu.name in known}
    assert changes > 20
    assert lists.changed() == {}


@given(st.binary(min_size=64, max_size=64), st.integers(-16, 80), st.integers(0, 2**64 - 1))
def test_one_word_is_put_where_it_is_and_nowhere_else(raw: bytes, offset: int, word: int) -> None:
    made = with_word(raw, offset, word)
    place = offset // 8 * 8
    if 0 <= place < 64:
        assert made[place : place + 8] == word.to_bytes(8, "little")
        assert made[:place] + made[place + 8 :] == raw[:place] + raw[place + 8 :]
    else:
        assert made == raw
