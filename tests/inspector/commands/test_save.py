"""`save`: what is saved is a target that answers the same."""

from __future__ import annotations

from inspector.model.snapshot import SCHEMA, loads


def test_a_saved_snapshot_is_a_target(run, golden, tmp_path):
    file = tmp_path / "now.json"
    assert run("dump", golden("lost-wakeup"), "save", file).status == 0
    for words in (["vcpus"], ["blocked"], ["audit"], ["pi", "d1v2"], ["route", "d1v2"]):
        from_dump = run("dump", golden("lost-wakeup"), *words, "--json")
        from_file = run("dump", file, *words, "--json")
        assert (from_file.status, from_file.json) == (from_dump.status, from_dump.json)
    assert "tells of no VT-d unit" in run("dump", file, "irt").err
    file.write_text(file.read_text().replace(f'"schema":{SCHEMA}', '"schema":99'))
    assert "use a newer vtdpi" in run("dump", file, "vcpus").err
    assert run("dump", golden("lost-wakeup"), "save", tmp_path).status == 2


def test_a_saved_table_is_shown_as_the_table_was(run, image, tmp_path):
    file = tmp_path / "now.json"
    assert run("dump", image.path, "save", file).status == 0
    now, then = (run("dump", target, "irt", "--json").json["units"] for target in (image.path, file))
    assert now == then
    assert (
        run("dump", file, "irte", "0", "--json").json["units"]
        == run("dump", image.path, "irte", "0", "--json").json["units"]
    )


def test_what_is_said_of_it(run, golden, tmp_path):
    file = tmp_path / "now.json"
    told = run("dump", golden("lost-wakeup"), "save", file, "--json").json
    saved = loads(file.read_text())
    assert (told["file"], told["snapshot_schema"], told["vcpu_count"]) == (str(file), SCHEMA, len(saved.vcpus))
    assert run("dump", golden("lost-wakeup"), "save", file).out == (
        f"{len(saved.vcpus)} vCPUs and 0 VT-d units saved to {file}\n"
    )
    assert file.read_text().endswith("}\n")


def test_saved_twice_it_is_the_same_file(run, golden, tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    run("dump", golden("lost-wakeup"), "save", one)
    run("dump", one, "save", two)
    assert loads(two.read_text()).vcpus == loads(one.read_text()).vcpus
