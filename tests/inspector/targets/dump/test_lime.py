from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.lime import Lime
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range


def lime(*parts: tuple[int, bytes]) -> bytes:
    headers = (struct.pack("<4sIQQ8x", b"EMiL", 1, at, at + len(raw) - 1) + raw for at, raw in parts)
    return b"".join(headers)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "memory.lime"


def test_ranges_at_their_addresses(scratch: Path) -> None:
    scratch.write_bytes(lime((0x1000, b"low." * 1024), (1 << 32, b"high" * 2048)))
    with open_file(scratch) as target:
        assert isinstance(target, Lime)
        assert target.memory() == [Range(0x1000, 0x2000), Range(1 << 32, (1 << 32) + 8192)]
        assert target.read((1 << 32) + 4096, 8) == b"highhigh"
        assert list(target.warnings) == []
        with pytest.raises(NotReadable):
            target.read(0x1FFF, 2)


def test_what_is_cut_or_damaged_is_told(scratch: Path) -> None:
    whole = lime((0x1000, b"a" * 4096), (0x5000, b"b" * 4096))
    for raw, words in (
        (whole[:-100], "3996 of the 4096 bytes from 0x5000 on are there"),
        (whole[: 32 + 4096 + 7], "cut short within the header"),
        (whole[: 32 + 4096] + b"what" + bytes(60), "damaged"),
        (lime((0x1000, b"a" * 4096)) + struct.pack("<4sIQQ8x", b"EMiL", 1, 9, 3), "damaged"),
    ):
        scratch.write_bytes(raw)
        with Lime(scratch) as target:
            assert words in target.warnings[0]
            assert target.read(0x1000, 4) == b"aaaa"
    scratch.write_bytes(b"EMiL" + bytes(28))
    with pytest.raises(TargetError, match="holds no memory"):
        Lime(scratch)


@given(st.integers(0, 8256), st.lists(st.tuples(st.integers(0, 4200), st.integers(0, 255)), max_size=5))
def test_damage_never_ends_in_a_traceback(
    scratch: Path, use_damaged: Callable[..., None], cut: int, flips: list[tuple[int, int]]
) -> None:
    raw = bytearray(lime((0x1000, b"a" * 4096), (0x5000, b"b" * 4096))[: cut or None])
    for at, value in flips:
        if at < len(raw):
            raw[at] = value
    scratch.write_bytes(raw or b"\0")
    use_damaged(Lime, scratch)
