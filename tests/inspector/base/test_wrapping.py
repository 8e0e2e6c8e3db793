"""Long lines are broken between words, and nothing of them is lost."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from inspector.base import wrapping
from inspector.base.wrapping import wrapped

words = st.lists(st.text("abc0x-.:/", min_size=1, max_size=30), min_size=1, max_size=20)


def test_the_examples():
    assert doctest.testmod(wrapping).failed == 0


@given(words, st.integers(20, 80))
def test_every_word_stays_whole_and_in_its_place(words, width):
    lines = wrapped(" ".join(words), width).split("\n")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)


def test_what_fits_and_what_is_for_no_terminal_is_as_it_was():
    text = "  a   b\n\tc"
    assert wrapped(text, 80) == text
    assert wrapped("word " * 100, None) == "word " * 100


def test_a_list_item_goes_on_below_itself():
    assert wrapped("    one two three", 12).split("\n") == ["    one two", "      three"]
