"""A lesson as a page: what is on it was answered by the machine."""

from __future__ import annotations

from inspector.learn.lesson import lessons
from inspector.learn.page import LONGEST, page


def test_it_has_the_lines_their_answers_and_what_is_true_then():
    lesson = lessons()["09-the-lost-wakeup"]
    text = page(9, lesson)
    assert text.startswith("# 9. The lost wakeup\n")
    assert "   lesson 9> audit\n" in text
    assert "bug       D5    d1v0" in text
    assert all(claim.say in text for step in lesson.steps for claim in step.then)
    assert "more lines)" in text
    blocks = text.split("```")[1::2]
    assert max(block.count("\n") for block in blocks) <= LONGEST + 4
