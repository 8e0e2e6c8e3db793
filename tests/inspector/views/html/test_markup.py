"""Elements: text stays text, whatever it is."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.views.html.markup import html, tag, text, xml


def test_text_between_elements_stays_in_its_place():
    made = tag("p", "one ", tag("b", "two"), " three", " four", None, tag("i"), "five")
    assert ElementTree.tostring(made, encoding="unicode") == "<p>one <b>two</b> three four<i />five</p>"


def test_attributes():
    made = tag("p", class_="a", data_label="b", width=3, aria_hidden=None)
    assert made.attrib == {"class": "a", "data-label": "b", "width": "3"}


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\u202e", "\ud800", "\ufffe", "\x85"])
def test_what_cannot_be_shown_is_made_visible(bad):
    shown = text(f"a{bad}b")
    assert bad not in shown
    assert shown.startswith("a")
    assert shown.endswith("b")
    shown.encode()


def test_line_ends_and_tabs_stay():
    assert text("a\n\tb") == "a\n\tb"


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_comes_back_as_it_is_shown(content, value):
    root = ElementTree.fromstring(xml(tag("p", content, tag("b", content), content, title=value)))
    # XML reads a carriage return, and in an attribute any white space, as what it normalises it to.
    shown = text(content).replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(root.itertext()) == shown * 3
    assert [each.tag for each in root.iter()] == ["p", "b"]
    page = html(tag("p", content))
    assert page.startswith("<!DOCTYPE html>\n<p>")
    assert page.count("<") == 3
