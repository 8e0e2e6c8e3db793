"""What may stand at the end of a line, without a terminal. In one: test_prompt.py."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from inspector.repl.completer import FILTERS, MOST, LineCompleter
from inspector.repl.grammar import SUMMARIES, Grammar
from inspector.repl.objects import Objects

VCPUS = Objects([("d1v0", "running, CPU 0"), ("d1v1", "blocked"), ("d2v0", "runnable")])


@pytest.fixture(scope="module")
def grammar():
    return Grammar()


@pytest.fixture
def complete(grammar):
    """Call it with a line's beginning for what may follow: text, and what is said of it."""

    def run(text, objects=VCPUS, known=grammar, aliases=()):
        completer = LineCompleter(lambda: known, lambda kind: objects, lambda kind: False, dict(aliases))
        found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
        return {text[: len(text) + one.start_position] + one.text: one.display_meta_text for one in found}

    return run


def test_a_commands_name(complete):
    assert complete("") == dict(sorted(SUMMARIES.items()))
    assert complete("aud") == {"audit": SUMMARIES["audit"]}
    assert complete("nothing") == {}


def test_an_alias_is_a_command_too_and_stands_for_its_words(complete):
    aliases = {"who": "pi"}
    assert complete("wh", aliases=aliases) == {"who": "alias of pi"}
    assert complete("who d1v", aliases=aliases).keys() == {"who d1v0", "who d1v1"}


def test_a_command_takes_its_objects_then_its_options(complete):
    found = complete("pi ")
    assert list(found)[:3] == ["pi d1v0", "pi d1v1", "pi d2v0"]
    assert found["pi d1v1"] == "blocked"
    assert "pi --json" in found
    assert complete("pi d2") == {"pi d2v0": "runnable"}


def test_options_once_and_no_objects_among_them(complete):
    assert "irt --posted" in complete("irt --")
    assert "irt --posted --posted" not in complete("irt --posted --")
    assert all(name.startswith("irt --posted --") for name in complete("irt --posted --"))
    assert not any(name.endswith("--help") for name in complete("irt --"))
    assert complete("nonsense --") == {}


def test_help_takes_a_command(complete):
    assert complete("help aud") == {"help audit": SUMMARIES["audit"]}


def test_behind_a_pipe_stand_filters_and_behind_their_name_nothing(complete):
    assert complete("irt | ") == {f"irt | {name}": words for name, words in FILTERS.items()}
    assert complete("irt | gr") == {"irt | grep": "the lines that match"}
    assert complete("irt | grep po") == {}


def test_behind_a_redirection_stand_files(complete, tmp_path, monkeypatch):
    (tmp_path / "out.txt").touch()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    assert set(complete("irt > o")) == {"irt > out.txt", "irt > other"}
    assert set(complete(f"irt >> {tmp_path}/ou")) == {f"irt >> {tmp_path}/out.txt"}
    assert "save out.txt" in complete("save ")


def test_a_quoted_bar_is_no_pipe_and_what_is_not_known_completes_to_nothing(complete):
    assert complete("pi ", known=None) == {}
    assert complete("pi d1", objects=None) == {}
    assert "irt" in complete("ir", known=None), "the commands' names are always known"


def test_a_menu_is_not_longer_than_anybody_reads(complete):
    many = Objects((f"d1v{number:05}", "") for number in range(MOST + 1))
    found = complete("pi d1v", objects=many)
    assert len(found) == MOST + 1
    assert found["pi d1v"] == f"there are {MOST + 1:,} in all: type on"
    exactly = Objects((f"d1v{number:05}", "") for number in range(MOST))
    assert len(complete("pi d1v", objects=exactly)) == MOST


@pytest.mark.parametrize(
    ("text", "known", "reading"),
    [("pi ", None, True), ("pi ", "grammar", True), ("pi -", "grammar", False), ("pi", None, False)],
)
def test_only_what_is_taken_from_the_machine_is_waited_for(grammar, text, known, reading):
    asked = []
    completer = LineCompleter(
        lambda: grammar if known else None, lambda kind: None, lambda kind: asked.append(kind) or True, {}
    )
    assert completer._is_reading(Document(text)) is reading
    assert bool(asked) is reading
    assert completer._is_reading(Document(text + " | gr")) is False
