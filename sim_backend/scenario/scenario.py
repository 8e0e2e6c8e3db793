"""A machine and what keeps it busy, from a TOML file.

    title = "A storm of wake-ups"
    [machine]
    cpus = 2
    [[domain]]
    id = 1
    vcpus = 4
    [[device]]
    bdf = "00:03.0"
    vectors = 4
    domain = 1
    [workload]
    halt = 600
    [explore]
    posts = 2

Rates are per 1024: how often, when its turn comes, a guest halts, a device posts, and so on (see `Workload`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, field, fields, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig, Number, Text
from sim_backend.logic.workload import Workload
from sim_backend.memory.errors import FileError, SimError
from sim_backend.memory.naming import device_name
from sim_backend.scenario.bounds import Bounds
from sim_backend.scenario.decoding import short, table
from structs.frozen import frozen

BUNDLED = ("idle", "one-device", "wakeup-storm", "oversubscribed", "migration", "cpu-offline", "hotplug")
DEFAULT = "one-device"


LARGEST = 1 << 20
"""Bytes of a file: more is no scenario."""

_BARE = re.compile(r"[\w-]{1,64}")


@frozen
class _File:
    """The tables of the file; each is decoded by itself."""

    title: Text = ""
    machine: dict[str, Any] = field(default_factory=dict)
    domain: list[Any] | None = None
    device: list[Any] = field(default_factory=list)
    workload: dict[str, Any] = field(default_factory=dict)
    explore: dict[str, Any] = field(default_factory=dict)


class _Domain(Struct):
    id: Number
    vcpus: Annotated[int, Meta(ge=1, le=128)]
    hvm: bool = True


class _Device(Struct):
    bdf: Text
    vectors: Annotated[int, Meta(ge=1, le=2048)] = 1
    domain: Number = 0


@frozen
class Scenario:
    """A machine, its workload, and the bounds within which all that can happen to it is explored.

    `layout.devices` are assigned to their domains before the machine starts.
    """

    name: str = "machine"
    title: str = ""
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    workload: Workload = field(default_factory=Workload)
    bounds: Bounds = field(default_factory=Bounds)


def load(name_or_path: str | Path) -> Scenario:
    """A bundled scenario by name, or one from a file.

    Raises:
        SimError: there is none of that name.
        FileError: the file cannot be read, or is no scenario; says which file and which key.
    """
    name = str(name_or_path)
    if place := _bundled(name):
        return parse(place.read_text("utf-8"), name)
    try:
        with open(name, "rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        # A bare word that names no file is a wrong word, not a file that cannot be read.
        kind = SimError if _BARE.fullmatch(name) and isinstance(error, FileNotFoundError) else FileError
        raise kind(f"scenario {name}: {why}; bundled ones are {', '.join(BUNDLED)}") from None
    if len(raw) > LARGEST:
        raise FileError(f"scenario {name}: it has more than {LARGEST} bytes; bundled ones are {', '.join(BUNDLED)}")
    return parse(text, name)


def is_bundled(name: str) -> bool:
    """Whether this is a bundled scenario's name, not a file's."""
    return _bundled(name) is not None


def _bundled(name: str) -> Path | None:
    places = (Path(__file__).parent / folder / f"{name}.toml" for folder in ("bundled", "bundled/explore"))
    return next((place for place in places if _BARE.fullmatch(name) and place.is_file()), None)


def parse(text: str, source: str) -> Scenario:
    """The scenario that a TOML text describes. `source` names it in errors. Raises FileError if it is none."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise FileError(f"scenario {source}: it is nested too deep for TOML of a scenario") from None
    except ValueError as error:
        # Of TOML's grammar, or of a number that has thousands of digits.
        raise FileError(f"scenario {source}: {short(str(error))}") from None
    return from_document(document, source)


def from_document(document: Mapping[str, Any], source: str) -> Scenario:
    """The scenario that the content of a TOML file describes. Raises FileError, with `source`, if it is none."""
    try:
        return _scenario(document, source)
    except SimError as error:
        raise FileError(f"scenario {source}: {error}") from None


def document(scenario: Scenario) -> dict[str, Any]:
    """What `from_document` makes the scenario of again, and its `name`."""
    layout = scenario.layout
    return {
        "name": scenario.name,
        "title": scenario.title,
        "machine": {key: _plain(getattr(layout, key)) for key in MACHINE if getattr(layout, key) is not None},
        "domain": [asdict(domain) for domain in layout.domains],
        "device": [{**asdict(device), "bdf": device_name(device.bdf)} for device in layout.devices],
        "workload": {name: rate for name, rate in scenario.workload.rates().items() if rate},
        "explore": {**scenario.bounds.numbers(), "prelude": list(scenario.bounds.prelude)},
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _scenario(document: Mapping[str, Any], source: str) -> Scenario:
    file = table(document, _File, _names(_File))
    layout = table(file.machine, LayoutConfig, MACHINE, "machine.")
    domains = layout.domains if file.domain is None else tuple(map(_domain, file.domain, count()))
    return Scenario(
        name=Path(source).stem,
        title=file.title,
        layout=replace(layout, domains=domains, devices=tuple(map(_device, file.device, count()))),
        workload=table(file.workload, Workload, tuple(Workload().rates()), "workload."),
        bounds=table(file.explore, Bounds, _names(Bounds), "explore."),
    )


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


MACHINE = tuple(
    name for name in _names(LayoutConfig) if name not in ("domains", "devices", "low_vcpus", "ndst_at_creation")
)
"""What the table `machine` may say."""


def _domain(value: object, number: int) -> DomainConfig:
    found = table(value, _Domain, _Domain.__struct_fields__, f"domain[{number}].")
    return DomainConfig(found.id, found.vcpus, found.hvm)


def _device(value: object, number: int) -> DeviceConfig:
    where = f"device[{number}]."
    found = table(value, _Device, _Device.__struct_fields__, where)
    return DeviceConfig(parse_bdf(found.bdf, f"{where}bdf"), found.vectors, found.domain)


def parse_bdf(text: str, what: str = "device") -> int:
    """A device written as BUS:DEVICE.FUNCTION (`00:03.0`), as bus << 8 | devfn. Raises SimError."""
    try:
        bus, rest = text.split(":")
        device, function = rest.split(".")
        numbers = (int(bus, 16), int(device, 16), int(function, 16))
    except ValueError:
        raise SimError(f"{what} = {short(repr(text))}: expected BUS:DEVICE.FUNCTION, as 00:03.0") from None
    if not (numbers[0] < 256 and numbers[1] < 32 and numbers[2] < 8 and min(numbers) >= 0):
        raise SimError(f"{what} = {short(repr(text))}: a bus is up to ff, a device up to 1f, a function up to 7")
    return numbers[0] << 8 | numbers[1] << 3 | numbers[2]
