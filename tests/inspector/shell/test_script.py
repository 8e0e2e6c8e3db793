"""Scripts: lines from -c, from a file and from a pipe, and what they expect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inspector.commands import BUILT_IN, command, load
from inspector.repl.colors import LineLexer
from inspector.repl.grammar import Grammar
from inspector.shell import config, help
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.open_file import open_file

ROOT = Path(__file__).parents[3]
ENTRY = 1 | 0x31 << 16


@pytest.fixture
def machine(image):
    """A machine with entries 0x18 and 0x19."""
    image.entry(0x18, ENTRY, 1 << 18 | 0x0018)
    image.entry(0x19, ENTRY + (1 << 16), 1 << 18 | 0x0020)
    return image.path


def test_lines_run_in_order_and_what_is_not_expected_is_told(machine, run, tmp_path):
    script = tmp_path / "check.vtdpi"
    script.write_text(
        "# what firmware left\n\n"
        f"irt --json > '{tmp_path}/irt.json'   # for later\n"
        "expect irt .units[0].entries[#] == 2\n"
        "expect irt .units[0].entries[index=0x19].vector == 0x32\n"
        "expect irt --device 00:03.0 .units[0].entries[#] != 2\n"
        "expect regs irta .units[0].registers.irta.value == 4194318\n"
        "expect irt .units[0].entries[0].format == remapped\n"
        "regs irta\n"
        "expect irt .units[0].entries[#] > 7\n"
    )
    answer = run("dump", machine, "-c", "irte 0x18", "--script", script, "-c", "irte 0x1a")
    lines = answer.out.splitlines()
    assert answer.status == 1
    assert [line for line in answer.err.splitlines() if line.startswith("vtdpi: ")] == [
        f"vtdpi: {script}:7: expected .units[0].registers.irta.value of `regs irta` == 4194318, found 4194319",
        f"vtdpi: {script}:10: expected .units[0].entries[#] of `irt` > 7, found 2",
        "vtdpi: 2 of 10 lines did not find what they expect",
    ]
    assert answer.err.count("no Xen found") == 1, "a note is told once a session"
    assert "entry 0x18" in lines[0]
    assert [line for line in lines if line.startswith("as expected")] == [
        "as expected: .units[0].entries[#] of `irt` == 2",
        "as expected: .units[0].entries[index=0x19].vector of `irt` == 50",
        "as expected: .units[0].entries[#] of `irt --device 00:03.0` != 2",
        'as expected: .units[0].entries[0].format of `irt` == "remapped"',
    ]
    assert "entry 0x1a" in lines[-1] or "0x1a" in answer.out
    assert len(json.loads((tmp_path / "irt.json").read_text())["units"][0]["entries"]) == 2


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("expect irt units == 1", 2, "is no path"),
        ("expect irt", 2, "expected COMMAND [OPTIONS] PATH SIGN VALUE"),
        ("expect irt .units[0].size < many", 2, '< is for numbers, and "many" is none'),
        ("expect irt .units[0].size =~ (", 2, "is no regular expression"),
        ("expect irtt .x == 1", 2, "No command is called 'irtt'"),
        ("expect irt --nix .x == 1", 2, "unrecognized arguments: --nix"),
        ("irtt", 2, "did you mean irt?"),
        ("pi 0x7000000000", 3, "0x7000000000"),
        ("irt > /nowhere/x", 2, "/nowhere/x cannot be written"),
        ("cont", 3, "only a live machine"),
    ],
)
def test_a_line_that_fails_ends_it_and_says_where(line, status, message, machine, run):
    answer = run("dump", machine, "-c", line, "-c", "regs")
    assert (answer.status, answer.out) == (status, "")
    assert answer.err.startswith(f"vtdpi: -c {line!r}: ")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("expect irt .units[0].entries[0].vektor == 1", "found no key 'vektor' in .units[0].entries[0]; there are"),
        ("expect irt .units[0].eime == 0", "== 0, found false"),
        ("expect irt .units[0].size < 3", "< 3, found 65536"),
        ("expect irt .units[0].entries[0].format < 3", '< 3, found "remapped"'),
        ("expect irt .units[0].entries[0].vector in 0x30,0x32", 'in "0x30,0x32", found 49'),
        ("expect irt .units[0].entries[0].format =~ ^post", '=~ "^post", found "remapped"'),
    ],
)
def test_an_expectation_that_fails_is_told_and_the_rest_is_run(line, message, machine, run):
    answer = run("dump", machine, "-c", line, "-c", "regs irta")
    assert answer.status == 1
    assert "IRTA" in answer.out
    told = [said for said in answer.err.splitlines() if said.startswith("vtdpi: ")]
    assert len(told) == 1
    assert told[0].startswith(f"vtdpi: -c {line!r}: ")
    assert message in told[0]


def test_how_the_lines_went_is_told_to_a_ci_server_too(machine, run, tmp_path):
    report = tmp_path / "report.xml"
    lines = [
        "regs irta",
        "expect irt .units[0].size > 3  # of course",
        "# nothing",
        "expect irt .units[0].size == 3",
        "x",
    ]
    answer = run("dump", machine, *(word for line in lines for word in ("-c", line)), "--junit", report)
    assert answer.status == 1
    suite = ElementTree.parse(report).getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
    }
    cases = [(case.get("name"), [each.tag for each in case]) for case in suite]
    assert cases == [(lines[0], []), (lines[1], []), (lines[3], ["failure"]), ("x", ["error"])]
    assert "found 65536" in suite[2][0].get("message")
    assert suite.get("skipped") == "0"
    assert all(float(case.get("time")) >= 0 for case in suite)
    assert run("dump", machine, "--junit", report, "irt").status == 2


def test_lines_after_the_one_that_ended_the_script_are_told_as_skipped(machine, run, tmp_path):
    report = tmp_path / "junit.xml"
    assert run("dump", machine, "-c", "irt", "-c", "irtt", "-c", "regs", "--junit", report).status == 2
    suite = ElementTree.parse(report).getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "errors", "skipped")} == {
        "tests": "3",
        "errors": "1",
        "skipped": "1",
    }
    assert [[each.tag for each in case] for case in suite] == [[], ["error"], ["skipped"]]
    assert run("dump", machine, "-c", "irt", "-c", "quit", "-c", "regs", "--junit", report).status == 0
    assert [[each.tag for each in case] for case in ElementTree.parse(report).getroot()[0]] == [[]]


def test_quit_and_help(machine, run):
    answer = run("dump", machine, "-c", "help irte", "-c", "quit", "-c", "nonsense")
    assert answer.status == 0
    assert "irte 0x18" in answer.out
    assert "vtdpi dump" not in answer.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--script", "/nowhere"], 3, "the script /nowhere cannot be read: No such file"),
        (["--script", "/bin/true"], 3, "is no text"),
        (["--script", "/dev/zero"], 3, "the script /dev/zero has more than 16 MiB"),
        (["-c", "irt", "regs"], 2, "stands beside -c or --script"),
    ],
)
def test_scripts_that_are_none(words, status, message, machine, run):
    answer = run("dump", machine, *words)
    assert answer.status == status
    assert message in answer.err


def piped(machine, lines, tmp_path, **environment):
    """What `vtdpi` answers to lines from a pipe."""
    home = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "inspector.frontends.cli", "dump", str(machine)]
    return subprocess.run(
        words, input=lines, env={**os.environ, **home, **environment}, capture_output=True, text=True, timeout=30
    )


@pytest.mark.thorough
def test_a_pipe_brings_plain_lines(machine, tmp_path):
    answer = piped(machine, "irt --posted\nirtt\n\nregs irta | head -1\n", tmp_path)
    assert answer.returncode == 2
    assert "2 present" in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("unit 0 at 0xfed90000: IRTA at offset 0xb8 is 0x40000f")
    assert ">" not in answer.stdout
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "vtdpi: did you mean irt? No command is called 'irtt'" in answer.stderr
    assert not (tmp_path / "vtdpi/history").exists()
    assert piped(machine, "", tmp_path).returncode == 0
    assert "\x1b[1m" in piped(machine, "regs irta\n", tmp_path, FORCE_COLOR="1").stdout


def test_the_default_configuration_is_what_is_printed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    before = config.load()
    printed = run("config").out
    assert str(tmp_path / "vtdpi/config.toml") in printed
    config.path().parent.mkdir()
    config.path().write_text(printed)
    assert config.load() == before
    assert set(tomllib.loads(printed)) == set(vars(before))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pager = ", "is no TOML"),
        ("pagr = ''", "there is no setting pagr"),
        ("bar = 1", "bar is 1; expected a boolean"),
        ("keys = 'vim'", "keys is 'vim'; expected 'emacs' or 'vi'"),
        ("aliases = 3", "aliases is 3; expected a table"),
        ("[aliases]\nx = 1", "x is 1; expected a string"),
        ("[colors]\nnone = 'red'", "there is no setting colors.none"),
    ],
)
def test_a_configuration_that_makes_no_sense(text, message, machine, tmp_path):
    (tmp_path / "vtdpi").mkdir()
    (tmp_path / "vtdpi/config.toml").write_text(text)
    answer = piped(machine, "irt\n", tmp_path)
    assert answer.returncode == 3
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_examples_are_lines_of_a_session(name):
    """Every example in a command's help is a line that its own parser takes, and the help shows it so."""
    from inspector.shell import line

    shown = help.answer([name]).document["help"]
    assert load(name).examples
    for example in load(name).examples:
        for text in example.of_session().splitlines():
            assert text in shown
            assert command.parse(line.parse(text).words).command.name in BUILT_IN
    assert "vtdpi sim" not in shown


