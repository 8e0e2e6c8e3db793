"""What a machine with KVM keeps beside memory."""

from __future__ import annotations

from sim_backend.logic.kinds import copied, held_fields
from sim_backend.logic.kvm.state import KvmState
from sim_backend.logic.kvm.vcpu import vcpu_run
from sim_backend.logic.state import State


def test_it_is_xens_and_more():
    names = [field.name for field in held_fields(KvmState)]
    assert names[: len(held_fields(State))] == [field.name for field in held_fields(State)]
    assert names[len(held_fields(State)) :] == [
        *("threads", "reschedule", "unpreemptible", "masked", "routes", "expired"),
    ]


def test_a_copys_threads_are_its_own():
    state = KvmState.switched_on(2, 1, False)
    state.threads[0x1000] = [vcpu_run.frame(0x1000)]
    other = copied(state)
    other.threads[0x1000][0][1] = 2
    assert state.threads[0x1000][0][1] == 0
    assert (state.reschedule, state.unpreemptible) == ([0, 0], [0, 0])
