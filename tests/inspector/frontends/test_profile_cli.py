"""`vtdpi profile`, as a user types it. Of a real xen-syms: tests/live, and tests/inspector/profiles."""

from __future__ import annotations

import json

import pytest

from inspector.profiles import store


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_known_ones(run):
    told = run("profile", "list")
    assert (told.status, told.err) == (0, "")
    rows = [line.split() for line in told.out.splitlines()]
    assert {row[0] for row in rows} == {profile.build_id for profile in store.known()}
    assert all(row[1] == "Xen" for row in rows)


@pytest.mark.parametrize("part", [8, 40])
def test_one_by_the_start_of_its_build_id_is_what_it_is(run, part):
    profile = next(iter(store.known()))
    told = run("profile", "show", profile.build_id[:part])
    assert told.status == 0
    assert json.loads(told.out) == profile.document


def test_one_in_a_file(run, tmp_path):
    profile = next(iter(store.known()))
    path = tmp_path / "own.json"
    path.write_text(json.dumps(profile.document))
    assert json.loads(run("profile", "show", path).out) == profile.document


def test_layouts_of_builds_are_bundled_from_their_profiles(run, tmp_path):
    profile = next(iter(store.known()))
    path, output = tmp_path / "own.json", tmp_path / "layouts.json"
    path.write_text(json.dumps(profile.document))
    told = run("profile", "bundle", output, f"{path}=Debian")
    assert (told.status, told.out) == (0, f"Xen {profile.version}, build-id {profile.build_id}: Debian\n")
    assert profile.build_id in output.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "no-such-build"), "no-such-build"),
        (("show", "/no/profile.json"), "/no/profile.json"),
        (("make", "/no/xen-syms"), "/no/xen-syms"),
        (("make", __file__), "test_profile_cli.py"),
        (("bundle", "/no/where/layouts.json", "/no/build.json=x"), "/no/build.json"),
    ],
)
def test_what_cannot_be_is_one_line(run, words, said):
    told = run("profile", *words)
    assert told.status in (2, 3)
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


def test_which_command(run):
    told = run("profile")
    assert told.status == 2
    assert "COMMAND" in told.err
