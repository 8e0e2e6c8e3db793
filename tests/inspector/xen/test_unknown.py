"""A Xen of which no profile is known."""

from __future__ import annotations

import pytest

from inspector.profiles import layouts, places, symbol_table
from inspector.profiles import store as profiles
from inspector.profiles.symbol_table import SymbolTable
from inspector.targets.open_file import open_file
from inspector.xen.find import find
from inspector.xen.locate import locate
from inspector.xen.unknown import recognise

BUILD_4_20 = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"


@pytest.fixture
def no_profile(monkeypatch):
    """No profile is known."""
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(places, "installed", lambda build_id: None)


def test_every_symbol_is_had_from_the_image_itself(golden):
    told = profiles.by_build_id(BUILD_4_20)
    with open_file(golden("lost-wakeup")) as target:
        xen = recognise(locate(target))
        assert xen.variable("posted_intr_vector", 1) == 0xF2
    assert xen.profile.build_id == BUILD_4_20
    for name in told.document["symbols"]:
        assert xen.profile.symbol(name) == told.symbol(name)


def test_variables_are_answered_with_no_profile(golden, run, no_profile):
    answer = run("dump", golden("xapic-4-cpus"), "info", "--json")
    assert answer.json["xen"]["build_id"] == BUILD_4_20
    assert answer.json["xen"]["version"].startswith("4.20.3")
    assert len(answer.json["xen"]["cpus"]) == 4
    assert answer.json["xen"]["x2apic"] is False


COMMANDS = ("vcpus", "blocked", "audit")


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["lost-wakeup", "xapic-4-cpus", "hooks-not-installed", "cpu-offline-after-fixup"])
def test_commands_answer_as_with_the_profile(golden, run, name, monkeypatch):
    with_profile = [run("dump", golden(name), command, "--json").json for command in COMMANDS]
    hide(monkeypatch)
    assert [run("dump", golden(name), command, "--json").json for command in COMMANDS] == with_profile


def hide(monkeypatch) -> None:
    """No profile is known, and no layout of the captures' build."""
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(places, "installed", lambda build_id: None)
    hidden = {
        struct: [one for one in known if {build.build_id for build in one.builds} != {BUILD_4_20}]
        for struct, known in layouts.bundled().items()
    }
    monkeypatch.setattr(layouts, "bundled", lambda: hidden)


def test_info_says_in_twelve_lines_what_it_is_and_how_well_it_is_known(golden, run, monkeypatch):
    hide(monkeypatch)
    answer = run("dump", golden("lost-wakeup"), "info")
    assert len(answer.out.splitlines()) <= 12
    assert f"4.20.3+127-gc42374a105-0+deb13u1, build-id {BUILD_4_20}" in answer.out
    assert "7330 symbols of its own" in answer.out
    assert "vtdpi profile make" in answer.out
    found = run("dump", golden("lost-wakeup"), "info", "--json").json["xen"]["knowledge"]
    assert found["score"]["proved"] > 30
    assert found["members"]["vcpu.processor"] == "proved"
    assert f"{found['score']['proved']} members of its structures proved" in answer.out


@pytest.fixture
def functions_only(monkeypatch, no_profile):
    """Images carry the symbols of their functions only, as without CONFIG_LIVEPATCH."""
    find = symbol_table.find

    def found(image, base):
        table = find(image, base)
        return table and SymbolTable([one for one in table.symbols if not one.name or one.kind in symbol_table.CODE])

    monkeypatch.setattr(symbol_table, "find", found)


def test_an_image_that_tells_functions_only_says_so_and_the_rest_answers(golden, run, functions_only):
    answer = run("dump", golden("xapic-4-cpus"), "info")
    assert len(answer.out.splitlines()) <= 12
    assert "symbols of its own, of functions only\n" in answer.out
    assert "no symbol domain_list" in answer.err
    assert run("dump", golden("xapic-4-cpus"), "vcpus").status == 3
    with open_file(golden("xapic-4-cpus")) as target:
        located = locate(target)
        assert recognise(located).memory.root == find(target, [profiles.by_build_id(BUILD_4_20)]).memory.root


@pytest.mark.thorough
def test_a_map_tells_what_such_an_image_does_not(golden, run, functions_only, tmp_path, monkeypatch):
    told = profiles.by_build_id(BUILD_4_20)
    with open_file(golden("lost-wakeup")) as target:
        own = locate(target).image.symbols.addresses
    path = tmp_path / "boot/xen-4.20.map"
    path.parent.mkdir()
    known = own | {name: told.symbol(name) for name in told.document["symbols"]}
    path.write_text("".join(f"{address:#x} D {name}\n" for name, address in known.items()))
    named = [run("dump", golden("lost-wakeup"), "--symbols", path, command, "--json").json for command in COMMANDS]
    monkeypatch.setattr(places, "ROOT", tmp_path)
    found = [run("dump", golden("lost-wakeup"), command, "--json").json for command in COMMANDS]
    monkeypatch.undo()
    right = [run("dump", golden("lost-wakeup"), command, "--json").json for command in COMMANDS]
    assert named == found == right


def test_what_is_not_known_is_named_and_the_rest_answers(golden, run, monkeypatch):
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    monkeypatch.setattr(places, "installed", lambda build_id: None)
    monkeypatch.setattr(layouts, "bundled", dict)
    answer = run("dump", golden("lost-wakeup"), "audit", "--json")
    assert "struct domain" in answer.err
    assert not [found for found in answer.json["findings"] if found["severity"] == "bug"]
    assert run("dump", golden("lost-wakeup"), "info", "--json").json["xen"]["pi_wakeup_vector"] == 0xF3
