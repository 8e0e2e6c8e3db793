"""A history: a machine's moves, one by one, in a file that holds all that it takes to do them again.

    {"kind": "vtdpi history", "format": 1, "scenario": {...}, "version": {...}, "property": "no lost wakeup",
     "why": "...", "store_buffers": false, "moves": [
    {"order": "block", "arguments": ["d1v0"]},
    {"turn": "CPU 0"},
    {"turn": "CPU 0", "choices": [1]}
    ]}

`scenario` has the keys of a scenario's TOML file, and `name`; `version` those of `sim_backend.logic.versions.Version`
or of `sim_backend.logic.kvm.versions.KvmVersion`, and what it leaves out is as there by default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from sim_backend.layout.config import Text
from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.state import State
from sim_backend.logic.versions import VERSIONS, AnyVersion, Version
from sim_backend.logic.workload import Workload
from sim_backend.machine.boot import AnyMachine, switched_on
from sim_backend.machine.engine import SETTLED
from sim_backend.machine.environment import Argument, Move, give
from sim_backend.machine.event import Event
from sim_backend.memory.errors import FileError, SimError
from sim_backend.scenario import scenario as scenarios
from sim_backend.scenario.bugs import WITH
from sim_backend.scenario.decoding import decoded, table
from sim_backend.scenario.scenario import Scenario
from structs import new_file
from structs.frozen import frozen

__all__ = ["History", "Move", "read", "started"]

KIND, FORMAT = "vtdpi history", 1
LARGEST = 64 << 20
"""Bytes of a file: more is no history."""
SETTLE = "settle"
MOST_CHOICES = 1 << 12
"""In one move."""

Name = Annotated[str, Meta(max_length=100)]
"""Of an actor, an order, a vCPU, a device."""
Number = Annotated[int, Meta(ge=0, lt=1 << 32)]
Choices = Annotated[tuple[Number, ...], Meta(max_length=MOST_CHOICES)]
Arguments = Annotated[tuple[bool | Number | Name, ...], Meta(max_length=MOST_CHOICES)]


class _File(Struct):
    kind: Text
    format: int
    scenario: dict[str, Any]
    version: dict[str, Any]
    moves: list[Any]
    property: Text | None = None
    why: Text | None = None
    store_buffers: bool | None = False


class _Turn(Struct):
    turn: Name
    choices: Choices | None = None


class _Order(Struct):
    order: Name
    arguments: Arguments | None = None
    choices: Choices | None = None


@frozen
class History:
    """What happened to a machine.

    Attributes:
        scenario, version: of the machine; the scenario's workload has no part in it.
        moves: in order. Step n of a history is its n-th move, and the state after it.
        property: which property it breaks or shows, and `why`, in words.
        store_buffers: whether the machine's CPUs have store buffers.
    """

    scenario: Scenario
    version: AnyVersion
    moves: tuple[Move, ...] = ()
    property: str | None = None
    why: str | None = None
    store_buffers: bool = False

    def machine(self) -> AnyMachine:
        """The machine before the first move. Raises SimError if there is none such."""
        return started(self.scenario, self.version, self.store_buffers)

    def replay(self, to: int | None = None) -> Iterator[tuple[AnyMachine, Event]]:
        """The machine (always the same one) after each move up to step `to`, and what the move did.

        Raises:
            SimError: the machine cannot do a move; says which.
        """
        machine = self.machine()
        for number, move in enumerate(self.moves[:to], 1):
            yield machine, perform(machine, number, move)

    def at(self, step: int | None = None) -> AnyMachine:
        """The machine after that many moves, by default all. Raises SimError, also if there are not so many."""
        if step is not None and not 0 <= step <= len(self.moves):
            raise SimError(f"there is no step {step} in this history: it has {len(self.moves)}")
        machine = self.machine()
        for number, move in enumerate(self.moves[:step], 1):
            perform(machine, number, move)
        return machine

    def write(self, path: str | Path) -> None:
        """Write it to a file, which appears whole or not at all. Raises SimError if that fails."""
        try:
            new_file.write(path, self.text().encode())
        except OSError as error:
            raise SimError(f"the history cannot be written to {path}: {error.strerror}") from None

    def text(self) -> str:
        """What is in the file: JSON, a line each move."""
        head = {
            "kind": KIND,
            "format": FORMAT,
            "scenario": scenarios.document(self.scenario),
            "version": asdict(self.version),
            "property": self.property,
            "why": self.why,
            "store_buffers": self.store_buffers,
        }
        moves = ",\n".join(json.dumps(move_document(move)) for move in self.moves)
        return json.dumps(head)[:-1] + ', "moves": [\n' + moves + "\n]}\n"

    @classmethod
    def read(cls, path: str | Path) -> History:
        """The history in a file. Raises FileError if there is none; says what is wrong with it."""
        return read(path)


def started(
    scenario: Scenario, version: AnyVersion, store_buffers: bool = False, state: type[State] | None = None
) -> AnyMachine:
    """A machine from which histories begin: at rest, after the orders of the scenario's prelude, and no workload.

    Raises:
        SimError: there is no such machine, it does not come to rest, or the prelude is none.
    """
    machine = switched_on(replace(scenario, workload=Workload()), version, 0, store_buffers, state)
    _settle(machine)
    for line in scenario.bounds.prelude:
        word, *rest = line.split() or [""]
        if word == SETTLE:
            _settle(machine)
        else:
            try:
                give(machine, word, tuple(map(_argument, rest)))
            except SimError as error:
                raise SimError(f"prelude {line!r}: {error}") from None
    _settle(machine)
    return machine


def _settle(machine: AnyMachine) -> None:
    if machine.settle() == SETTLED:
        raise SimError(f"the machine does not come to rest within {SETTLED} steps")
    if machine.crashed is not None:
        raise SimError(f"the machine crashes before the history begins: {machine.crashed}")


def _argument(word: str) -> Argument:
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word, 0)
    except ValueError:
        return word


def perform(machine: AnyMachine, number: int, move: Move) -> Event:
    """As Machine.perform; errors say which step it is."""
    try:
        return machine.perform(move)
    except SimError as error:
        raise SimError(f"step {number} of the history, {move}: {error}") from None


def move_document(move: Move) -> dict[str, Any]:
    """A move as JSON has it."""
    made: dict[str, Any] = {"turn": move.turn} if move.order is None else {"order": move.order}
    if move.order is not None:
        made["arguments"] = list(move.arguments)
    if move.choices:
        made["choices"] = list(move.choices)
    return made


def read(path: str | Path) -> History:
    """The history in a file. Raises FileError if there is none; says what is wrong with it."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        raise FileError(f"no history in {path}: {why}") from None
    if len(raw) > LARGEST:
        raise FileError(f"{path} is no history: it has more than {LARGEST} bytes")
    return parse(raw, str(path))


