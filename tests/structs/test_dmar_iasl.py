"""The DMAR table as ACPICA's `iasl` disassembles it: an oracle that shares nothing with the schema."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.acpi import EMPTY_HEADER, with_checksum
from structs.dmar import DMAR, STRUCTURE

FIELDS = Path(__file__).parents[1] / "data" / "field" / "dmar"
LINE = re.compile(r"\[[0-9A-F]+h \d+ +\w+\] +(.+?) : (.*)")
"""Offset, offset, length, then a field and its value; what the value means may follow in brackets."""
NUMBERS = frozenset(
    (
        *("Subtable Type", "Length", "PCI Segment Number", "Register Base Address", "Base Address"),
        *("End Address (limit)", "Proximity Domain", "Device Number"),
        *("Device Scope Type", "Entry Length", "Enumeration ID", "PCI Bus Number"),
    )
)

bytes_ = st.integers(0, 255)
words = st.integers(0, 0xFFFF)
quads = st.integers(0, (1 << 64) - 1)
hops = st.lists(st.builds(lambda d, f: {"device": d, "function": f}, bytes_, bytes_), min_size=1, max_size=3)
scopes = st.lists(
    st.builds(
        lambda kind, id, bus, path: {"type": kind, "enumeration_id": id, "start_bus": bus, "path": path},
        *(st.integers(1, 5), bytes_, bytes_, hops),
    ),
    max_size=3,
)
structures = st.one_of(
    st.builds(lambda s, b, c: {"type": 0, "body": {"segment": s, "base": b, "scopes": c}}, words, quads, scopes),
    st.builds(
        lambda s, b, e, c: {"type": 1, "body": {"segment": s, "base": b, "limit": e, "scopes": c}},
        *(words, quads, quads, scopes),
    ),
    st.builds(lambda s, c: {"type": 2, "body": {"segment": s, "scopes": c}}, words, scopes),
    st.builds(
        lambda b, p: {"type": 3, "body": {"base": b, "proximity_domain": p}}, quads, st.integers(0, (1 << 32) - 1)
    ),
    st.builds(
        lambda n, name: {"type": 4, "body": {"device_number": n, "object_name": name.encode() + b"\0"}},
        *(bytes_, st.from_regex(r"\\_SB(\.[A-Z][A-Z0-9]{3}){1,4}", fullmatch=True)),
    ),
)


@pytest.fixture(scope="session")
def iasl(unavailable: Callable[[object], NoReturn]) -> str:
    program = shutil.which("iasl")
    return program or unavailable("iasl is missing: install the package acpica-tools")


def disassembled(program: str, raw: bytes, directory: Path) -> list[tuple[str, int | str]]:
    """The fields that `iasl` finds in the table's structures, in order."""
    path = directory / "dmar.dat"
    path.write_bytes(raw)
    subprocess.run([program, "-p", directory / "out", "-d", path], capture_output=True, check=True)
    found: list[tuple[str, int | str]] = []
    for line in (directory / "out.dsl").read_text("latin-1").splitlines():
        if match := LINE.match(line):
            name, value = match[1].strip(), match[2].strip()
            if name in NUMBERS:
                found.append((name, int(value.split(" ")[0], 16)))
            elif name in ("PCI Path", "Device Name"):
                found.append((name, value))
    return found


def ours(raw: bytes) -> Iterator[tuple[str, int | str]]:
    """The same fields as the schema has them."""
    body = DMAR.parse(raw)["body"]
    assert body["rest"] == b""
    for structure in body["structures"]:
        of = structure["body"]
        yield "Subtable Type", structure["type"]
        yield "Length", len(STRUCTURE.build(structure))
        match structure["type"]:
            case 0:
                yield from (("PCI Segment Number", of["segment"]), ("Register Base Address", of["base"]))
            case 1:
                yield "PCI Segment Number", of["segment"]
                yield from (("Base Address", of["base"]), ("End Address (limit)", of["limit"]))
            case 2:
                yield "PCI Segment Number", of["segment"]
            case 3:
                yield from (("Base Address", of["base"]), ("Proximity Domain", of["proximity_domain"]))
            case 4:
                name = of["object_name"].split(b"\0")[0].decode()
                yield from (("Device Number", of["device_number"]), ("Device Name", f'"{name}"'))
        for scope in of.get("scopes", ()):
            yield from (("Device Scope Type", scope["type"]), ("Entry Length", scope["length"]))
            yield from (("Enumeration ID", scope["enumeration_id"]), ("PCI Bus Number", scope["start_bus"]))
            yield from (("PCI Path", f"{hop['device']:02X},{hop['function']:02X}") for hop in scope["path"])


@given(st.lists(structures, min_size=1, max_size=8))
def test_made_tables(iasl: str, tmp_path_factory: pytest.TempPathFactory, listed: list[dict[str, Any]]) -> None:
    body = {**EMPTY_HEADER, "haw": 38, "structures": listed}
    raw = with_checksum(DMAR.build({"signature": b"DMAR", "body": body}))
    assert disassembled(iasl, raw, tmp_path_factory.mktemp("iasl")) == list(ours(raw))


@pytest.mark.parametrize("name", ["andd", "base-dup", "base-zero", "two-segments"])
def test_tables_of_the_kinds_that_real_machines_have(iasl: str, tmp_path: Path, name: str) -> None:
    raw = (FIELDS / f"{name}.dat").read_bytes()
    assert disassembled(iasl, raw, tmp_path) == list(ours(raw))
