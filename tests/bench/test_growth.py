"""Much of everything: CPU seconds of whole command lines, beside those of commit 9e7fa84; printed, never asserted.

An eighth of the entries, vCPUs and CPUs, but with `--full-size`.
"""

from __future__ import annotations

import json
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.model.snapshot import FORMAT
from structs.acpi import EMPTY_HEADER, RSDT, with_checksum
from tests.bench.conftest import BEFORE
from tests.inspector.conftest import DMAR_AT, DRHD, QUEUE, RSDP_AT, RSDT_AT, TABLE, Image, dmar, with_rsdp

ROOT = Path(__file__).parents[2]
ENTRIES, VCPUS, CPUS = 65536, 4096, 4095
LONGEST = 60


@pytest.fixture(scope="module")
def share(full_size: bool) -> int:
    """What the sizes are divided by."""
    return 1 if full_size else 8


@pytest.fixture
def compare(before, capsys) -> Callable[..., None]:
    """Runs a command line in this tree and in the old one, and prints both."""

    def seconds(tree: Path, module: str, words: tuple[object, ...]) -> float:
        start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, "-m", module, *map(str, words)]
        try:
            subprocess.run(command, cwd=tree, capture_output=True, timeout=LONGEST, check=False)
        except subprocess.TimeoutExpired:
            return float("inf")
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start

    def run(what: str, *words: object) -> None:
        now = seconds(ROOT, "inspector.frontends.entry", words)
        then = seconds(before, "inspector.cli", words) if before else None
        with capsys.disabled():
            old = "not in this clone" if then is None else f"{then:.2f} s, {then / now:.1f} times as long"
            print(f"\n{what}: {now:.2f} s of CPU; {BEFORE}: {old}")

    return run


@pytest.fixture(scope="module")
def many_vcpus(tmp_path_factory, share) -> Path:
    luck = random.Random(1)
    vcpus = [
        {
            "domain": number // 64 + 1,
            "vcpu": number % 64,
            "address": 0xFFFF830000000000 + number * 0x2000,
            "hvm": True,
            "cpu": number % 64,
            "runstate": luck.choice(["running", "blocked", "runnable"]),
            "is_running": False,
            "pause_flags": luck.choice([0, 1]),
            "hooks": ["block", "switch_from", "switch_to"],
            "pi": {
                "address": 0x10000000 + number * 64,
                "pir": sorted(luck.sample(range(32, 256), 3)),
                "on": 1,
                "sn": 0,
                "nv": 0xF4,
                "ndst": number % 64,
            },
        }
        for number in range(VCPUS // share)
    ]
    known = {"version": "4.20.3", "intpost": True, "x2apic": True, "posted_intr_vector": 0xF4, "pi_wakeup_vector": 0xF3}
    cpus = [{"cpu": cpu, "apic_id": cpu} for cpu in range(64)]
    path = tmp_path_factory.mktemp("many") / "vcpus.json"
    path.write_text(
        json.dumps({"format": FORMAT, "schema": 1, "target": "many", **known, "cpus": cpus, "vcpus": vcpus})
    )
    return path


def test_many_vcpus(many_vcpus, share, compare):
    for command in ("vcpus", "vcpus --json", "audit", "info"):
        compare(f"{VCPUS // share} vCPUs, {command}", "dump", many_vcpus, *command.split())


def test_a_full_table(tmp_path, share, compare):
    image = Image(tmp_path / "machine.raw")
    image.path.touch()
    image.register(0xFFF, 0, 1)
    image.put(RSDP_AT, with_rsdp(RSDT_AT))
    image.put(
        RSDT_AT, with_checksum(RSDT.build({"signature": b"RSDT", "body": {**EMPTY_HEADER, "entries": [DMAR_AT]}}))
    )
    image.put(DMAR_AT, dmar(DRHD))
    for offset, value, size in (
        *((0x00, 0x10, 4), (0x08, 0x08D2008C22260206, 8), (0x10, 0xF00F5A, 8)),
        *((0x1C, 0x47000000, 4), (0x90, QUEUE, 8), (0xB8, TABLE | 0xF, 8)),
    ):
        image.register(offset, value, size)
    entries = ((1 | (n % 200 + 32) << 16 | (n % 64) << 40, 1 << 18 | n) for n in range(ENTRIES // share))
    image.put(TABLE, b"".join(struct.pack("<QQ", *entry) for entry in entries))
    for command in ("audit", "irt", "irt --json"):
        compare(f"{ENTRIES // share} entries, {command}", "dump", image.path, *command.split())


def test_many_cpus_each_with_its_own_page_table_and_no_xen(tmp_path, share, compare):
    cpus = CPUS // share
    notes = b"".join(
        _note(b"CORE", 1, bytes(336)) + _note(b"QEMU", 0, _state(0x100000 + cpu * 4096)) for cpu in range(cpus)
    )
    ram = 64 << 20
    at = -(-(64 + 2 * 56 + len(notes)) // 4096) * 4096
    head = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(notes), 0, 4)
    head += struct.pack("<IIQQQQQQ", 1, 6, at, 0, 0, ram, ram, 4096)
    memory = bytearray(ram)
    for cpu in range(cpus):
        for slot, other in ((261, cpu + 1), (416, cpu * 7)):
            entry = 0x63 | 0x100000 + other % cpus * 4096
            struct.pack_into("<Q", memory, 0x100000 + cpu * 4096 + slot * 8, entry)
    path = tmp_path / "many.core"
    with path.open("wb") as file:
        file.write(head + notes)
        file.seek(at)
        file.write(memory)
    compare(f"{cpus} CPUs with page tables of their own, no Xen, info", "dump", path, "info")


def _note(owner: bytes, kind: int, data: bytes) -> bytes:
    name = owner + b"\0"
    return b"".join((struct.pack("<III", len(name), len(data), kind), name, bytes(-len(name) % 4), data))


def _state(cr3: int) -> bytes:
    state = bytearray(0x1B8)
    struct.pack_into("<II", state, 0, 1, len(state))
    struct.pack_into("<Q", state, 416, cr3)
    return bytes(state)
