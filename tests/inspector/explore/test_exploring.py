"""`vtdpi explore`, as a user types it."""

from __future__ import annotations

import json

import pytest

from inspector.frontends.cli import main
from inspector.model.hex_members import numbers
from sim_backend.explore.threads import spread

from ..conftest import check_schema

H_A = ["explore", "h-a", "--blocks", "0"]
"""A post while a vCPU is preempted, and nothing else."""


def printed(capsys):
    """The document that was printed, which is as its schema says."""
    document = json.loads(capsys.readouterr().out)
    check_schema(document)
    return numbers(document)


def test_a_property_is_broken_and_its_shortest_history_shown(capsys):
    assert main(H_A) == 1
    out = capsys.readouterr().out
    assert "exhausted" in out
    assert "NOT" not in out
    rows = dict(map(_row, out.splitlines()))
    assert rows["no stranded interrupt"].startswith("broken, after")
    assert rows["no lost wakeup"] == rows["Xen does not crash"] == "holds"
    assert "on stays 0" in out


def _row(line):
    words = [word.strip() for word in line.split("  ") if word.strip()]
    return (words[1], words[2]) if len(words) == 3 else (line, "")


def test_the_repair_mends_it(capsys):
    assert main([*H_A, "--repair", "repair-linux-sn"]) == 0
    out = capsys.readouterr().out
    assert "broken" not in out
    assert "current with repair-linux-sn" in out


@pytest.mark.thorough
def test_json(capsys):
    assert main([*H_A, "--json"]) == 1
    document = printed(capsys)
    assert document["exhausted"] is True
    assert document["states"] > 1000
    verdicts = {each["name"]: each for each in document["properties"]}
    broken = [name for name, each in verdicts.items() if each["verdict"] == "broken"]
    assert broken == ["no stranded interrupt"]
    assert {"turn": "CPU 0"} in verdicts["no stranded interrupt"]["moves"]
    assert verdicts["restored before VM entry"]["moves"] is None


@pytest.mark.thorough
def test_a_bug_is_found_in_its_own_scenario_beside_the_same_without_it(capsys):
    assert main(["explore", "--bug", "zoo-12"]) == 1
    out = capsys.readouterr().out
    assert "zoo-12" in out
    assert "ZOO-12: PIR is not looked at when something else is pending. On the way" in out
    assert "Mended by Xen 56348df32b (4.13" in out
    assert "NOT exhausted: a property is broken" in out
    (row,) = (line.split("  ") for line in out.splitlines() if "no stranded interrupt  " in line)
    assert [word.strip() for word in row if word][-2].startswith("broken, after")
    assert row[-1].strip() == "holds"
    assert main(["explore", "zoo-12"]) == 0


@pytest.mark.thorough
def test_what_is_broken_without_the_bug_too_is_not_what_is_shown(capsys):
    """h-o breaks `no lost wakeup` in that scenario; its repair is there both times, unless one is asked for."""
    assert main(["explore", "--bug", "wakes-one", "--json"]) == 1
    document = printed(capsys)
    assert document["version"] == "current with repair-wake-all, wakes-one"
    verdicts = {each["name"]: (each["verdict"], each["without"]) for each in document["properties"]}
    assert verdicts["no lost wakeup"] == ("broken", "holds")
    assert verdicts["no stranded interrupt"][1] == "broken"
    assert main(["explore", "--bug", "wakes-one", "--repair", "repair-linux-sn", "--json"]) == 1
    assert printed(capsys)["version"] == "current with repair-linux-sn, wakes-one"


@pytest.mark.thorough
def test_a_budget_is_told(capsys):
    assert main(["explore", "two-by-two", "--states", "2000"]) == 4
    out = capsys.readouterr().out
    assert "NOT exhausted: budget of 2000 states" in out
    assert "holds" not in out


@pytest.mark.thorough
def test_threads_and_symmetry_change_no_verdict(capsys, monkeypatch):
    monkeypatch.setattr("sim_backend.explore.search.CHUNK", 4)
    shared = []
    monkeypatch.setattr("sim_backend.explore.search.spread", lambda *how: shared.append(how) or spread(*how))

    def verdicts(*options):
        main(["explore", "h-o", "--json", *options])
        found = printed(capsys)["properties"]
        return [(each["name"], each["verdict"]) for each in found]

    assert verdicts() == verdicts("--no-symmetry") == verdicts("--threads", "2")
    assert shared


OWN = """
from sim_backend.explore.properties import always, sometimes

@always
def d1v0_stays_on_cpu_0(m):
    return m.memory.u32(m.vcpu("d1v0") + m.o.processor) == 0

@sometimes
def d1v0_is_off_its_cpu(m):
    return not m.memory.u8(m.vcpu("d1v0") + m.o.is_running)
"""


@pytest.mark.thorough
def test_properties_of_a_users_own(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text(OWN)
    main([*H_A, "--property", str(own), "--show", "d1v0 is off its cpu"])
    rows = dict(map(_row, capsys.readouterr().out.splitlines()))
    assert rows["d1v0 stays on cpu 0"] == "holds"


@pytest.mark.parametrize(
    "text",
    ["def x(:", "1/0", "x = 1", "from sim_backend.explore.properties import always\n@always\ndef p(m): m.nothing"],
)
def test_a_bad_file_of_properties_is_one_line(text, tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text(text)
    assert main([*H_A, "--property", str(own)]) == 3
    assert capsys.readouterr().err.count("\n") == 1
