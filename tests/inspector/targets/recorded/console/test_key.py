"""Where an answer begins, and what needs no beginning."""

from __future__ import annotations

import re

import pytest

from inspector.targets.recorded.console import key_domains, key_irq, key_msi, key_pci
from inspector.targets.recorded.console.key import always_whole, at, never

KEYS = [module.KEY for module in (key_domains, key_irq, key_msi, key_pci)]


def test_an_answer_begins_with_a_line_of_its_own():
    begins = at(r"'V' pressed|Guest interrupt")
    assert begins("'V' pressed -> dumping", [])
    assert begins("Guest interrupt information:", ["whatever", "came", "before"])
    assert not begins("x 'V' pressed", []), "at the line's beginning"
    assert not begins("", [])


def test_messages_that_come_one_by_one_are_all_one_answer():
    assert never("any", []) is never("", ["x"]) is False
    assert always_whole(object(), None) is None
    assert always_whole(object(), object()) is None


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_knows_its_own_beginning_and_no_others(key, data):
    """In every log of the tests: a line that begins a key's answer belongs to it, and begins no other key's."""
    lines = set()
    for path in sorted((data / "field/logs").iterdir()):
        lines.update(re.sub(r"^.*?\(XEN\) (\[[^]]*\] )?", "", line) for line in path.read_text("latin-1").splitlines())
    beginnings = [line for line in lines if key.begins(line, ())]
    assert beginnings
    for line in beginnings:
        assert key.belongs.match(line), line
        assert not [other.name for other in KEYS if other is not key and other.begins(line, ())], line
