"""Explore a scenario from a Python program, and assert that its properties hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from inspector.base import new_file
from inspector.base.errors import UsageError
from inspector.model.notebook import html_table
from inspector.targets.sim.refusals import refusals
from sim_backend.explore import Exploration, Limits, explore, properties_of
from sim_backend.explore.model import SOMETIMES
from sim_backend.explore.result import BROKEN, HOLDS, Verdict
from sim_backend.scenario.bugs import base_of, change, with_bugs
from sim_backend.scenario.bugs import version as version_of
from sim_backend.scenario.scenario import Scenario, load
from structs.frozen import frozen

MIB = 20


class PropertyBroken(AssertionError):
    """A property of a model does not hold, or could not be proved.

    Attributes:
        name: the property's.
        verdict: `broken`, or `unknown` if not all states were visited.
        why: how it is broken.
        moves: how many actions the shortest history to it has.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.name, self.verdict, self.why = verdict.name, verdict.verdict, verdict.why
        self.moves = len(verdict.moves or ())
        after = f", after {self.moves} actions" if verdict.moves else ""
        super().__init__(f"{verdict.name}: {verdict.verdict}{f', {verdict.why}' if verdict.why else ''}{after}")


@frozen
class Checked:
    """What every interleaving of a scenario's events, within its bounds, says of its properties.

    Attributes:
        verdicts: by the property's name.
        exhausted: whether every state that can be reached was visited.
        states: how many were.
    """

    exploration: Exploration
    verdicts: Mapping[str, Verdict]

    @property
    def exhausted(self) -> bool:
        """Whether every state that can be reached was visited."""
        return self.exploration.result.exhausted

    @property
    def states(self) -> int:
        """How many states were visited."""
        return self.exploration.result.states

    @property
    def holds(self) -> bool:
        """Whether all properties hold, in all states."""
        return all(verdict.verdict == HOLDS for verdict in self._claims())

    @property
    def broken(self) -> tuple[str, ...]:
        """The properties that are broken."""
        return tuple(verdict.name for verdict in self._claims() if verdict.verdict == BROKEN)

    def assert_holds(self, *names: str) -> None:
        """Raises PropertyBroken unless these properties, or all, hold in all states.

        Raises:
            UsageError: there is no such property.
        """
        for verdict in [self._verdict(name) for name in names] or self._claims():
            if verdict.verdict != HOLDS:
                raise PropertyBroken(verdict)

    def save(self, name: str, path: str | os.PathLike[str]) -> None:
        """Write the shortest history to where a property is broken, for `vtdpi sim --replay` and `explore --read`.

        Raises:
            UsageError: there is no such property, or no history of it.
        """
        verdict = self._verdict(name)
        if verdict.moves is None:
            raise UsageError(f"{name!r} is {verdict.verdict}: there is no history of it")
        new_file.write(path, self.exploration.history(verdict).text())

    def __str__(self) -> str:
        lines = [f"{verdict.verdict:8} {verdict.name}" for verdict in self.verdicts.values()]
        return "\n".join([f"{self.states} states{'' if self.exhausted else ', not all'}", *lines])

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        rows = [(verdict.name, verdict.verdict, verdict.why or "") for verdict in self.verdicts.values()]
        return html_table(("property", "verdict", "why"), rows, f"{self.states} states")

    def _verdict(self, name: str) -> Verdict:
        if name not in self.verdicts:
            raise UsageError(f"no property {name!r}; there are {', '.join(self.verdicts)}")
        return self.verdicts[name]

    def _claims(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts.values() if verdict.kind != SOMETIMES]


def check(
    model: str | os.PathLike[str] | Scenario,
    *,
    version: str | None = None,
    bugs: Sequence[str] = (),
    repairs: Sequence[str] = (),
    properties: Sequence[str] = (),
    states: int | None = None,
    depth: int | None = None,
    memory: int = 4096,
    threads: int = 1,
    symmetry: bool = True,
    store_buffers: bool = False,
) -> Checked:
    """Visit every state of a bounded scenario.

    Args:
        model: a bundled scenario's name (`explore --list` names them), a TOML file, or a Scenario.
        version: whose logic: `current`, `seed` or `4.21`; by default the one that the bugs are of.
        bugs, repairs: by name.
        properties: only these, by name.
        states, depth: visit so many, and histories of so many actions, at most.
        memory: take so many MiB at most.
        symmetry: take identical vCPUs and CPUs for each other.
        store_buffers: stores wait in their CPU's buffer, as on x86.

    Raises:
        UsageError: there is no such scenario, version, bug, repair or property.
        TargetError: the file cannot be used.
    """
    with refusals():
        logic = with_bugs(version_of(version or base_of(bugs)), [change(name).name for name in (*repairs, *bugs)])
    named = {each.name: each for each in properties_of(logic)}
    if unknown := [name for name in properties if name not in named]:
        raise UsageError(f"no property {unknown[0]!r}; there are {', '.join(named)}")
    with refusals():
        found = explore(
            model if isinstance(model, Scenario) else load(os.fspath(model)),
            logic,
            Limits(states=states, depth=depth, memory=memory << MIB),
            tuple(named[name] for name in properties) or None,
            symmetry=symmetry,
            threads=threads,
            store_buffers=store_buffers,
        )
    verdicts = {each.name: each for each in found.result.verdicts if not properties or each.name in properties}
    return Checked(found, verdicts)
