"""A machine in a file: one line that says what it is, a checksum, then compressed JSON and the pages of memory."""

from __future__ import annotations

import zlib
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from sim_backend.layout.config import DeviceConfig, LayoutConfig, profile_named
from sim_backend.layout.interrupts import DEVICE_STATE, IOAPIC_STATE
from sim_backend.layout.layout import Layout
from sim_backend.layout.vtd import REGISTERS
from sim_backend.logic.kinds import restore, saved
from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.state import State
from sim_backend.logic.versions import AnyVersion
from sim_backend.logic.workload import Workload
from sim_backend.machine.boot import AnyMachine
from sim_backend.machine.machine import Machine
from sim_backend.machine.parts import assembled
from sim_backend.memory.errors import FileError, SimError
from sim_backend.memory.memory import PAGE, Memory
from sim_backend.scenario.bugs import version
from sim_backend.scenario.scenario import Scenario
from structs import new_file
from structs.frozen import frozen
from structs.xen.profile import Profile

FORMAT = 7
MAGIC = b"vtdpi machine "
LARGEST = 512 << 20
"""Bytes of what is in it: the pages that are in use, of some 10 MiB in a large scenario."""
CHECKSUM = 32
LENGTH = 8
ADDRESS = 8


def write(machine: AnyMachine, path: Path) -> None:
    """Write a machine to a file, which appears whole or not at all. Raises SimError if it cannot be written."""
    text = msgspec.json.encode(_document(machine))
    pages = b"".join(at.to_bytes(ADDRESS, "little") + page for at, page in machine.memory.used_pages())
    body = zlib.compress(len(text).to_bytes(LENGTH, "little") + text + pages, 1)
    try:
        new_file.write(path, MAGIC + f"{FORMAT}\n".encode() + _checksum(body) + body)
    except OSError as error:
        raise SimError(f"the machine cannot be saved to {path}: {error.strerror}") from None


def read(path: Path, state: type[State] | None = None) -> AnyMachine:
    """The machine that `write` wrote, whose state is of that class, if not of its hypervisor's own.

    Raises:
        FileError: the file cannot be read, is damaged, or is something else.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(len(MAGIC))
            # The rest only of what is one: a device may have no end.
            raw += file.read(LARGEST) if raw == MAGIC else b""
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        raise FileError(f"no saved machine in {path}: {why}") from None
    line, _, rest = raw.partition(b"\n")
    if not line.startswith(MAGIC):
        raise FileError(f"{path} is no saved machine: it does not begin with {MAGIC.decode()!r}")
    if line[len(MAGIC) :] != str(FORMAT).encode():
        found = line[len(MAGIC) :][:16].decode("ascii", "replace")
        raise FileError(f"{path} was saved in format {found}; this vtdpi reads format {FORMAT}")
    body = rest[CHECKSUM:]
    if len(rest) < CHECKSUM or _checksum(body) != rest[:CHECKSUM]:
        raise FileError(f"{path} is damaged: its checksum is not that of its {len(raw)} bytes; save the machine again")
    try:
        content = zlib.decompressobj().decompress(body, LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it holds more than {LARGEST >> 20} MiB")
        end = LENGTH + int.from_bytes(content[:LENGTH], "little")
        return _machine(msgspec.json.decode(content[LENGTH:end], type=Document), content[end:], state)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise FileError(f"{path} is no machine that this vtdpi can resume: {type(error).__name__} {error}") from None
    except LookupError as error:
        raise FileError(f"{path} is no machine that this vtdpi can resume: {error} is not in it") from None


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=CHECKSUM).digest()


@frozen
class Described:
    """Of a scenario, what the layout does not tell."""

    name: str
    title: str
    workload: dict[str, int]


@frozen
class Document:
    """The JSON in the file.

    Attributes:
        boot_devices: those that the machine had when it was switched on; `config` has all that it has now.
        layout: see `Layout.state`.
        memory: bytes of RAM below 4 GiB.
        records: what `sim_backend.logic.kinds.saved` makes of all that is the machine's state beside memory.
    """

    version: str
    scenario: Described
    config: LayoutConfig
    build_id: str
    boot_devices: tuple[DeviceConfig, ...]
    layout: dict[str, object]
    memory: int
    store_buffers: bool
    records: dict[str, dict[str, object]]


def _document(machine: AnyMachine) -> Document:
    scenario, layout = machine.scenario, machine.layout
    return Document(
        version=machine.version.name,
        scenario=Described(scenario.name, scenario.title, scenario.workload.rates()),
        config=layout.config,
        build_id=layout.profile.build_id,
        boot_devices=scenario.layout.devices,
        layout=layout.state(),
        memory=machine.memory.size,
        store_buffers=machine.store_buffers,
        records={name: dict(saved(record)) for name, record in machine.records.items()},
    )


def _machine(document: Document, pages: bytes, kind: type[State] | None) -> AnyMachine:
    config = document.config
    memory = Memory(document.memory, config.high)
    memory.add(DEVICE_STATE, config.cpus * PAGE)
    memory.add(IOAPIC_STATE, config.ioapics * PAGE)
    for unit in range(config.units):
        memory.add(REGISTERS + unit * PAGE, PAGE)
    for at in range(0, len(pages), ADDRESS + PAGE):
        memory.write(int.from_bytes(pages[at : at + ADDRESS], "little"), pages[at + ADDRESS : at + ADDRESS + PAGE])
    logic = version(document.version)
    booted, about = replace(config, devices=document.boot_devices), document.scenario
    if odd := about.workload.keys() - Workload().rates().keys():
        raise ValueError(f"workload {', '.join(sorted(odd))[:100]}: there is none such")
    scenario = Scenario(about.name, about.title, booted, Workload(**about.workload))
    machine = _put_together(document, scenario, logic, memory, kind)
    records = machine.records
    if odd := document.records.keys() ^ records.keys():
        raise ValueError(f"{', '.join(sorted(odd))[:100]}: it is no part of this machine")
    for name, record in records.items():
        restore(record, document.records[name])
    machine.loaded = True
    return machine


def _put_together(
    document: Document, scenario: Scenario, logic: AnyVersion, memory: Memory, kind: type[State] | None
) -> AnyMachine:
    """The machine around a memory, before the rest of its state is what it was."""
    config = document.config
    counts = config.cpus, config.units, document.store_buffers
    if isinstance(logic, KvmVersion):
        from sim_backend.layout.kvm.layout import KvmLayout, linux_profile
        from sim_backend.logic.kvm.state import KvmState
        from sim_backend.machine.kvm import KvmMachine

        assert kind is None or issubclass(kind, KvmState)
        linux = KvmLayout.restored(linux_profile(config.profile), config, document.layout, memory)
        return KvmMachine.around(linux, logic, (kind or KvmState).switched_on(*counts), scenario)
    layout = Layout.restored(_profile(config.profile, document.build_id), config, document.layout, memory)
    return Machine.of(scenario, assembled(layout, logic, (kind or State).switched_on(*counts), scenario.workload))


def _profile(name: str, build_id: str) -> Profile:
    """What the machine was laid out by: its name may mean another build by now."""
    profile = profile_named(name)
    return profile if profile.build_id == build_id else profile_named(build_id)
