"""`vtdpi config`."""

from __future__ import annotations


def test_what_it_prints_is_a_configuration_that_changes_nothing(run, tmp_path, monkeypatch):
    from inspector.repl.config import load

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    printed = run("config")
    assert printed.status == 0
    without = load()
    (tmp_path / "vtdpi").mkdir()
    (tmp_path / "vtdpi" / "config.toml").write_text(printed.out)
    assert load() == without


def test_it_takes_no_words(run):
    assert run("config", "more").status == 2
