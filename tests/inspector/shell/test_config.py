"""The user's configuration: the default, what it may say, and what is told of what it may not."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.shell import settings
from inspector.shell.config import default, keep, load, parse
from inspector.shell.settings import Settings


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the file would be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "vtdpi").mkdir()
    return tmp_path / "vtdpi" / "config.toml"


def test_without_a_file_and_with_the_printed_default_it_is_the_same(place):
    without = load()
    assert not place.exists()
    place.write_text(default())
    assert str(place) in default()
    assert load() == without


def test_what_it_does_not_say_stays_as_it_is():
    changed = parse('keys = "vi"\n[colors]\nprompt = "red"\n[aliases]\np = "irt --posted"', "file")
    plain = parse("", "file")
    assert (changed.keys, changed.aliases) == ("vi", {"p": "irt --posted"})
    assert changed.colors == {**plain.colors, "prompt": "red"}
    assert (changed.pager, changed.bar) == (plain.pager, plain.bar)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keys = ", "is no TOML"),
        ('keys = "nano"', "expected 'emacs' or 'vi'"),
        ('bar = "yes"', "bar is 'yes'; expected a boolean"),
        ("pager = true", "pager is True; expected a string"),
        ("bar = 1", "expected a boolean"),
        ("colors = 1", "expected a table"),
        ("nope = 1", "there is no setting nope"),
        ('[colors]\nsky = "blue"', "there is no setting colors.sky"),
        ("[aliases]\np = 3", "p is 3; expected a string"),
        ("d = 2000-99-99", "file"),
    ],
)
def test_what_it_may_not_say_is_one_line(text, says):
    with pytest.raises(TargetError) as error:
        parse(text, "file")
    assert says in str(error.value)
    assert str(error.value).startswith("file")


def test_a_file_that_cannot_be_read_is_told(place):
    place.write_bytes(b"\xff\xfe")
    with pytest.raises(TargetError, match="cannot be read"):
        load()
    place.unlink()
    place.mkdir()
    with pytest.raises(TargetError, match="cannot be read"):
        load()


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_usage_error(text):
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        with pytest.raises(TargetError):
            parse(text, "file")
    else:
        try:
            found = parse(text, "file")
        except TargetError:
            return
        assert isinstance(found, Settings)


def test_what_is_kept_is_read_and_all_else_stays(place):
    place.write_text('# mine\nkeys = "vi" # as ever\n\n[aliases]\n# short\np = "irt --posted"\n')
    now = load()
    for name, *words in ("width", "100"), ("bar", "off"), ("aliases", "v", "vcpus"), ("columns", "irt", "INDEX"):
        now = settings.changed(now, name, words)
        assert keep(now, name, words[0] if name in settings.tables() else None) == place
        assert load() == now
    text = place.read_text()
    assert text.startswith('# mine\nkeys = "vi" # as ever\n')
    assert '# short\np = "irt --posted"\n' in text
    assert (load().keys, load().aliases) == ("vi", {"p": "irt --posted", "v": "vcpus"})
    now = settings.initially(now, "aliases", "p")
    keep(now, "aliases", "p")
    assert load() == now
    keep(settings.initially(now, "aliases"), "aliases")
    assert load().aliases == {}
    assert load().keys == "vi"


def test_the_first_thing_that_is_kept_makes_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "new"))
    keep(settings.changed(Settings(), "format", ["csv"]), "format")
    assert load() == Settings(format="csv")


def test_a_file_that_makes_no_sense_is_not_changed(place):
    place.write_text("keys = [")
    with pytest.raises(TargetError, match="is no TOML"):
        keep(Settings(), "width")
    assert place.read_text() == "keys = ["


def test_where_the_file_is_a_link_the_one_it_leads_to_is_changed(place, tmp_path):
    (tmp_path / "mine.toml").write_text("bar = false\n")
    place.symlink_to(tmp_path / "mine.toml")
    keep(Settings(width=90), "width")
    assert place.is_symlink()
    assert load() == Settings(bar=False, width=90)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_alias_is_kept_as_it_is(tmp_path_factory, text, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        now = settings.changed(Settings(), "aliases", [name, text])
        keep(now, "aliases", name)
        assert load() == now
