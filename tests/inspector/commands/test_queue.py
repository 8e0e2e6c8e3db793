"""`queue`: the invalidation queue, on memory written by hand."""

from __future__ import annotations

import pytest


def test_the_queue_tells_done_from_pending(image, run):
    image.descriptor(254, 0x14 | 7 << 32)
    image.descriptor(255, 0x25 | 1 << 32, 0x5000)
    image.descriptor(0, 0x14 | 3 << 27 | 8 << 32)
    image.descriptor(1, 0xE0F)
    image.register(0x80, 0 << 4)
    image.register(0x88, 2 << 4)
    queue = run("dump", image.path, "queue", "--json").json["units"][0]
    assert (queue["head"], queue["tail"], queue["slots"]) == (0, 2, 256)
    assert [(d["slot"], d["state"], d["kind"]) for d in queue["descriptors"]] == [
        (254, "done", "interrupt entry cache"),
        (255, "done", "wait"),
        (0, "pending", "interrupt entry cache"),
        (1, "pending", "unknown"),
    ]
    assert queue["descriptors"][1]["status_address"] == 0x5000
    assert (queue["descriptors"][2]["im"], queue["descriptors"][2]["iidx"]) == (3, 8)
    assert "2 pending" in run("dump", image.path, "queue").out


@pytest.mark.parametrize(
    ("offset", "value", "size", "message"),
    [
        (0x1C, 0x43000000, 4, "queued invalidation is not enabled"),
        (0x80, 0x7FFF0, 8, "IQH is at slot 32767, beyond the queue's 256"),
        (0x90, 0xF_0000_0000_0000, 8, "is not in readable memory"),
    ],
)
def test_a_queue_that_makes_no_sense(image, run, offset, value, size, message):
    image.register(offset, value, size)
    answer = run("dump", image.path, "queue")
    assert answer.status == 3
    assert message in answer.err


def test_how_many_that_are_done_are_shown(image, run):
    for slot in range(40):
        image.descriptor(slot, 0x14 | slot << 32)
    image.register(0x80, 40 << 4)
    image.register(0x88, 40 << 4)
    for words, count in (((), 16), (("--last", "3"), 3), (("--last", "0"), 0)):
        shown = run("dump", image.path, "queue", *words, "--json").json["units"][0]["descriptors"]
        assert [each["slot"] for each in shown] == list(range(40 - count, 40))
        assert all(each["state"] == "done" for each in shown)


def test_a_unit_that_there_is_not(image, run):
    told = run("dump", image.path, "queue", "--unit", "7")
    assert (told.status, told.out) == (2, "")
    assert "no unit 7" in told.err