def parse(text: bytes | str, source: str) -> History:
    """The history in a text. `source` names it in errors. Raises FileError if it is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{source} is no history: no JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise FileError(f'{source} is no history: expected a JSON object with "kind": "{KIND}"')
    if document.get("format") != FORMAT:
        raise FileError(
            f"{source} is a history of format {document.get('format')!r:.40}; this vtdpi reads format {FORMAT}"
        )
    try:
        return _history(document)
    except SimError as error:
        raise FileError(f"history {source}: {error}") from None


def _history(document: Mapping[str, Any]) -> History:
    file = table(document, _File, _File.__struct_fields__)
    described = dict(file.scenario)
    name = decoded(described.pop("name", "machine"), Name, "scenario.name")
    return History(
        scenario=replace(scenarios.from_document(described, name), name=name),
        version=_version(file.version),
        moves=tuple(map(_move, file.moves, count(1))),
        property=file.property,
        why=file.why,
        store_buffers=file.store_buffers or False,
    )


def _version(saved: Mapping[str, Any]) -> AnyVersion:
    # What is null in it is as there by default.
    told = {key: value for key, value in saved.items() if value is not None}
    base = VERSIONS.get(str(told.get("name", "")).partition(WITH)[0])
    if isinstance(base, KvmVersion):
        return table(told, KvmVersion, [field.name for field in fields(KvmVersion)], "version.")
    return table(told, Version, [field.name for field in fields(Version)], "version.")


def _move(saved: object, number: int) -> Move:
    if not isinstance(saved, dict) or ("turn" in saved) == ("order" in saved):
        raise SimError(f'move {number}: expected an object with either "turn" or "order"')
    where = f"move {number}, "
    if "turn" in saved:
        turn = table(saved, _Turn, _Turn.__struct_fields__, where)
        return Move(turn=turn.turn, choices=turn.choices or ())
    order = table(saved, _Order, _Order.__struct_fields__, where)
    return Move(order=order.order, arguments=order.arguments or (), choices=order.choices or ())
