"""The one list of what a user sets."""

from __future__ import annotations

from dataclasses import fields

import pytest

from inspector.base.errors import UsageError
from inspector.commands.choosing import FORMATS
from inspector.shell import settings
from inspector.shell.settings import Settings, changed, choices, initially, meant, shown, value_of
from inspector.views.terminal import Wanted

SCALARS = [name for name in settings.settings() if name not in settings.tables()]


def test_every_field_is_a_setting_with_words_about_it():
    assert list(settings.settings()) == [each.name for each in fields(Settings)]
    assert all(each.help for each in settings.settings().values())
    assert set(choices("format")) == set(FORMATS)


@pytest.mark.parametrize("name", SCALARS)
def test_what_is_shown_can_be_set(name):
    for value in (settings.initial(name), *(value_of(name, word) for word in choices(name))):
        assert value_of(name, shown(value)) == value
        assert getattr(changed(Settings(), name, [shown(value)]), name) == value


def test_words_are_one_value_and_a_switch_alone_is_on():
    assert changed(Settings(), "pager", ["less", "-R"]).pager == "less -R"
    assert changed(Settings(), "pager", [""]).pager == ""
    assert changed(Settings(bar=False), "bar", []).bar is True
    assert changed(Settings(), "width", ["0"]).terminal == Wanted(width=0)


def test_entries_of_tables_come_and_go():
    now = changed(Settings(), "aliases", ["posted", "irt", "--posted"])
    now = changed(now, "aliases", ["v", "vcpus"])
    assert now.aliases == {"posted": "irt --posted", "v": "vcpus"}
    assert initially(now, "aliases", "v").aliases == {"posted": "irt --posted"}
    assert initially(now, "aliases") == Settings()
    red = changed(now, "colors", ["prompt", "red"])
    assert initially(red, "colors", "prompt").colors == Settings().colors
    assert Settings().aliases == {}, "the default is nobody's to change"


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("width", [], "set width to what? Expected auto"),
        ("width", ["-3"], "expected auto or a number of columns, not '-3'"),
        ("bar", ["yes"], "bar: expected on or off, not 'yes'"),
        ("format", ["xml"], "format: expected 'table' or"),
        ("aliases", ["p"], "set which of the aliases, and to what?"),
        ("columns", ["nosuch", "A"], "no command that answers with tables is called 'nosuch'"),
        ("columns", ["step", "A"], "no command that answers with tables is called 'step'"),
        ("colors", ["sky", "blue"], "there is no setting colors.sky"),
    ],
)
def test_what_it_does_not_take(name, words, says):
    with pytest.raises(UsageError) as error:
        changed(Settings(), name, words)
    assert says in str(error.value)


def test_a_name_may_be_shortened_as_long_as_it_is_one():
    assert (meant("wid"), meant("color"), meant("pager")) == ("width", "color", "pager")
    with pytest.raises(UsageError, match="may be color or confirm or completion or columns or colors"):
        meant("co")
    with pytest.raises(UsageError, match=r"did you mean width\?"):
        meant("widht")
    with pytest.raises(UsageError, match="there are pager"):
        meant("")


def test_an_entry_that_is_not_there():
    with pytest.raises(UsageError, match="aliases has no entry 'p'"):
        initially(Settings(), "aliases", "p")
    with pytest.raises(UsageError, match="width has no entry '3'"):
        initially(Settings(), "width", "3")
