"""Text of others reaches nobody's terminal as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.foreign_text import one_line, visible

anything = st.text(st.characters(codec=None, categories=None))


@given(anything)
def test_nothing_is_left_that_a_terminal_obeys(text):
    assert all(c.isprintable() or c in "\n\t" for c in visible(text))
    assert one_line(text).isprintable()


@given(anything)
def test_what_is_shown_can_be_written_in_utf_8_and_is_shown_once(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_people_write_stays(text):
    assert visible(text) == one_line(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb", r"a\rb"),
        ("\x9b31m", r"\x9b31m"),
        ("\udc80", r"\udc80"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        ("\x7f\x00", r"\x7f\x00"),
        ("Grüße, 世界 ✖", "Grüße, 世界 ✖"),
    ],
)
def test_examples(text, shown):
    assert visible(text) == shown
