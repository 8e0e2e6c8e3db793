"""The words that README and the manual have for installing, run in a clean place: each brings a vtdpi that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = (ROOT / "docs" / "start.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
TOOLS = re.findall(r"`((?:pipx|uv tool) install [^`]*)`", START)
BY_PIP = re.findall(r"^python3 -m venv \.venv && .*vtdpi .*$", README, re.MULTILINE)

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sources alone."""
    there = tmp_path_factory.mktemp("clone") / "vtdpi"
    shutil.copytree(ROOT, there, ignore=shutil.ignore_patterns(".*", "_build", "__pycache__", "data", "findings"))
    shutil.copyfile(ROOT / ".gitignore", there / ".gitignore")
    yield there
    shutil.rmtree(there)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, unavailable) -> Iterator[Mapping[str, str]]:
    """With pipx and uv, which put everything into folders that are made for it."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    got = subprocess.run(
        [home / "venv/bin/pip", "install", "-q", "pipx", "uv"], capture_output=True, text=True, check=False
    )
    if got.returncode:
        unavailable(f"pipx and uv cannot be had: {got.stderr.strip()[-200:]}")
    names = ("PIPX_HOME", "PIPX_BIN_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR", "UV_CACHE_DIR", "XDG_STATE_HOME")
    places = {name: str(home / name.lower()) for name in names}
    path = [str(home / "venv/bin"), places["PIPX_BIN_DIR"], places["UV_TOOL_BIN_DIR"], os.environ["PATH"]]
    yield {**os.environ, **places, "PATH": os.pathsep.join(path), "UV_PYTHON": sys.executable}
    shutil.rmtree(home)


def run(command: Sequence[str] | str, clone: Path, environment: Mapping[str, str]) -> str:
    shell = isinstance(command, str)
    done = subprocess.run(command, cwd=clone, env=environment, shell=shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_the_pages_name_what_is_tried_here() -> None:
    assert TOOLS == ["pipx install .", "uv tool install ."]
    assert len(BY_PIP) == 1


@pytest.mark.parametrize("line", TOOLS)
def test_a_tool_installs_it_and_it_works(line: str, clone: Path, environment: Mapping[str, str]) -> None:
    run(line, clone, environment)
    folder = environment["PIPX_BIN_DIR" if line.startswith("pipx") else "UV_TOOL_BIN_DIR"]
    answered = run([f"{folder}/vtdpi", "sim", "vcpus"], clone, environment)
    assert answered.startswith("VCPU")


def test_uvx_runs_it_without_installing(clone: Path, environment: Mapping[str, str]) -> None:
    assert run("uvx --from . vtdpi sim vcpus", clone, environment).startswith("VCPU")


def test_the_first_command_of_readme(clone: Path, environment: Mapping[str, str]) -> None:
    assert run(BY_PIP[0], clone, environment).startswith("VCPU")
