"""How large a benchmark is, by default small enough for every run of CI; and the tree that it is compared with."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

BEFORE = "9e7fa84"
"""The commit that the issues' figures are ratios to."""
ROOT = Path(__file__).parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-size", action="store_true", help="benchmarks of the sizes that the aims are about")


@pytest.fixture(scope="session")
def full_size(request: pytest.FixtureRequest) -> bool:
    """Whether the user has asked for it."""
    return bool(request.config.getoption("--full-size"))


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The tree of that commit; None where the clone does not have it."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", BEFORE], capture_output=True, check=False)
    if done.returncode:
        return None
    directory = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory
