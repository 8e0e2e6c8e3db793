"""Real captures, unpacked when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

DATA = Path(__file__).parent / "data"

Unpacked = Callable[[str], Path]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of captures."""
    return DATA


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """Call it with a file's name in tests/data, less its .zst, for the path of it unpacked. Do not write to it."""
    directory = tmp_path_factory.mktemp("unpacked")

    def unpack(name: str) -> Path:
        path = directory / name.replace("/", "-")
        if not path.exists():
            with (DATA / f"{name}.zst").open("rb") as packed, path.open("wb") as plain:
                zstandard.ZstdDecompressor().copy_stream(packed, plain)
        return path

    return unpack


@pytest.fixture(scope="session")
def golden(unpacked: Unpacked) -> Unpacked:
    """Call it with the name of a golden capture (`lost-wakeup`) for the path of its ELF core."""
    return lambda name: unpacked(f"golden/xen-4.20.3-{name}.core")
