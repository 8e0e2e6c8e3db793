"""What gdb and QEMU answer: fitting answers are typed, all else is one line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.targets.live.answers import BreakpointMade, Greeting, RegisterValues, Status, Stopped, Threads, decoded


def test_answers_that_fit():
    assert [
        thread.id for thread in decoded(Threads, {"threads": [{"id": "1", "state": "stopped"}]}, "gdb").threads
    ] == ["1"]
    stopped = decoded(Stopped, {"reason": "signal-received", "signal-name": "SIGINT", "thread-id": "2"}, "gdb")
    assert (stopped.reason, stopped.signal, stopped.thread) == ("signal-received", "SIGINT", "2")
    assert decoded(Stopped, {}, "gdb") == Stopped()
    greeting = decoded(Greeting, {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}, "QEMU")
    assert greeting.qmp.version.qemu.major == 7


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Threads, {}),
        (Threads, {"threads": [{"id": "-1"}]}),
        (Threads, {"threads": [{"id": "1; shell"}]}),
        (Threads, {"threads": [{"id": "9" * 40}]}),
        (Threads, {"threads": {"id": "1"}}),
        (RegisterValues, {"register-values": [{"number": "1", "value": ["0"]}]}),
        (BreakpointMade, {"bkpt": None}),
        (Greeting, {"QMP": {"version": {"qemu": {"major": -1, "minor": 2, "micro": 0}}}}),
        (Greeting, {"QMP": {"version": {"qemu": {"major": 1 << 80, "minor": 2, "micro": 0}}}}),
        (Status, {"running": "yes", "status": "running"}),
        (Status, {"running": True, "status": "x" * 101}),
        (Status, None),
    ],
)
def test_answers_that_do_not(kind, answer):
    with pytest.raises(TargetError, match=rf"^QEMU answers what cannot be \(.*\): expected a {kind.__name__}$"):
        decoded(kind, answer, "QEMU")


def test_a_long_complaint_is_cut():
    with pytest.raises(TargetError) as error:
        decoded(Status, {"running": True, "status": 1, "x" * 5000: 1}, "QEMU")
    assert len(str(error.value)) < 300


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(("threads", "id", "QMP", "running")), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_any_answer_is_typed_or_refused(answer):
    for kind in (Threads, Greeting, Status, Stopped):
        with suppress(TargetError):
            assert isinstance(decoded(kind, answer, "gdb"), kind)
