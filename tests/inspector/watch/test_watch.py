"""The live table, in a real terminal and without one, on the simulated machine."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.watch.looks import Looks
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

STORM = ("sim", "--scenario", "wakeup-storm", "--steps", 5000, "watch")


@pytest.fixture
def machine():
    machine = Machine(load("wakeup-storm"), seed=3)
    machine.run(3000)
    return machine


def test_what_changed_is_marked_and_only_that(machine):
    looks = Looks(Inspection(Simulation(machine)), 300)
    before = looks.take()
    assert not any(any(row.changed) for row in before.rows)
    changes = 0
    for _ in range(20):
        now = looks.take()
        for old, new in zip(before.rows, now.rows, strict=True):
            assert new.changed == tuple(a != b for a, b in zip(old.cells, new.cells, strict=True))
            changes += sum(new.changed)
        assert [is_new for _, is_new in now.lists] == [text not in dict(before.lists) for text, _ in now.lists]
        earlier = {(f.rule, f.subject, f.severity) for f in before.findings}
        assert list(now.fresh) == [f for f in now.findings if (f.rule, f.subject, f.severity) not in earlier]
        before = now
    assert changes > 50
    assert machine.steps == 3000 + 20 * 300


def test_activity_counts_the_vectors_that_came_or_went(machine):
    target = Simulation(machine)
    looks = Looks(Inspection(target), 200)
    looks.take()
    pirs = [{v.name: set(v.pi.pir) for v in Inspection(target).snapshot.vcpus if v.pi}]
    for _ in range(5):
        seen = looks.take()
        pirs.append({v.name: set(v.pi.pir) for v in Inspection(target).snapshot.vcpus if v.pi})
    rows = {row.cells[0]: row for row in seen.rows}
    for name in pirs[0]:
        wanted = [len(a[name] ^ b[name]) for a, b in pairwise(pirs)]
        assert list(rows[name].activity[-5:]) == wanted


def number(screen):
    found = re.search(r"look (\d+),", screen)
    return int(found[1]) if found else 0


def test_the_table_on_a_terminal(terminal):
    screen = terminal(*STORM, "--interval", 0.1, width=150, height=34)
    first = number(screen.wait("look 3", "d2v5", "SITUATION", "q quit"))
    screen.until(lambda text: number(text) > first, "no later look")
    marked = screen.until(lambda text: re.search(r"^ d\dv\d.*\*\S", text, re.MULTILINE), "nothing marked")
    assert re.search("[\u2581-\u2588]", marked)
    screen.press("Space")
    paused = number(screen.wait("paused"))
    screen.press("Space")
    screen.until(lambda text: number(text) == paused + 1, "no single look")
    screen.press("c")
    screen.until(lambda text: number(text) > paused + 2 and "every 0.1 s" in text, "it does not go on")
    screen.press("-")
    screen.wait("every 0.2 s")
    screen.resize(100, 20)
    screen.until(lambda text: "d1v0" in text and "q quit" in text and len(text.splitlines()) <= 20, "not resized")
    for _ in range(3):
        screen.press("Down")
    screen.until(lambda text: "d1v1" not in text and "d1v2" in text, "not scrolled")
    screen.press("q")
    assert screen.ended() == 0


@pytest.mark.parametrize("key", ["C-c", "C-d"])
def test_it_is_left_as_one_expects(terminal, key):
    screen = terminal(*STORM)
    screen.wait("look 1")
    screen.press(key)
    assert screen.ended() == 0
    assert "Traceback" not in screen.screen()


def test_no_color(terminal):
    screen = terminal(*STORM, NO_COLOR="1", width=150)
    screen.wait("look 2", "*")
    assert not re.search(r"\x1b\[[\d;]*3[0-7]", screen.screen(escapes=True))


def test_within_the_prompt(terminal):
    screen = terminal("sim", "--scenario", "wakeup-storm", width=150)
    screen.wait("\u276f" if "\u276f" in screen.screen() else "sim")
    screen.enter("watch --count 2 --interval 0.1")
    screen.wait("2 looks")


def test_lines_without_a_terminal(run):
    ran = run(*STORM, "--count", 3, "--interval", 0.05)
    assert ran.status == 0
    assert re.findall(r"^look (\d): 13 vCPUs", ran.out, re.MULTILINE) == ["1", "2", "3"]
    assert re.search(r"^  d\dv\d: .*PIR", ran.out, re.MULTILINE)
    assert "\x1b" not in ran.out
    assert run(*STORM, "--count", 2, "--interval", 0.05, "--json").json["looks"] == 2


def test_a_dump_is_not_watched(run, golden):
    ran = run("dump", golden("two-in-guest"), "watch")
    assert ran.status == 3
    assert "stands still for good" in ran.err


def test_wrong_intervals_are_told(run):
    assert "no interval" in run(*STORM, "--interval", 0).err
