"""A timeline: lanes cover all of the time, by what notifications do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from inspector.trace.trace_event import STEPS, WRITE, TraceEvent
from inspector.views.html.timeline import LANES, NAME, TICKS, WIDTH, key, timeline

P, W = 0xF1, 0xF2


def write(time, vcpu="d1v0", **changes):
    return TraceEvent(time, WRITE, 0, "f", vcpu, changes)


def drawn(*hits):
    return timeline(hits, STEPS, (P, W))


def bars(drawing):
    return [(bar.get("class"), float(bar.get("x")), float(bar.get("width"))) for bar in drawing.iter("rect")]


def test_bars_follow_each_other_over_the_whole_width():
    found = bars(drawn(write(10, nv=(P, W)), write(30, sn=(0, 1)), write(40, sn=(1, 0)), write(100, nv=(W, P))))
    assert [kind for kind, _, _ in found] == ["notify", "wakeup", "suppressed", "wakeup", "notify"]
    assert found[0][1] == NAME
    for (_, x, width), (_, following, _) in pairwise(found):
        assert x + width == pytest.approx(following, abs=0.6)
    assert found[-1][1] == pytest.approx(NAME + WIDTH)


def test_lanes_are_in_the_order_of_numbers_and_not_too_many():
    drawing = drawn(*(write(n, f"d1v{n}", on=(0, 1)) for n in (10, 9, 2)))
    assert [each.text for each in drawing.iter("text") if each.get("class") == "name"] == ["d1v2", "d1v9", "d1v10"]
    many = drawn(*(write(1, f"d1v{n}", on=(0, 1)) for n in range(2 * LANES)))
    assert len([each for each in many.iter("text") if each.get("class") == "name"]) == LANES


def test_a_mark_for_each_vector_that_came_and_none_for_one_that_went():
    drawing = drawn(write(5, pir=((), (0x31,))), write(6, pir=((0x31,), ())), write(7, pir=((), (1, 2))))
    marks = list(drawing.iter("path"))
    assert len(marks) == 2
    assert "5 steps: CPU 0, f: pir" in marks[0].find("title").text


@pytest.mark.parametrize("hits", [(), (write(0, on=(0, 1)),)])
def test_no_time_at_all_is_drawn_too(hits):
    ticks = [each for each in drawn(*hits).iter("text") if each.get("class") == "axis"]
    assert len(ticks) == TICKS + 1


def test_each_kind_has_a_height_of_its_own():
    hits = write(10, nv=(P, W)), write(30, sn=(0, 1)), write(40, sn=(1, 0))
    heights = {bar.get("class"): bar.get("height") for bar in drawn(*hits, write(50)).iter("rect")}
    assert len(set(heights.values())) == len(heights) == 3
    assert "".join(key("mark", "a vector").itertext()) == "a vector"
