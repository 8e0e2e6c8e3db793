"""The typed options of `vtdpi explore`."""

from __future__ import annotations

from dataclasses import fields

import pytest

from inspector.base.arguments import add_arguments, given
from inspector.base.errors import UsageError
from inspector.base.parser import Parser
from inspector.explore.options import BoundOptions, ExploreOptions, ReadOptions, SearchOptions, SwarmOptions


def parsed(*words):
    parser = Parser("x")
    add_arguments(parser, ExploreOptions)
    return given(ExploreOptions, parser.parse_args(words))


def test_nothing_given_is_nothing_bounded():
    assert parsed() == ExploreOptions()
    assert set(BoundOptions().events().values()) == {None}
    assert SearchOptions().memory_bytes == 4 << 30
    assert SearchOptions(memory=0).memory_bytes is None


def test_each_word_is_in_its_section():
    words = ["h-a", "--bug", "a", "--bug=b", "--cpus", "3", "--posts", "-1", "--first", "--mem", "1", "--json"]
    assert parsed(*words, "--swarm", "2", "--html", "h") == ExploreOptions(
        "h-a",
        bug=("a", "b"),
        bounds=BoundOptions(cpus=3, posts=-1),
        search=SearchOptions(first=True, memory=1),
        many=SwarmOptions(2),
        reading=ReadOptions(html="h"),
        json=True,
    )


@pytest.mark.parametrize("name", BoundOptions().events())
def test_each_event_can_be_bounded(name):
    assert parsed(f"--{name}", "2").bounds.events() == {**BoundOptions().events(), name: 2}


@pytest.mark.parametrize("each", [*fields(BoundOptions), *fields(SearchOptions)], ids=lambda each: each.name)
def test_a_number_is_one(each):
    if each.type not in ("bool", "FileName | None"):
        with pytest.raises(UsageError, match="'many' is no number; expected one such as 24 or"):
            parsed(f"--{each.name}", "many")
