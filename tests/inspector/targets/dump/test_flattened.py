from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable
from inspector.targets.dump.elf_core import ElfCore
from inspector.targets.dump.file import File, is_flattened, source_of
from inspector.targets.dump.flattened import head_of
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range

Core = Callable[..., bytes]


def flat(blocks: list[tuple[int, bytes]], end: bool = True) -> bytes:
    head = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    return head + b"".join(struct.pack(">qq", at, len(data)) + data for at, data in blocks) + b"\xff" * 16 * end


def pieces(whole: bytes, size: int) -> list[tuple[int, bytes]]:
    return [(at, whole[at : at + size]) for at in range(0, len(whole), size)]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "flat"


@given(st.binary(min_size=1, max_size=300), st.integers(1, 90), st.integers(0, 320), st.integers(0, 90), st.randoms())
def test_what_it_stands_for(scratch: Path, whole: bytes, size: int, at: int, count: int, rng: object) -> None:
    blocks = pieces(whole, size)
    rng.shuffle(blocks)  # type: ignore[attr-defined]
    scratch.write_bytes(flat(blocks))
    file = File(scratch)
    try:
        assert is_flattened(file)
        source, warnings = source_of(file)
        assert (source.size, warnings) == (len(whole), [])
        assert source.read(at, count) == whole[at : at + count]
        assert head_of(file, size) == whole[:size]
    finally:
        file.close()


def test_an_elf_core_in_it(scratch: Path, elf_core: Core) -> None:
    whole = elf_core([(0x1000, 0, b"first" * 100), (0x3000, 0, b"other" * 100)])
    scratch.write_bytes(flat(pieces(whole, 70)))
    with open_file(scratch) as target:
        assert isinstance(target, ElfCore)
        assert target.memory() == [Range(0x1000, 0x1000 + 500), Range(0x3000, 0x3000 + 500)]
        assert target.read(0x3000, 10) == b"otherother"


def test_an_elf_core_cut_in_it(scratch: Path, elf_core: Core) -> None:
    """What no block holds is not readable; it is no sign that the file changed while it was read."""
    whole = elf_core([(0x1000, 0, b"first" * 100), (0x3000, 0, b"other" * 100)])
    blocks = pieces(whole, 70)
    del blocks[-4]
    scratch.write_bytes(flat(blocks, end=False))
    with open_file(scratch) as target:
        assert "no end mark" in target.warnings[0]
        assert target.read(0x1000, 5) == b"first"
        with pytest.raises(NotReadable) as caught:
            target.read(0x3000, 500)
        assert 0x3000 < caught.value.address < 0x3000 + 500
        assert caught.value.address + caught.value.size == 0x3000 + 500
