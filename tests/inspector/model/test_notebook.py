"""What a notebook's cell shows is text, whatever the target says."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from inspector.model.notebook import html_table, html_text


class Read(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        assert not attributes
        self.tags.append(tag)

    def handle_data(self, data):
        self.cells.append(data)


@given(st.text())
def test_no_text_becomes_an_element(text):
    assert set(Read(html_table([text], [[text]], text)).tags) <= {"table", "caption", "tr", "th", "td"}
    assert Read(html_text(text)).tags == ["pre"]


def test_a_table():
    read = Read(html_table(["A", "B"], [["1", "<script>"]], "of two"))
    assert read.cells == ["of two", "A", "B", "1", "<script>"]
