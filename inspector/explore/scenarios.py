"""The scenarios that come with the simulated machine: those to run, and those to explore."""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import TYPE_CHECKING

from inspector.model.answer import Answer, Table
from inspector.model.schema_name import schema_name
from inspector.targets.sim.scenarios import titles
from sim_backend.scenario.scenario import BUNDLED

if TYPE_CHECKING:
    from inspector.model.documents import NamedTitle, Scenarios

SCHEMA = schema_name("scenarios")


def to_explore() -> list[str]:
    """The names of those that `vtdpi explore` is for."""
    folder = files("sim_backend").joinpath("scenario", "bundled", "explore")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def tell(json: bool) -> int:
    """Print them; the exit status."""
    from inspector.views import json as json_view
    from inspector.views import text

    run, explored = _described(BUNDLED), _described(to_explore())
    document: Scenarios = {"run": run, "explored": explored}
    blocks = [
        Table(("SCENARIO", "WHAT HAPPENS"), [(each["name"], each["title"]) for each in run], "vtdpi sim --scenario"),
        Table(("SCENARIO", "WHAT HAPPENS"), [(each["name"], each["title"]) for each in explored], "vtdpi explore"),
    ]
    answer = Answer(document, blocks).named(SCHEMA)
    (json_view if json else text).show(answer, sys.stdout)
    return 0


def _described(names: list[str] | tuple[str, ...]) -> list[NamedTitle]:
    return [{"name": name, "title": title} for name, title in titles(names).items()]
