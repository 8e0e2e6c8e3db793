"""A machine in a file: one line that says what it is, a checksum, then compressed JSON and the pages of memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.layout.interrupts import DEVICE_STATE, IOAPIC_STATE
from sim_backend.layout.layout import Layout
from sim_backend.layout.profiles import named
from sim_backend.layout.vtd import REGISTERS
from sim_backend.logic.program import PROCEDURES, Actor, Frame, procedure_of
from sim_backend.logic.versions import version
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory
from sim_backend.scenario.scenario import Scenario, Workload
from structs.xen.profile import Profile

FORMAT = 5
MAGIC = b"vtdpi machine "
CHECKSUM = 32
LENGTH = 8
ADDRESS = 8

LISTS = ("online", "active", "tasklets", "dpci", "runq", "next_fault", "curr", "scheduled", "status", "ipi_order")
TABLES = ("events", "migrating", "orders", "bindings", "owners")
NUMBERS = (
    *("draw", "random", "steps", "flush_locked", "flush_mask", "leaving", "lost", "message_buffer", "background"),
    "reserved_first",
)


def write(machine: Machine, path: Path) -> None:
    """Write a machine to a file. Raises SimError if the file cannot be written."""
    text = json.dumps(_document(machine)).encode()
    pages = b"".join(at.to_bytes(ADDRESS, "little") + page for at, page in machine.memory.used_pages())
    body = zlib.compress(len(text).to_bytes(LENGTH, "little") + text + pages, 1)
    try:
        path.write_bytes(MAGIC + f"{FORMAT}\n".encode() + _checksum(body) + body)
    except OSError as error:
        raise SimError(f"the machine cannot be saved to {path}: {error.strerror}") from None


def read(path: Path) -> Machine:
    """The machine that `write` wrote.

    Raises:
        SimError: the file cannot be read, is damaged, or is something else.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SimError(f"no saved machine in {path}: {error.strerror}") from None
    line, _, rest = raw.partition(b"\n")
    if not line.startswith(MAGIC):
        raise SimError(f"{path} is no saved machine: it does not begin with {MAGIC.decode()!r}")
    if line[len(MAGIC) :] != str(FORMAT).encode():
        found = line[len(MAGIC) :][:16].decode("ascii", "replace")
        raise SimError(f"{path} was saved in format {found}; this vtdpi reads format {FORMAT}")
    body = rest[CHECKSUM:]
    if len(rest) < CHECKSUM or _checksum(body) != rest[:CHECKSUM]:
        raise SimError(f"{path} is damaged: its checksum is not that of its {len(raw)} bytes; save the machine again")
    try:
        content = zlib.decompress(body)
        end = LENGTH + int.from_bytes(content[:LENGTH], "little")
        return _machine(json.loads(content[LENGTH:end]), content[end:])
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SimError(f"{path} is no machine that this vtdpi can resume: {type(error).__name__} {error}") from None


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=CHECKSUM).digest()


def _document(machine: Machine) -> dict[str, Any]:
    scenario = machine.scenario
    config = asdict(machine.layout.config)
    config.pop("apics")
    return {
        "version": machine.version.name,
        "scenario": {"name": scenario.name, "title": scenario.title, "workload": scenario.workload.rates()},
        "config": config,
        "build_id": machine.layout.profile.build_id,
        "boot_devices": [asdict(device) for device in scenario.layout.devices],
        "crashed": machine.crashed,
        "layout": machine.layout.state(),
        "memory": machine.memory.size,
        "store_buffers": machine.store_buffers,
        "buffers": machine.buffers,
        "iec": [[unit, index, entry] for (unit, index), entry in machine.iec.items()],
        "actors": [_actor(actor) for actor in machine.actors],
        **{name: list(map(list, getattr(machine, name).items())) for name in TABLES},
        **{name: getattr(machine, name) for name in (*LISTS, *NUMBERS)},
    }


def _actor(actor: Actor) -> dict[str, Any]:
    return {
        "name": actor.name,
        "stack": list(map(_frame, actor.stack)),
        "result": actor.result,
        "current": actor.current,
        "in_irq": actor.in_irq,
        "irqs": actor.irqs,
        "guest": getattr(actor, "guest", False),
        "queue": [_frame(item) if isinstance(item, list) else item for item in getattr(actor, "queue", [])],
    }


def _frame(frame: Frame) -> list[Any]:
    return [procedure_of(frame).name, *frame[1:]]


def _unframed(saved: list[Any]) -> Frame:
    procedure = PROCEDURES[saved[0]]
    if len(saved) != 2 + len(procedure.variables):
        raise ValueError(f"a frame of {procedure.name} with {len(saved)} numbers")
    return [procedure.number, *saved[1:]]


def _machine(document: Mapping[str, Any], pages: bytes) -> Machine:
    config = _config(document["config"])
    memory = Memory(document["memory"], config.high)
    memory.add(DEVICE_STATE, config.cpus * PAGE)
    memory.add(IOAPIC_STATE, config.ioapics * PAGE)
    for unit in range(config.units):
        memory.add(REGISTERS + unit * PAGE, PAGE)
    for at in range(0, len(pages), ADDRESS + PAGE):
        memory.write(int.from_bytes(pages[at : at + ADDRESS], "little"), pages[at + ADDRESS : at + ADDRESS + PAGE])
    layout = Layout.restored(_profile(config.profile, document["build_id"]), config, document["layout"], memory)
    about = document["scenario"]
    devices = tuple(DeviceConfig(**device) for device in document["boot_devices"])
    scenario = Scenario(about["name"], about["title"], _with_devices(config, devices), Workload(**about["workload"]))
    machine = Machine.resumed(scenario, version(document["version"]), layout, document["store_buffers"])
    for name in (*LISTS, *NUMBERS):
        setattr(machine, name, document[name])
    for name in TABLES:
        setattr(machine, name, dict(document[name]))
    machine.bindings = {key: tuple((v, vector) for v, vector in pairs) for key, pairs in document["bindings"]}
    machine.iec = {(unit, index): entry for unit, index, entry in document["iec"]}
    machine.crashed = document["crashed"]
    machine.buffers = [list(map(tuple, buffer)) for buffer in document["buffers"]]
    actors = {actor.name: actor for actor in machine.actors}
    for saved in document["actors"]:
        actor = actors[saved["name"]]
        actor.stack = list(map(_unframed, saved["stack"]))
        actor.result, actor.current = saved["result"], saved["current"]
        actor.in_irq, actor.irqs = saved["in_irq"], saved["irqs"]
        if hasattr(actor, "guest"):
            actor.guest = saved["guest"]
        if hasattr(actor, "queue"):
            actor.queue = [_unframed(item) if isinstance(item, list) else item for item in saved["queue"]]
    return machine


def _profile(name: str, build_id: str) -> Profile:
    """What the machine was laid out by: its name may mean another build by now."""
    profile = named(name)
    return profile if profile.build_id == build_id else named(build_id)


def _config(saved: Mapping[str, Any]) -> LayoutConfig:
    domains = tuple(DomainConfig(**domain) for domain in saved["domains"])
    devices = tuple(DeviceConfig(**device) for device in saved["devices"])
    plain = {**saved, "domains": domains, "devices": devices, "apic_ids": tuple(saved["apic_ids"])}
    return LayoutConfig(**plain)


def _with_devices(config: LayoutConfig, devices: tuple[DeviceConfig, ...]) -> LayoutConfig:
    return replace(config, devices=devices)
