"""Cores of Xen guests, written as docs/misc/dump-core-format.txt has them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.domain_core import DomainCore
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range


def core(pages: dict[int, bytes], numbers: str = ".xen_pfn", context: bytes = bytes(5168)) -> bytes:
    """An ELF core with sections only: the pages of these numbers, and one vCPU."""
    pfns = b"".join(struct.pack("<Q", pfn) for pfn in pages)
    parts = {
        ".shstrtab": b"",
        ".note.Xen": bytes(64),
        ".xen_prstatus": context,
        ".xen_shared_info": bytes(4096),
        ".xen_pages": b"".join(pages.values()),
        numbers: pfns,
    }
    names = b"\0"
    starts = {}
    for name in parts:
        starts[name] = len(names)
        names += name.encode() + b"\0"
    parts[".shstrtab"] = names
    at = 64 + 64 * (len(parts) + 1)
    headers = bytes(64)
    data = b""
    for name, raw in parts.items():
        size = 5168 if name == ".xen_prstatus" else 0
        headers += struct.pack("<IIQQQQIIQQ", starts[name], 1, 0, 0, at + len(data), len(raw), 0, 0, 0, size)
        data += raw
    head = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 4, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, len(parts) + 1, 1
    )
    return head + headers + data


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "domain.core"


def test_a_guests_memory(scratch: Path) -> None:
    context = bytearray(5168)
    struct.pack_into("<Q", context, 5008, 0x1234000)
    struct.pack_into("<Q", context, 648, 0xFFFF82D040200000)
    pages = {5: b"five" * 1024, 3: b"3..." * 1024, 4: b"four" * 1024, 0x100000: b"high" * 1024, 2**64 - 1: bytes(4096)}
    scratch.write_bytes(core(pages, context=bytes(context)))
    with open_file(scratch) as target:
        assert isinstance(target, DomainCore)
        assert target.memory() == [Range(0x3000, 0x6000), Range(1 << 32, (1 << 32) + 4096)]
        assert target.read(0x3FFC, 8) == b"3...four"
        assert [dict(cpu.registers) for cpu in target.cpus()] == [
            {"rip": 0xFFFF82D040200000, "eflags": 0, "rsp": 0, "cr3": 0x1234000}
        ]
        with pytest.raises(NotReadable):
            target.read(0x2FFF, 2)


def test_what_is_cut_is_told(scratch: Path) -> None:
    whole = core({1: b"a" * 4096, 2: b"b" * 4096})
    table = 16
    scratch.write_bytes(whole[: -table - 100])
    with pytest.raises(TargetError, match="holds no memory"):
        DomainCore(scratch)
    scratch.write_bytes(core({1: b"a" * 4096}, numbers=".xen_p2m"))
    with pytest.raises(TargetError, match="paravirtualised domain"):
        open_file(scratch)
    scratch.write_bytes(core({1: b"a" * 4096}, numbers=".other"))
    with pytest.raises(TargetError, match="it is damaged"):
        open_file(scratch)


@given(st.integers(0, 9000), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6))
def test_damage_never_ends_in_a_traceback(
    scratch: Path, use_damaged: Callable[..., None], cut: int, flips: list[tuple[int, int]]
) -> None:
    raw = bytearray(core({1: b"a" * 4096, 9: b"b" * 4096}))
    raw = raw[: cut if cut % 2 else None]
    for at, value in flips:
        if at < len(raw):
            raw[at] = value
    scratch.write_bytes(raw or b"\0")
    use_damaged(open_file, scratch)
