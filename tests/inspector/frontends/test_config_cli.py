"""`vtdpi config`."""

from __future__ import annotations

import json


def test_what_it_prints_is_a_configuration_that_changes_nothing(run, tmp_path, monkeypatch):
    from inspector.shell.config import load

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    printed = run("config")
    assert printed.status == 0
    without = load()
    (tmp_path / "vtdpi").mkdir()
    (tmp_path / "vtdpi" / "config.toml").write_text(printed.out)
    assert load() == without


def test_a_setting_is_kept_told_and_taken_back(run, tmp_path, monkeypatch):
    from inspector.shell.config import load

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run("config", "width", "90").status == 0
    assert load().width == 90
    assert "90" in run("config", "width").out
    assert json.loads(run("config", "width", "--json").out)["settings"] == {"width": "90"}
    assert run("config", "aliases", "v", "vcpus").status == 0
    assert load().aliases == {"v": "vcpus"}
    assert run("config", "--unset", "aliases", "v").status == 0
    assert run("config", "--unset", "width").status == 0
    assert (load().aliases, load().width) == ({}, None)


def test_what_is_no_setting_is_refused_and_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for words in (["more"], ["width", "x"], ["--unset"], ["--json"], ["columns", "nosuch", "A"]):
        assert run("config", *words).status == 2
    assert not list(tmp_path.iterdir())
