"""The monitor commands that a debugger of a machine knows from QEMU."""

from __future__ import annotations

import pytest

from sim_backend.debug.gdb_monitor import answer


@pytest.mark.parametrize("command", ["info version", "info pic", "info mtree", "info registers -a"])
def test_what_it_answers_is_text_of_whole_lines(resting, command):
    text = answer(resting.layout, command)
    assert isinstance(text, str)
    assert text.endswith("\n") or not text


@pytest.mark.parametrize("command", ["", "quit", "info", "system_reset", "xp /8xb 0x0", "\x00"])
def test_what_it_does_not_know_changes_nothing(resting, command):
    before = resting.digest()
    answer(resting.layout, command)
    assert resting.digest() == before
