"""What may stand where in a line, of the commands as they are declared."""

from __future__ import annotations

import pytest

from inspector import commands
from inspector.commands.choosing import FORMATS
from inspector.repl.grammar import COMMAND, FILE, SUMMARIES, Grammar, Option, Syntax, Value
from inspector.shell import opening, settings
from inspector.shell.help import OF_THE_SHELL


@pytest.fixture(scope="module")
def grammar():
    return Grammar()


def test_it_knows_every_command_and_every_word_has_a_summary(grammar):
    assert set(grammar.commands) == set(commands.names()) | set(OF_THE_SHELL)
    assert set(grammar.summaries) == set(grammar.commands)
    assert set(SUMMARIES) <= set(grammar.summaries)


def test_every_command_can_answer_in_json(grammar):
    for name in commands.names():
        assert "--json" in grammar.commands[name].options


def test_words_that_begin_with_no_command(grammar):
    assert grammar.at([]) is None
    assert grammar.at(["nope", "--json"]) is None


def test_an_option_that_takes_a_value_is_followed_by_it(grammar):
    syntax, plain = grammar.at(["irt"])
    unit = syntax.options["--unit"].value
    assert unit is not None
    assert grammar.at(["irt", "--unit"])[1] is unit
    assert grammar.at(["irt", "--unit", "0"])[1] == plain
    # One that takes none is followed by whatever comes next.
    assert syntax.options["--posted"].value is None
    assert grammar.at(["irt", "--posted"])[1] == plain


def test_an_option_may_be_shortened_and_may_bring_its_value(grammar):
    syntax, plain = grammar.at(["irt"])
    unit = syntax.options["--unit"].value
    assert grammar.at(["irt", "--uni"])[1] is unit
    assert grammar.at(["irt", "--uni", "0"])[1] == plain
    for whole in ("--unit=0", "--uni=0", "--post", "--", "--nonsense"):
        assert grammar.at(["irt", whole])[1] == plain
    for word in ("--unit", "--uni", "--uni=0"):
        assert syntax.unused(["irt", word]).keys() == syntax.options.keys() - {"--unit"}
    assert syntax.unused(["irt", "--"]).keys() == syntax.options.keys()


def test_a_command_within_a_command_is_completed_as_itself(grammar):
    _, value = grammar.at(["expect"])
    assert value == Value((COMMAND,))
    assert grammar.at(["expect", "irt", "--unit"]) == grammar.at(["irt", "--unit"])
    assert grammar.at(["expect", "nope"]) is None


def test_a_word_that_another_follows(grammar):
    """`route irte 3`: what follows `irte` is no device."""
    syntax, first = grammar.at(["route"])
    assert "irte" in first.keywords
    assert grammar.at(["route", "irte"])[1] is first.keywords["irte"]
    assert syntax is grammar.commands["route"]


def test_settings_complete_from_their_list(grammar):
    assert grammar.at(["set"])[1].choices == tuple(settings.settings())
    assert grammar.at(["set", "format"])[1].choices == FORMATS
    assert grammar.at(["set", "--keep", "bar"])[1].choices == ("on", "off")
    assert grammar.at(["set", "columns"])[1].kinds == (COMMAND,)
    assert "prompt" in grammar.at(["set", "colors"])[1].choices
    assert grammar.at(["show"])[1].choices == grammar.at(["unset"])[1].choices == tuple(settings.settings())


def test_what_open_opens_completes_with_its_own_options(grammar):
    assert grammar.at(["open"])[1].choices == tuple(opening.KINDS)
    assert grammar.at(["open", "sim"])[1].kinds == ("SCENARIO",)
    assert FILE in grammar.at(["open", "dump"])[1].kinds
    assert FILE in grammar.at(["open", "log", "--boot", "2"])[1].kinds
    assert "--seed" in grammar.at(["open", "sim"])[0].options
    assert "--serve" not in grammar.at(["open", "sim"])[0].options
    assert "--qmp" in grammar.at(["open", "live"])[0].options
    assert grammar.at(["open", "nosuch"])[0].options == {}


def test_files_are_files(grammar):
    assert FILE in grammar.at(["save"])[1].kinds


def test_the_last_word_repeats_only_if_it_may():
    one, two = Value(("a",)), Value(("b",))
    once, more = Syntax({"-x": Option("x", None)}, [one, two]), Syntax({}, [one, two], more=True)
    assert [once.word(n) for n in range(4)] == [one, two, None, None]
    assert [more.word(n) for n in range(4)] == [one, two, two, two]
    assert Syntax({}, [], more=True).word(0) is None
