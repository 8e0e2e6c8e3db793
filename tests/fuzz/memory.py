"""Where a dump's bytes are, against plain models; and all commands on memory of which parts were changed."""

from __future__ import annotations

import random
import struct
from functools import cache

import numpy as np

from inspector.targets.dump.file import Extents
from inspector.targets.dump.page_bitmap import PageBitmap
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.memory.memory import PAGE
from sim_backend.scenario import scenario


def extents(luck: random.Random) -> None:
    """The first stretch that was given wins."""
    rows = [(luck.randrange(60), luck.randrange(25), luck.randrange(1000)) for _ in range(luck.randrange(12))]
    held: dict[int, int] = {}
    for start, size, offset in rows:
        for i in range(size):
            held.setdefault(start + i, offset + i)
    found = Extents(*([row[i] for row in rows] for i in range(3)))
    address, wanted = luck.randrange(-3, 90), []
    for at in range(address, address + 40):
        if at not in held:
            break
        wanted.append(held[at])
    assert [at + i for at, length in found.locate(address, 40) for i in range(length)] == wanted
    assert [at for r in found.ranges() for at in range(r.start, r.end)] == sorted(held)


def page_bitmap(luck: random.Random) -> None:
    """It is a set of page numbers."""
    raw = luck.randbytes(luck.randrange(1, 30)) * luck.choice([1, 1, 7])
    there = [page for page in range(len(raw) * 8) if raw[page // 8] >> page % 8 & 1]
    bitmap = PageBitmap(np.frombuffer(raw, np.uint8))
    assert bitmap.count() == len(there)
    page = luck.randrange(len(raw) * 8)
    assert bitmap.rank(page) == sum(other < page for other in there)
    last, known = page + luck.randrange(100), set(there)
    assert bitmap.first_missing(page, last) == next((p for p in range(page, last) if p not in known), None)
    firsts, ends = bitmap.limited(page).runs()
    assert [p for a, b in zip(firsts, ends, strict=True) for p in range(a, b)] == there[:page]


def flattened(whole: bytes, luck: random.Random) -> bytes:
    """A dump as `makedumpfile -F` writes it, in blocks of any order."""
    size = luck.choice([4096, 65536, 1 << 20])
    blocks = [(at, whole[at : at + size]) for at in range(0, len(whole), size)]
    luck.shuffle(blocks)
    head = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    return head + b"".join(struct.pack(">qq", at, len(data)) + data for at, data in blocks) + b"\xff" * 16


def unflattened(raw: bytes) -> bytes:
    """What a flattened dump stands for; what no block holds is zero."""
    whole, at = bytearray(), 4096
    while True:
        place, size = struct.unpack_from(">qq", raw, at)
        if place < 0:
            return bytes(whole)
        whole.extend(bytes(max(0, place + size - len(whole))))
        whole[place : place + size] = raw[at + 16 : at + 16 + size]
        at += 16 + size


@cache
def _machine() -> tuple[Machine, list[int]]:
    machine = Machine(scenario.load("one-device"), seed=1)
    machine.run(500)
    return machine, [at for at, _ in machine.memory.used_pages()]


def changed_memory(luck: random.Random) -> Simulation:
    """A machine with a few words of what it uses changed: pointers, counts, table entries."""
    machine, pages = _machine()
    made = machine.copy()
    for _ in range(luck.randint(1, 30)):
        value = luck.choice([0, (1 << 64) - 1, luck.getrandbits(64), luck.choice(pages) | luck.getrandbits(12)])
        at = luck.choice(pages) + 8 * luck.randrange(PAGE // 8)
        made.memory.write(at, value.to_bytes(8, "little"))
    return Simulation(made)
