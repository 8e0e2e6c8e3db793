"""A history as text."""

from __future__ import annotations

import io
import re

import pytest

from inspector.explore.steps import actors, read
from inspector.explore.table import blocks, changes, groups, number, said
from inspector.model.answer import Answer
from inspector.views.terminal import Screen
from inspector.views.text import show

from .histories import MAKERS


class TestTable:
    def test_it_fits_100_columns_up_to_the_audit(self, reading, told):
        text = told(reading)
        assert "\x1b" not in text
        table = text[text.index(" STEP") : text.index("after the last step")]
        assert max(map(len, table.splitlines())) <= 100

    @pytest.mark.parametrize("width", [40, 60, 79, 80, 100])
    def test_no_word_is_folded_and_nothing_is_lost_in_a_narrow_page(self, reading, width):
        out = io.StringIO()
        show(Answer({}, blocks(reading, width=width)), out, Screen(width))
        table = out.getvalue().partition("STEP")[2].partition("after the last step")[0]
        assert max(map(len, table.splitlines())) <= width
        words = set(table.split())
        for group in groups(reading.steps):
            assert {number(group), *said(group).split()} <= words
            assert set(" ".join(changes(reading, group)).split()) <= words

    def test_what_is_seen_has_a_row_and_the_rest_shares_one(self, reading):
        rows = groups(reading.steps)
        assert sorted(step.number for row in rows for step in row) == [step.number for step in reading.steps]
        assert all(len(row) == 1 for row in rows if row[0].visible)
        assert all(len({step.actor for step in row}) == 1 for row in rows)
        assert len(rows) < len(reading.steps)

    def test_every_step_has_a_row_if_asked_for(self, history, reading, told):
        numbers = re.findall(r"^ +(\d+)  \s*\S", told(reading, every_step=True), re.MULTILINE)
        assert numbers == [str(number) for number in range(1, len(history.moves) + 1)]

    def test_words_begin_in_their_actors_column(self, reading, told):
        lines = told(reading, every_step=True).splitlines()
        head = next(line for line in lines if line.lstrip().startswith("STEP"))
        for actor in actors(reading):
            name = actor.removeprefix("device ").removeprefix("VT-d ").replace("store buffer of CPU", "buffer")
            numbers = [step.number for step in reading.steps if step.actor == actor]
            row = next(line for line in lines if line.split(maxsplit=1)[:1] == [str(numbers[0])])
            place = head.index(name)
            words = reading.steps[numbers[0] - 1].function.split()[0]
            assert row[place:].startswith(words) or row.index(words) <= place

    def test_a_post_that_sets_no_on_says_so(self, strandeds, told):
        assert "d1v0 pir +0x30, on stays 0" in told(strandeds)

    def test_store_buffers(self, told):
        text = told(read(MAKERS["buffered"]()))
        assert "nv 0xf2 -> 0xf3, in its store" in text
        assert "buffer 0" in text
