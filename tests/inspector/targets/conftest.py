"""A small writer of ELF cores, and what a file must never do to its reader."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from inspector.base.errors import VtdpiError
from inspector.targets.target import Target

Answer = TypeVar("Answer")
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


def use(opener: Callable[[Path], Target], path: Path) -> None:
    """Open a damaged file and read from it: each step ends in an answer or in one line, or the test fails."""
    target = one_line(lambda: opener(path))
    if target is None:
        return
    with target:
        target.cpus()
        for part in (target.memory() or ())[:3]:
            for address, size in ((part.start, 8), (part.end - 8, 8), (part.start, min(part.size, 1 << 16))):
                data = one_line(lambda at=address, n=size: target.read(at, n))
                assert data is None or len(data) == size


def one_line(step: Callable[[], Answer]) -> Answer | None:
    """What a step answers; None if it raises a VtdpiError, whose message must be one line."""
    complaint = ""
    try:
        return step()
    except VtdpiError as error:
        complaint = str(error)
    assert complaint
    assert "\n" not in complaint
    return None


@pytest.fixture(scope="session")
def elf_note() -> Callable[..., bytes]:
    return note


@pytest.fixture(scope="session")
def elf_core() -> Callable[..., bytes]:
    return core


@pytest.fixture(scope="session")
def use_damaged() -> Callable[..., None]:
    return use
