"""A machine's memory as a file, written byte by byte, with no Xen in it; and pages as a browser sees them."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jsonschema_rs
import pytest

from inspector import __version__
from inspector.commands import schemas
from inspector.frontends.cli import main
from inspector.model.hex_members import hexed, numbers
from inspector.targets.sim.simulation import Simulation
from inspector.views import json as view
from inspector.xen.find import find
from inspector.xen.xen import Xen
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.machine.registers import Still
from structs.acpi import EMPTY_HEADER, RSDT, with_checksum
from structs.dmar import DMAR

BROWSER = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr"
)

RAM = 16 << 20
REGISTERS = 0xFED90000
TABLE = 0x400000
QUEUE = 0x300000
DMAR_AT = 0x7E1000
RSDT_AT = 0x7E0000
RSDP_AT = 0xF5A80


@dataclass
class Image:
    """A sparse raw image; `put` writes bytes at a physical address."""

    path: Path

    def put(self, address: int, content: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(address)
            file.write(content)

    def register(self, offset: int, value: int, size: int = 8) -> None:
        self.put(REGISTERS + offset, value.to_bytes(size, "little"))

    def entry(self, index: int, low: int, high: int) -> None:
        self.put(TABLE + index * 16, struct.pack("<QQ", low, high))

    def descriptor(self, slot: int, low: int, high: int = 0) -> None:
        self.put(QUEUE + slot * 16, struct.pack("<QQ", low, high))


def dmar(structures: bytes) -> bytes:
    """A DMAR table with these raw structures."""
    empty = DMAR.build(
        {"signature": b"DMAR", "body": {**EMPTY_HEADER, "haw": 38, "flags": {"intr_remap": 1}, "structures": []}}
    )
    raw = bytearray(empty + structures)
    raw[4:8] = len(raw).to_bytes(4, "little")
    return with_checksum(bytes(raw))


# DRHD at REGISTERS for all devices, with IOAPIC 0 at f0:1f.0 and HPET 0 at 00:0f.0.
DRHD = (
    struct.pack("<HHBBHQ", 0, 32, 1, 0, 0, REGISTERS)
    + bytes.fromhex("03080000 00f01f00")
    + bytes.fromhex("04080000 00000f00")
)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A machine with one unit: 65,536 entries at TABLE, a queue of 256 at QUEUE, no fault, nothing in either."""
    made = Image(tmp_path / "machine.raw")
    made.path.touch()
    made.put(REGISTERS + 0xFFF, b"\0")
    made.put(RSDP_AT, with_rsdp(RSDT_AT))
    rsdt = RSDT.build({"signature": b"RSDT", "body": {**EMPTY_HEADER, "entries": [DMAR_AT]}})
    made.put(RSDT_AT, with_checksum(rsdt))
    made.put(DMAR_AT, dmar(DRHD))
    for offset, value, size in (
        (0x00, 0x10, 4),
        (0x08, 0x08D2008C22260206, 8),
        (0x10, 0xF00F5A, 8),
        (0x1C, 0x47000000, 4),
        (0x90, QUEUE, 8),
        (0xB8, TABLE | 0xF, 8),
    ):
        made.register(offset, value, size)
    return made


def with_rsdp(rsdt: int) -> bytes:
    """A revision 0 root pointer."""
    raw = bytearray(b"RSD PTR \0VTDPI \0" + rsdt.to_bytes(4, "little"))
    raw[8] = -sum(raw) & 0xFF
    return bytes(raw)


@cache
def schema_check(name: str) -> Any:
    """What checks a command's documents by its shipped schema, and that they have nothing that it does not name."""
    return jsonschema_rs.validator_for(closed(json.loads(schemas.shipped(name))))


def closed(schema: Any) -> Any:
    """The schema, but what it does not name is not allowed: so it names all that there is."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(part) for key, part in schema.items()}
    if isinstance(made.get("properties"), dict) and schema.get("type") == "object":
        made["additionalProperties"] = False
    return made


def check_schema(document: Any) -> None:
    """Fail unless a command's document names its schema, and is as that says."""
    named = document.get("schema", "") if isinstance(document, dict) else ""
    if not isinstance(named, str) or not named.startswith("vtdpi/"):
        pytest.fail(f"a document that names no schema: {str(document)[:200]}")
    if "vtdpi" not in document:
        # As the commands make it, not as it is printed.
        document = hexed({**document, "vtdpi": {"version": "", "time": "", "target": None}})
    # So other programs read it too: see `tests/fixtures/other_readers.py`.
    view.text(document)
    name = named.split("/")[1]
    error = next(schema_check(name).iter_errors(document), None)
    assert error is None, f"{named}: {error.message} at {list(error.instance_path)}"