@pytest.mark.parametrize("text", ["irt --posted | less", "irte 0x18 'a b", "nonsense --x", "# only", "", "  irt # x"])
def test_colours_lose_no_character(text):
    from prompt_toolkit.document import Document

    grammar = Grammar()
    styled = LineLexer(lambda: grammar, ()).lex_document(Document(text))(0)
    assert "".join(part[1] for part in styled) == text


def test_a_session_looks_afresh_only_when_the_machine_has_moved(machine):
    with Session(Opening(lambda: open_file(machine))) as session:
        first = session.inspection
        assert session.inspection is first
        session.target.generation += 1
        assert session.inspection is not first


def test_several_commands_of_a_line_and_of_a_file(run, tmp_path):
    script = tmp_path / "lines"
    script.write_text("step\nrun 5\n")
    ran = run("sim", "-c", f"repeat 2 run 3; source '{script}'; vcpus | head -1")
    assert ran.status == 0
    assert ran.out.count("3 steps") == 2
    assert ran.out.count("5 steps") == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [("info | false", 1), ("info | exit 7", 7), ("!exit 5", 5), ("!true", 0), ("info | head -1; !exit 3", 3)],
)
def test_a_shell_command_gives_its_status(line, status, run):
    assert run("sim", "-c", line).status == status


@pytest.mark.parametrize(
    "line", ["source", "source a b", "source /nowhere", "repeat", "repeat x step", "repeat 2", "!"]
)
def test_what_the_shell_does_not_take(line, run):
    ran = run("sim", "-c", line)
    assert ran.status == (3 if "/nowhere" in line else 2)
    assert ran.err.count("\n") == 1


def test_files_that_source_one_another_end(run, tmp_path):
    script = tmp_path / "lines"
    script.write_text(f"source {script}\n")
    assert "source one another" in run("sim", "--script", script).err


def test_a_command_without_a_target_is_told_where_targets_stand(run):
    ran = run("vcpus", "d1v0")
    assert ran.status == 2
    assert "`vtdpi sim vcpus d1v0`" in ran.err
    assert run("vcpuss").err.startswith("vtdpi: did you mean vcpus? ")
    assert "every vCPU" in run("sim", "--help").out
