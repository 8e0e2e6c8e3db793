"""`set`, `unset` and `show`, typed in a session."""

from __future__ import annotations

import json

import pytest

from inspector.shell import config, settings


def test_what_is_set_holds_for_the_lines_after_it(run):
    ran = run("sim", "-c", "set format csv; vcpus; vcpus --format table; unset format; vcpus")
    lines = ran.out.splitlines()
    assert ran.status == 0
    assert lines[1].split()[:2] == ["format", "csv"]
    assert "VCPU,STATE,CPU,DESCRIPTOR,PIR,ON,SN,NV,NDST,LIST,SITUATION,VERDICT" in lines
    assert sum(line.startswith("VCPU  ") for line in lines) == 2
    assert sum(line.startswith("d1v0,") for line in lines) == 1


def test_what_has_no_table_is_shown_as_always(run):
    plain = run("sim", "-c", "run 3")
    assert run("sim", "-c", "set format markdown", "-c", "run 3").out.endswith(plain.out)


def test_columns_of_one_command(run):
    lines = run("sim", "-c", "set columns vcpus VCPU,ON; vcpus; blocked").out.splitlines()
    assert "VCPU  ON" in lines
    assert "SN" in run("sim", "-c", "set columns vcpus VCPU,ON; vcpus --columns SN").out.splitlines()
    assert run("sim", "-c", "set columns vcpus NIX; vcpus").status == 2


def test_json_by_a_setting_is_json_of_every_line(run):
    lines = run("sim", "-c", "set format json; show width; vcpus; run 2; history").out.splitlines()
    schemas = [json.loads(line)["schema"] for line in lines[-4:]]
    assert schemas == ["vtdpi/show/3", "vtdpi/vcpus/3", "vtdpi/run/3", "vtdpi/lines/3"]


def test_show_tells_every_setting_as_it_is(run):
    shown = run("sim", "-c", "set aliases v vcpus", "-c", "show --json").out.splitlines()[-1]
    document = json.loads(shown)["settings"]
    assert list(document) == list(settings.settings())
    assert document["aliases"] == {"v": "vcpus"}
    text = run("sim", "-c", "show").out
    assert all(f"\n{name}" in text for name in settings.settings())


def test_an_alias_holds_at_once(run):
    ran = run("sim", "-c", "set aliases v 'vcpus --columns VCPU'; v")
    assert "VCPU" in ran.out.splitlines()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("set widht 3", "did you mean width?"),
        ("set keys nano", "keys: expected 'emacs' or 'vi'"),
        ("show a b", "expected one setting"),
        ("unset", "expected a setting"),
    ],
)
def test_what_is_wrong_is_one_line(run, line, says):
    ran = run("sim", "-c", line)
    assert ran.status == 2
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


def test_what_is_kept_is_the_configuration_of_the_next_prompt(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    ran = run("sim", "-c", "set --keep width 90; set confirm off")
    assert f"note: kept in {config.path()}" in ran.err
    assert (config.load().width, config.load().confirm) == (90, True)
    run("sim", "-c", "unset width --keep")
    assert config.load().width is None


def test_scripts_do_not_depend_on_the_users_configuration(run, tmp_path, monkeypatch):
    before = run("sim", "-c", "vcpus").out
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run("config", "format", "csv").status == 0
    assert run("sim", "-c", "vcpus").out == before
