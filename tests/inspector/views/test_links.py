"""Links in a terminal: what leads where, and where there are any."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.views.links import Links, are_shown, link, manual, of_file

CODES = re.compile(r"\x1b\]8;;[^\x1b]*\x1b\\")
MANUAL = Links("https://example.org/manual")


def test_short_names_lead_to_the_glossary():
    shown = MANUAL.in_text("d1v2 S8 D5 bug H-A")
    assert link("D5", "https://example.org/manual/glossary.html#d5") in shown
    assert link("S8", "https://example.org/manual/glossary.html#s8") in shown
    assert link("H-A", "https://example.org/manual/glossary.html#h-a") in shown
    assert CODES.sub("", shown) == "d1v2 S8 D5 bug H-A"


def test_what_the_glossary_does_not_have_is_no_link():
    for text in ("D999", "S99", "K77", "d1v2", "0xD5", "XD5"):
        assert MANUAL.in_text(text) == text
    assert Links().in_text("D5") == "D5", "no manual"


def test_a_file_leads_to_itself_and_only_as_a_whole_word():
    links = Links(files={"a": "file://here/a"})
    assert links.in_text("3 vCPUs saved to a") == f"3 vCPUs saved to {link('a', 'file://here/a')}"


def test_an_address_of_a_file_names_the_host_and_hides_nothing():
    address = of_file("/tmp/a b\x1b]8;;\u00e4")
    assert re.fullmatch(r"file://[^/]*/tmp/a%20b%1B%5D8%3B%3B%C3%A4", address)


@given(st.text("DSKH-A0123456789 ab\n\t.:", max_size=60))
def test_nothing_is_lost(text):
    assert CODES.sub("", MANUAL.in_text(text)) == text


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7006"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4999"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "many"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM": "xterm-256color", "WT_SESSION": "0"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm"}, False),
        ({"TERM": "dumb", "VTE_VERSION": "7006"}, False),
        ({"TERM": "linux", "WT_SESSION": "0"}, False),
        ({"TERM": "screen-256color", "VTE_VERSION": "7006"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7006", "TMUX": "/tmp/x"}, False),
        ({}, False),
        ({"TERM": "dumb", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
    ],
)
def test_which_terminals_have_them(environment, shown):
    assert are_shown(True, environment) is shown


def test_a_pipe_has_none_unless_forced():
    assert not are_shown(False, {"TERM": "xterm-kitty"})
    assert are_shown(False, {"TERM": "xterm-kitty", "FORCE_HYPERLINK": "1"})


def test_where_the_manual_is(tmp_path):
    assert manual("https://example.org/x/") == "https://example.org/x"
    assert manual(str(tmp_path)) == "", "nothing was built there"
    (tmp_path / "glossary.html").touch()
    assert manual(str(tmp_path)) == of_file(str(tmp_path))
    built = Path(__file__).parents[3] / "docs" / "_build"
    assert bool(manual("")) == (built / "glossary.html").is_file()
