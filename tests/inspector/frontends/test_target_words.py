"""Which words of a command line are the target's, and where the command's own begin."""

from __future__ import annotations

import pytest

from inspector.base.errors import TargetError, UsageError
from inspector.frontends.target_words import open_target, parse
from inspector.lab import LabError
from inspector.targets.options import DumpOptions, LiveOptions, SimOptions

ADDRESS = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("words", "target", "rest"),
    [
        ("live", LiveOptions(), ""),
        ("live irt --posted", LiveOptions(), "irt --posted"),
        ("live 127.0.0.1:1 irt", LiveOptions(ADDRESS), "irt"),
        ("live --symbols irt 127.0.0.1:1 regs", LiveOptions(ADDRESS, symbols="irt"), "regs"),
        ("live 127.0.0.1:1 --symbols irt regs", LiveOptions(ADDRESS, symbols="irt"), "regs"),
        ("live --symbols=irt regs --json", LiveOptions(symbols="irt"), "regs --json"),
        ("dump irt irt", DumpOptions("irt"), "irt"),
        ("dump --profile p f pi 0x40", DumpOptions("f", profile="p"), "pi 0x40"),
        ("dump f --profile p pi 0x40", DumpOptions("f", profile="p"), "pi 0x40"),
        ("dump f", DumpOptions("f"), ""),
        ("dump - irt", DumpOptions("-"), "irt"),
        ("sim --scen idle vcpus", SimOptions("idle"), "vcpus"),
        ("sim --scen=idle vcpus", SimOptions("idle"), "vcpus"),
        ("sim --ste 3 run 5 --ev", SimOptions(steps=3), "run 5 --ev"),
        ("sim --json trace --se 5", SimOptions(), "trace --se 5"),
    ],
)
def test_words_for_the_target_and_words_for_the_command(words, target, rest):
    kind, *others = words.split()
    asked = parse(kind, others)
    assert (asked.target, list(asked.words)) == (target, rest.split())


def test_files_that_are_there_are_more_of_the_dump(tmp_path, monkeypatch):
    """Those that stand next to the first one; a command's name is a command, whatever lies there."""
    monkeypatch.chdir(tmp_path)
    for name in ("b", "c", "irt"):
        (tmp_path / name).touch()
    asked = parse("dump", ["a", "b", "c", "--symbols", "c", "irt", "b"])
    assert asked.target == DumpOptions("a", symbols="c", more=("b", "c"))
    assert list(asked.words) == ["irt", "b"]
    assert parse("dump", ["a", "none"]).target == DumpOptions("a")


def test_lines_and_scripts_keep_their_order():
    asked = parse("sim", ["-c", "irt", "--script", "file", "-cinfo"])
    assert [part.__dict__ for part in asked.batch] == [{"text": "irt"}, {"path": "file"}, {"text": "info"}]
    assert not asked.words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sim --se 3 vcpus", "ambiguous option: --se could match --seed, --serve, --seeds"),
        ("sim --seed x vcpus", "'x' is no number"),
        ("dump", "required: FILE"),
        ("live --nonsense irt", "unrecognized arguments: --nonsense"),
    ],
)
def test_what_no_target_takes(words, message):
    kind, *others = words.split()
    with pytest.raises(UsageError, match=message):
        parse(kind, others)


def test_a_simulated_machine():
    with open_target(SimOptions()) as target:
        assert "simulat" in target.description
        assert len(target.read(0, 4)) == 4


def test_a_file(golden):
    with open_target(DumpOptions(str(golden("two-in-guest")))) as target:
        assert str(golden("two-in-guest")) in target.description
        assert list(target.files) == [str(golden("two-in-guest"))]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TargetError, match="cannot be opened"):
        open_target(DumpOptions(str(tmp_path / "none")))


def test_a_bochs_that_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(LabError, match="no HVM lab nope is running"):
        open_target(LiveOptions("bochs:nope"))
