"""The live table, in a real terminal and without one, on the simulated machine."""

from __future__ import annotations

import re

import pytest

STORM = ("sim", "--scenario", "wakeup-storm", "--steps", 5000, "watch")


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


@pytest.mark.thorough
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
    assert len(run(*STORM, "--count", 2, "--interval", 0.05, "--json").out.splitlines()) == 2


def test_a_dump_is_not_watched(run, golden):
    ran = run("dump", golden("two-in-guest"), "watch")
    assert ran.status == 3
    assert "stands still for good" in ran.err


def test_wrong_intervals_are_told(run):
    assert "no interval" in run(*STORM, "--interval", 0).err