@dataclass(frozen=True)
class Ran:
    """What a command line printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document that it printed, which is as its schema says: its numbers, without who answered and when."""
        document = json.loads(self.out)
        check_schema(document)
        assert document["vtdpi"]["version"] == __version__
        return numbers({name: member for name, member in document.items() if name != "vtdpi"})


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line as a user does."""

    def command(*words: object) -> Ran:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as error:
            status = int(error.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ran(status, printed.out, printed.err)

    return command


Segment = tuple[int, int, bytes]
"""Physical address, virtual address, bytes."""


def note(owner: str, kind: int, data: bytes) -> bytes:
    """One ELF note, padded."""
    name = owner.encode() + b"\0"
    pad = lambda part: part + bytes(-len(part) % 4)  # noqa: E731
    return struct.pack("<III", len(name), len(data), kind) + pad(name) + pad(data)


def core(segments: Sequence[Segment], notes: bytes = b"", many: bool = False, **header: int) -> bytes:
    """An ELF core. `many` writes the segment count as cores with 65,535 or more do; `header` overrides its fields."""
    count = len(segments) + 1
    at = 64 + 56 * count + 64 * many
    rows = [struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), len(notes), 0)]
    data = notes
    for paddr, vaddr, content in segments:
        rows.append(struct.pack("<IIQQQQQQ", 1, 6, at + len(data), vaddr, paddr, len(content), len(content), 0))
        data += content
    values = {"type": 4, "machine": 62, "class": 2, "data": 1, "phoff": 64, "shoff": 64 + 56 * count if many else 0}
    values |= {"phnum": 0xFFFF if many else count, "phentsize": 56, "sh_info": count} | header
    head = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH",
        *(b"\x7fELF", values["class"], values["data"], 1, values["type"], values["machine"], 1, 0),
        *(values["phoff"], values["shoff"], 0, 64, values["phentsize"], values["phnum"], 64, int(many), 0),
    )
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, values["sh_info"], 0, 0) if many else b""
    return head + b"".join(rows) + section + data


@pytest.fixture(scope="session")
def elf_note() -> Callable[..., bytes]:
    return note


@pytest.fixture(scope="session")
def elf_core() -> Callable[..., bytes]:
    return core


@pytest.fixture
def chromium(
    tmp_path: Path, unavailable: Callable[[object], NoReturn]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call it with a page's path and more of Chromium's options."""
    program = shutil.which("chromium")
    if not program:
        unavailable("chromium is missing: install the package chromium")

    def open_page(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
        # A user's directory of its own, and new, or Chromium looks for what an earlier run left.
        words = [program, *BROWSER.split(), f"--user-data-dir={tmp_path / 'browser'}", *options, path.as_uri()]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)

    return open_page


@pytest.fixture
def browse(chromium: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., tuple[str, list[str]]]:
    """Call it with a page's path, and a width, for what Chromium makes of it and what it has to say of it."""

    def open_page(path: Path, width: int = 1200) -> tuple[str, list[str]]:
        done = chromium(path, f"--window-size={width},900", "--dump-dom")
        return done.stdout, re.findall(r".*:CONSOLE.*", done.stderr)

    return open_page


@pytest.fixture
def layout() -> Layout:
    """Two CPUs; domain 0 is paravirtualised, domain 1 has three vCPUs, the posting hooks and a device."""
    made = Layout(
        LayoutConfig(
            cpus=2, domains=(DomainConfig(0, 1, hvm=False), DomainConfig(1, 3)), devices=(DeviceConfig(0x18, 2, 1),)
        )
    )
    values = {"arch.hvm.pi_ops.flags": 3, "arch.hvm.pi_ops.vcpu_block": made.profile.symbol("vmx_vcpu_block")}
    made.put("domain", made.domain(1), values)
    return made


@pytest.fixture
def look(layout: Layout) -> Callable[[], Xen]:
    """Call it for the Xen that is found in that machine's memory as it now is."""
    return lambda: find(Simulation(Still(layout)))
