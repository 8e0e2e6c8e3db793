"""Every record and every real capture, for the tests of structs/."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from elftools.elf.elffile import ELFFile

import structs
from structs.bits import BitRecord, Tagged
from structs.irte import POSTED, REMAPPED
from structs.registers import Register

DATA = Path(__file__).parents[1] / "data"
GOLDEN = sorted((DATA / "golden").glob("*.expected.json"))
LIVE = sorted(path.parent for path in (DATA / "live").glob("*/irt.bin.gz"))

ROW = re.compile(r"([RP]):\s+([0-9a-f]{4}):((?:\s+[0-9a-f]+)+)\s*$", re.MULTILINE)
ROW_FIELDS = {
    "R": (REMAPPED, ("svt", "sq", "sid", "vector", "avail", "fpd", "dst", "dlm", "tm", "rh", "dm", "p")),
    "P": (POSTED, ("svt", "sq", "sid", "vector", "avail", "fpd", "pda", "urg", "p")),
}


def found_in(value: object) -> Iterator[BitRecord | Tagged]:
    """The records that a module's global is, or holds."""
    if isinstance(value, BitRecord):
        yield value
    elif isinstance(value, Tagged):
        yield value
        yield from value.records
    elif isinstance(value, Register):
        yield value.record
    elif isinstance(value, tuple | list):
        for item in value:
            yield from found_in(item)
    elif isinstance(value, dict):
        yield from found_in(list(value.values()))


def schemas() -> dict[str, BitRecord | Tagged]:
    """All records and tagged records of the package, by module and title."""
    found: dict[int, tuple[str, BitRecord | Tagged]] = {}
    for info in pkgutil.iter_modules(structs.__path__):
        if not info.ispkg:
            module = importlib.import_module(f"structs.{info.name}")
            for name, value in vars(module).items():
                for schema in found_in(value):
                    title = schema.title if isinstance(schema, BitRecord) else name
                    found.setdefault(id(schema), (f"{info.name}: {title}, {schema.size} bytes", schema))
    return dict(found.values())


ALL = schemas()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes one of these names runs once for each of its values."""
    choices: dict[str, dict[str, Any]] = {
        "schema": ALL,
        "record": {name: schema for name, schema in ALL.items() if isinstance(schema, BitRecord)},
        "tagged": {name: schema for name, schema in ALL.items() if isinstance(schema, Tagged)},
        "golden": {path.name.removesuffix(".expected.json"): path for path in GOLDEN},
        "live": {path.name: path for path in LIVE},
    }
    for name, values in choices.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, list(values.values()), ids=list(values))


@pytest.fixture
def core_reader() -> Callable[[Path], Callable[[int, int], bytes]]:
    """Opens a capture's core and gives a function that reads physical memory from it."""

    def open_core(expected: Path) -> Callable[[int, int], bytes]:
        packed = expected.with_name(expected.name.replace(".expected.json", ".core.zst")).read_bytes()
        raw = zstandard.ZstdDecompressor().stream_reader(packed).read()
        segments = [
            (segment["p_paddr"], segment["p_offset"], segment["p_filesz"])
            for segment in ELFFile(io.BytesIO(raw)).iter_segments("PT_LOAD")
        ]

        def read(address: int, size: int) -> bytes:
            for start, offset, length in segments:
                if start <= address and address + size <= start + length:
                    return raw[offset + address - start :][:size]
            raise LookupError(f"{address:#x} is not in the core")

        return read

    return open_core


@pytest.fixture
def expected(golden: Path) -> list[dict[str, Any]]:
    """What a capture must decode to: a list of vCPUs."""
    vcpus = json.loads(golden.read_text())["vcpus"]
    assert isinstance(vcpus, list)
    return vcpus


@pytest.fixture
def table(live: Path) -> bytes:
    """The interrupt-remapping table of a live capture."""
    return gzip.decompress((live / "irt.bin.gz").read_bytes())


@pytest.fixture
def debug_keys(live: Path) -> str:
    """What Xen's debug keys printed at the moment of a live capture."""
    return (live / "debug-keys.txt").read_text(errors="replace")


@pytest.fixture
def printed_entries(debug_keys: str) -> dict[int, tuple[BitRecord, dict[str, int]]]:
    """The rows of debug key V: index -> the record of the row's format, and the fields as Xen printed them."""
    printed = {}
    for kind, index, values in ROW.findall(debug_keys):
        record, names = ROW_FIELDS[kind]
        printed[int(index, 16)] = record, dict(zip(names, (int(v, 16) for v in values.split()), strict=True))
    assert printed
    return printed
