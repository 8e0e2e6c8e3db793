"""`irt`, `irte`, `route`, completion and `report` name the same source for every entry, on every kind of target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.base.errors import UsageError, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.command import parse
from inspector.commands.report import gather
from inspector.repl.objects import KINDS
from inspector.targets.open_file import open_file
from inspector.targets.sim.simulation import Simulation
from inspector.targets.target import Target
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

DATA = Path(__file__).parents[2] / "data"
LOGS = sorted((DATA / "field/logs").glob("*.log")) + sorted((DATA / "live").glob("*/debug-keys.txt"))
SNAPSHOTS = sorted((DATA / "field/snapshots").iterdir())
CAPTURES = sorted((DATA / "golden").glob("*.core.zst"))
SCENARIOS = sorted(
    each.stem for each in Path(load.__code__.co_filename).with_name("bundled").glob("*.toml") if each.is_file()
)

Said = dict[tuple[int | None, int], str]
"""The source in words, by unit and index."""


def same_source_everywhere(target: Target) -> int:
    """Fails unless all that names sources names the same one; how many entries there are."""
    inspection = Inspection(target)
    try:
        answer = parse(["irt"]).answer(inspection)
    except VtdpiError:
        assert not any(unit.indices for unit in inspection.snapshot.units)
        return 0
    tables = answer.document["units"]
    documents = {(unit["unit"], entry["index"]): entry["source"] for unit in tables for entry in unit["entries"]}
    columns = [block for block in answer.blocks if hasattr(block, "columns")]
    words: Said = {
        (unit["unit"], entry["index"]): row[-1]
        for unit, table in zip(tables, columns, strict=True)
        for entry, row in zip(unit["entries"], table.rows, strict=True)
    }
    assert of_reports(inspection, tables) == words
    assert of_completion(inspection, tables) == sorted(words.items(), key=str)
    for index in sorted({index for _, index in documents}):
        of_one = {key: source for key, source in documents.items() if key[1] == index}
        routes = parse(["route", "irte", hex(index)]).answer(inspection)
        assert {(r["unit"], r["entry"]["index"]): r["source"] for r in routes.document["routes"]} == of_one
        said = {tuple(re.findall(r"unit (\S+)", block.title)): dict(block.rows)["source"] for block in routes.blocks}
        assert said == {(str(unit),): words[unit, index] for unit, _ in of_one}
        for unit, source in of_irte(inspection, index, [unit for unit, _ in of_one]):
            assert source == (documents[unit, index], words[unit, index])
    return len(documents)


def of_irte(inspection: Inspection, index: int, units: list[int | None]) -> Iterator[tuple[int | None, object]]:
    """What `irte` names: the document, and the words."""
    try:
        answer = parse(["irte", hex(index)]).answer(inspection)
    except UsageError:
        return  # another unit's table is too small for this index
    texts = [block.text for block in answer.blocks if hasattr(block, "text")]
    for one, text in zip(answer.document["units"], texts, strict=True):
        if one["unit"] in units and one["entry"]["p"]:
            yield one["unit"], (one["entry"]["source"], text.partition("; is used by ")[2])


def of_reports(inspection: Inspection, tables: list[dict[str, object]]) -> Said:
    """What the page shows."""
    said: Said = {}
    for unit, table in zip(tables, gather(inspection).tables, strict=True):
        for entry, row in zip(table.entries, table.rows.rows, strict=True):
            said[unit["unit"], entry.index] = row[-1]  # type: ignore[index]
    return said


def of_completion(inspection: Inspection, tables: list[dict[str, object]]) -> list[tuple[object, str]]:
    """What stands beside each index: the units one after another, each by index."""
    found = [(int(index, 0), about) for index, about in KINDS["INDEX"](inspection)]
    keys = [(unit["unit"], entry["index"]) for unit in tables for entry in unit["entries"]]  # type: ignore[attr-defined]
    assert [index for index, _ in found] == [index for _, index in keys]
    named = [re.sub(r".* to (?:APIC )?0x[0-9a-f]+, ", "", about) for _, about in found]
    return sorted(zip(keys, named, strict=True), key=str)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.parent.name + "-" + path.name)
def test_logs(path):
    with open_file(str(path)) as target:
        same_source_everywhere(target)


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.name)
def test_snapshots(path):
    with open_file(str(path)) as target:
        assert same_source_everywhere(target)


@pytest.mark.parametrize("name", [path.name.removesuffix(".core.zst").partition("3-")[2] for path in CAPTURES])
def test_captures(name, golden):
    with open_file(str(golden(name))) as target:
        same_source_everywhere(target)


@pytest.mark.parametrize("name", SCENARIOS)
def test_simulated_machines(name):
    machine = Machine(load(name), seed=3)
    machine.run(2000)
    assert same_source_everywhere(Simulation(machine))


def test_there_are_some():
    assert len(LOGS) > 20
    assert len(SNAPSHOTS) >= 2
    assert len(CAPTURES) > 8
    assert len(SCENARIOS) > 4
