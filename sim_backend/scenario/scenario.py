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
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.logic.workload import Workload
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import device_name
from sim_backend.scenario.bounds import Bounds
from structs.frozen import frozen

BUNDLED = ("idle", "one-device", "wakeup-storm", "oversubscribed", "migration", "cpu-offline", "hotplug")
DEFAULT = "one-device"


LARGEST = 1 << 20
"""Bytes of a file: more is no scenario."""
LARGEST_NUMBER = (1 << 63) - 1
"""TOML's whole numbers have 64 bits."""
LONGEST = 4096
"""Characters of a text in it: a profile may be named by its path."""
SHOWN = 200
"""Characters of it in a message, and of an order."""

_BARE = re.compile(r"[\w-]{1,64}")


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
        SimError: there is none, or it is no scenario; says which file and which key.
    """
    name = str(name_or_path)
    for folder in ("bundled", "bundled/explore"):
        bundled = Path(__file__).parent / folder / f"{name}.toml"
        if _BARE.fullmatch(name) and bundled.is_file():
            return parse(bundled.read_text("utf-8"), name)
    try:
        with open(name, "rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SimError(f"scenario {name}: {why}; bundled ones are {', '.join(BUNDLED)}") from None
    if len(raw) > LARGEST:
        raise SimError(f"scenario {name}: it has more than {LARGEST} bytes; bundled ones are {', '.join(BUNDLED)}")
    return parse(text, name)


def parse(text: str, source: str) -> Scenario:
    """The scenario that a TOML text describes. `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise SimError(f"scenario {source}: it is nested too deep for TOML of a scenario") from None
    except ValueError as error:
        # Of TOML's grammar, or of a number that has thousands of digits.
        raise SimError(f"scenario {source}: {_short(str(error))}") from None
    return from_document(document, source)


def from_document(document: Mapping[str, Any], source: str) -> Scenario:
    """The scenario that the content of a TOML file describes. Raises SimError, with `source`, if it is none."""
    try:
        return _scenario(document, source)
    except SimError as error:
        raise SimError(f"scenario {source}: {error}") from None


def document(scenario: Scenario) -> dict[str, Any]:
    """What `from_document` makes the scenario of again, and its `name`."""
    layout = scenario.layout
    return {
        "name": scenario.name,
        "title": scenario.title,
        "machine": {key: _plain(getattr(layout, key)) for key in _MACHINE if getattr(layout, key) is not None},
        "domain": [asdict(domain) for domain in layout.domains],
        "device": [{**asdict(device), "bdf": device_name(device.bdf)} for device in layout.devices],
        "workload": {name: rate for name, rate in scenario.workload.rates().items() if rate},
        "explore": {**scenario.bounds.numbers(), "prelude": list(scenario.bounds.prelude)},
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _scenario(document: Mapping[str, Any], source: str) -> Scenario:
    tables = {"title": str, "machine": dict, "domain": list, "device": list, "workload": dict, "explore": dict}
    _known("", document, tables)
    machine = dict(document.get("machine", {}))
    _known("machine.", machine, _MACHINE)
    if "apic_ids" in machine:
        machine["apic_ids"] = tuple(_number("machine.apic_ids", number) for number in machine["apic_ids"])
    domains = tuple(_domain(number, table) for number, table in enumerate(document.get("domain", ())))
    devices = tuple(_device(number, table) for number, table in enumerate(document.get("device", ())))
    workload = document.get("workload", {})
    _known("workload.", workload, dict.fromkeys(Workload().rates(), int))
    explore = dict(document.get("explore", {}))
    _known("explore.", explore, {**dict.fromkeys(Bounds().numbers(), int), "prelude": list})
    if "prelude" in explore:
        explore["prelude"] = tuple(_text("explore.prelude", order, SHOWN) for order in explore["prelude"])
    if "domain" in document:
        machine["domains"] = domains
    return Scenario(
        name=Path(source).stem,
        title=document.get("title", ""),
        layout=LayoutConfig(**machine, devices=devices),
        workload=Workload(**workload),
        bounds=Bounds(**explore),
    )


_MACHINE = {
    "profile": str,
    "cpus": int,
    "apic_ids": list,
    "x2apic": bool,
    "intpost": bool,
    "units": int,
    "ioapics": int,
    "irqs": int,
    "ram": int,
    "high": int,
    "posted_intr_vector": int,
    "pi_wakeup_vector": int,
    "cpus_post": bool,
}


def _domain(number: int, table: Any) -> DomainConfig:
    where = f"domain[{number}]."
    _known(where, table, {"id": int, "vcpus": int, "hvm": bool})
    _needed(where, table, "id", "vcpus")
    if not 1 <= table["vcpus"] <= 128:
        raise SimError(f"{where}vcpus = {table['vcpus']}: 1 to 128")
    return DomainConfig(**table)


def _device(number: int, table: Any) -> DeviceConfig:
    where = f"device[{number}]."
    _known(where, table, {"bdf": str, "vectors": int, "domain": int})
    _needed(where, table, "bdf")
    if not 1 <= table.get("vectors", 1) <= 2048:
        raise SimError(f"{where}vectors = {table['vectors']}: 1 to 2048")
    return DeviceConfig(**{**table, "bdf": parse_bdf(table["bdf"], f"{where}bdf")})


def parse_bdf(text: str, what: str = "device") -> int:
    """A device written as BUS:DEVICE.FUNCTION (`00:03.0`), as bus << 8 | devfn. Raises SimError."""
    try:
        bus, rest = text.split(":")
        device, function = rest.split(".")
        numbers = (int(bus, 16), int(device, 16), int(function, 16))
    except ValueError:
        raise SimError(f"{what} = {text!r}: expected BUS:DEVICE.FUNCTION, as 00:03.0") from None
    if not (numbers[0] < 256 and numbers[1] < 32 and numbers[2] < 8 and min(numbers) >= 0):
        raise SimError(f"{what} = {text!r}: a bus is up to ff, a device up to 1f, a function up to 7")
    return numbers[0] << 8 | numbers[1] << 3 | numbers[2]


def _known(where: str, table: Any, kinds: Mapping[str, type]) -> None:
    if not isinstance(table, dict):
        raise SimError(f"{where.rstrip('.')}: expected a table, found {_short(repr(table))}")
    for key, value in table.items():
        if key not in kinds:
            named = key if key.isprintable() else repr(key)
            raise SimError(f"{where}{_short(named)}: no such key; there are {', '.join(kinds)}")
        if not isinstance(value, kinds[key]) or (kinds[key] is int and isinstance(value, bool)):
            raise SimError(f"{where}{key} = {_short(repr(value))}: expected {_NAMES[kinds[key]]}")
        if kinds[key] is int:
            _number(f"{where}{key}", value)
        if kinds[key] is str:
            _text(f"{where}{key}", value)


_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}


def _needed(where: str, table: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if key not in table:
            raise SimError(f"{where}{key} is missing")


def _number(where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise SimError(f"{where}: {_short(repr(value))} is no whole number")
    if abs(value) > LARGEST_NUMBER:
        raise SimError(f"{where}: a number of {value.bit_length()} bits: expected one of up to 63")
    return value


def _text(where: str, value: Any, longest: int = LONGEST) -> str:
    if not isinstance(value, str):
        raise SimError(f"{where}: {_short(repr(value))} is no text")
    if len(value) > longest:
        raise SimError(f"{where}: a text of {len(value)} characters: expected up to {longest}")
    return value


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
