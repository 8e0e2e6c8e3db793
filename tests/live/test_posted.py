"""The labs that tests of posted-format entries stand on: what they claim to hold is what Xen and QEMU say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live


def test_xen_prints_the_entries_that_it_wrote(lab_posted: Any) -> None:
    rows = re.findall(
        r"^\(XEN\) P:  ([0-9a-f]{4}): .* ([0-9a-f]{2})    0   0 +([0-9a-f]+)    0 1$",
        lab_posted.lab.keys("V"),
        re.MULTILINE,
    )
    assert [tuple(int(word, 16) for word in row) for row in rows] == [
        (entry["index"], entry["vector"], entry["descriptor"]) for entry in lab_posted.entries
    ]
    assert len(rows) == 3


def test_the_descriptors_are_where_the_entries_point(lab_posted: Any) -> None:
    with Qmp(lab_posted.lab.control) as qmp:
        for entry in lab_posted.entries:
            words = qmp.execute("human-monitor-command", {"command-line": f"xp /16wx {entry['descriptor']:#x}"})
            raw = b"".join(int(word, 16).to_bytes(4, "little") for word in re.findall(r"0x[0-9a-f]{8}", words))
            assert len(raw) == 64
            assert int.from_bytes(raw[:32], "little") == sum(1 << vector for vector in entry["pir"])
            control = entry["on"] | entry["sn"] << 1 | entry["nv"] << 16 | entry["ndst"] << 32
            assert int.from_bytes(raw[32:40], "little") == control


def test_qemu_records_the_fault(lab_faulted: Any) -> None:
    with Qmp(lab_faulted.lab.control) as qmp:
        words = qmp.execute("human-monitor-command", {"command-line": "xp /4wx 0xfed90220"})
    record = [int(word, 16) for word in re.findall(r"0x[0-9a-f]{8}", words)]
    assert record[1] >> 16 == lab_faulted.index
    assert record[2] & 0xFFFF == lab_faulted.source
    assert record[3] & 0xFF == lab_faulted.reason
