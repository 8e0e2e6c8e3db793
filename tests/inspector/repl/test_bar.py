"""The bar below the prompt: what is known by now, on one line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inspector.capture.inspection import Inspection
from inspector.repl.bar import READERS, text
from inspector.targets.open_file import open_file


def target(description="QEMU at 127.0.0.1:1234", **members):
    return SimpleNamespace(description=description, **members)


def control(running):
    return target(running=running, stop=lambda: None, cont=lambda: None)


@pytest.mark.parametrize(
    ("of", "word"), [(control(True), "running"), (control(False), "stopped"), (target(), "stopped")]
)
def test_it_tells_whether_the_machine_runs(of, word):
    assert text(of, {}, False) == f" {word} \u2502 QEMU at 127.0.0.1:1234"


def test_what_is_not_known_yet_has_no_place():
    known = {"version": "Xen 4.20.3", "posted": None, "findings": ""}
    assert text(target("it"), known, False) == " stopped \u2502 Xen 4.20.3 \u2502 it"
    assert text(target("it"), {}, True) == " stopped \u2502 reading\u2026 \u2502 it"
    assert text(None, known, True) == " opening\u2026"


def test_a_name_of_the_targets_cannot_leave_the_line():
    shown = text(target("a\nb\x1b[2J"), {}, False)
    assert "\n" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("capture", "wanted"),
    [
        ("lost-wakeup", {"version": "Xen 4.20.3+127", "findings": "1 bug"}),
        ("two-in-guest", {"version": "Xen 4.20.3+127", "findings": "no findings"}),
    ],
)
def test_what_it_reads_of_a_real_capture(golden, capture, wanted):
    with open_file(str(golden(capture))) as opened:
        inspection = Inspection(opened)
        told = {name: read(inspection) for name, read in READERS.items()}
    assert {name: told[name] for name in wanted} == wanted
    waiting = sum(len(vcpu.pi.pir) for vcpu in inspection.snapshot.vcpus if vcpu.pi)
    assert told["posted"] == f"{waiting} posted vector" + "s" * (waiting != 1)


def test_a_machine_without_a_xen(image):
    with open_file(str(image.path)) as opened:
        inspection = Inspection(opened)
        assert READERS["version"](inspection) == "no Xen known"
