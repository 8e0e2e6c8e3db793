"""What an actor does, without what nobody reads any more."""

from __future__ import annotations

from sim_backend.explore.tracked_actors import without_unread
from sim_backend.logic.cpu import assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.logic.program import PC


def at(step, injected=2):
    frame = vmx_do_vmentry.frame(injected)
    frame[PC] = step.pc
    return tuple(frame)


def test_idle_nobody_reads_a_result():
    idle = tuple(idle_loop.frame())
    assert without_unread(((idle,), 5, 0, True)) == ((idle,), 0, 0, True)
    assert without_unread(((), 5, 0, True)) == ((), 0, 0, True)


def test_what_was_to_be_injected_is_decided_anew_before_the_look():
    assert without_unread(((at(assist),), 5, 0, True))[0] == (at(assist, 0),)
    assert without_unread(((at(in_guest),), 5, 0, True)) == ((at(in_guest),), 0, 0, True)


def test_within_a_call_the_result_counts():
    below = at(in_guest)
    values = ((below, tuple(vmx_do_vmentry.frame(1))), 5, 0, True)
    assert without_unread(values) == values
