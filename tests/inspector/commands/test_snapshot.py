"""`snapshot NAME`, and what `diff NAME` says after it."""

from __future__ import annotations

import json

IDLE = ("sim", "--scenario", "idle")


def lines(*commands):
    return [word for command in commands for word in ("-c", command)]


def changed(out):
    """Subject and field of each change, of the last JSON."""
    return {(each["subject"], each["field"]) for each in json.loads(out.splitlines()[-1])["changes"]}


def test_diff_tells_what_has_changed_since(run):
    ran = run(*IDLE, *lines("run", "snapshot before", "diff before", "block d1v0", "diff before --json"))
    assert ran.status == 0, ran.err
    assert "kept as before: `diff before` tells what has changed since\nno difference\n" in ran.out
    assert ("d1v0", "pi.nv") in changed(ran.out)


def test_two_names_and_one_given_again(run):
    words = ("run", "snapshot a", "block d1v0", "snapshot b", "undo", "diff a b --json")
    ran = run(*IDLE, *lines(*words))
    assert ran.status == 0, ran.err
    assert ("d1v0", "pi.nv") in changed(ran.out)
    ran = run(*IDLE, *lines(*words[:-1], "snapshot b", "diff a b"))
    assert ran.out.endswith("no difference\n")


def test_the_list(run, image):
    ran = run("dump", image.path, *lines("snapshot", "snapshot one", "snapshot two", "snapshot --json"))
    assert ran.out.startswith("no snapshots; `snapshot NAME` keeps one\n")
    assert json.loads(ran.out.splitlines()[-1])["snapshots"] == ["one", "two"]


def test_a_name_comes_before_a_file_and_a_file_without_one_is_still_read(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(*IDLE, *lines("run", "save then", "block d1v0", "snapshot then", "diff then", "diff ./then --json"))
    assert ran.status == 0, ran.err
    assert "no difference\n" in ran.out
    assert ("d1v0", "pi.nv") in changed(ran.out)


def test_what_was_never_kept(run):
    ran = run(*IDLE, "diff", "nothing")
    assert ran.status == 3
    assert "nothing" in ran.err


def test_registers_are_in_hexadecimal(run):
    ran = run(*IDLE, *lines("run", "snapshot before", "block d1v0 --later", "run 9", "diff before"))
    told = {line.split()[2]: line.split()[3:] for line in ran.out.splitlines() if line.startswith("CPU 0")}
    assert {"rip", "rsp", "cs", "cr3"} <= told.keys()
    assert all(value.startswith("0x") for name in ("rip", "rsp", "cs", "cr3") for value in told[name])
