"""A session: what one command found absent is no other's, and what the whole target lacks is told once."""

from __future__ import annotations

import json

import pytest

from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from tests.inspector.conftest import RAM, REGISTERS


@pytest.fixture
def half_a_table(image):
    """A machine whose remapping table ends beyond its memory, and whose invalidation queue lies beyond it."""
    image.register(0xB8, (REGISTERS + 0x1000 - 0x4000) | 0xF)
    image.register(0x90, 0x7F00000000)
    return image


def asked(session, *words):
    """A command's lines besides its answer, its status and its document's absences."""
    answered = session.ask(words)
    besides = answered._besides(answered.answer)
    return [*besides.problems], answered.status, {each.member for each in answered.answer.absent}


def test_each_command_tells_what_it_met_whatever_was_asked_before(half_a_table):
    words = [("dmar",), ("irt",), ("regs",), ("queue",), ("faults",), ("audit",), ("info",)]
    with Session(Opening(lambda: open_file(str(half_a_table.path)))) as session:
        together = [asked(session, *each) for each in (*words, *reversed(words))]
    alone = []
    for each in words:
        with Session(Opening(lambda: open_file(str(half_a_table.path)))) as session:
            alone.append(asked(session, *each))
    assert together == [*alone, *reversed(alone)]
    (dmar, irt, regs, *_) = alone
    assert dmar == ([], 0, set())
    assert irt[0][0].startswith("unit 0: ")
    assert irt[1:] == (3, {"raw"})
    assert regs[:2] == ([], 0)


def test_symbols_that_do_not_fit_are_of_the_whole_target_and_told_once():
    with Session(Opening(lambda: Simulation(Machine(load("idle"))), profile="4.17")) as session:
        first, status, _ = asked(session, "irt")
        assert "4.17" in first[0]
        assert status == 3
        second, status, _ = asked(session, "vcpus")
    assert second == []
    assert status == 3


def test_a_damaged_log_is_told_once_and_stands_in_every_document(run, data, tmp_path):
    rows = (data / "field/logs/c30_row_cut_by_dom0.log").read_text()
    log = tmp_path / "damaged.log"
    log.write_text(rows)
    alone = run("dump", log, "irt")
    assert alone.status == 3
    assert alone.err.count("is damaged") == 1
    together = run("dump", log, "-c", "irt", "-c", "irte 1", "-c", "info")
    assert together.status == 3
    assert together.err.count("is damaged") == 1
    documents = run("dump", log, "-c", "irt --json", "-c", "irte 1 --json").out.splitlines()
    assert all(any(a["kind"] == "unreadable" for a in json.loads(each)["absent"]) for each in documents)


def test_the_image_is_as_large_as_the_tests_above_take_it_for(half_a_table):
    assert half_a_table.path.stat().st_size == max(RAM, REGISTERS + 0x1000)
