"""The prompt: how soon it takes a key, and how long a key press takes with 10,000 completions; printed, not judged."""

from __future__ import annotations

import os
import re
import select
import statistics
import sys
import time
from pathlib import Path

import pexpect
import pytest

from sim_backend.debug.elf_core import write_core
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.layout.vtd import irte
from sim_backend.machine.registers import Still
from structs.irte import REMAPPED

ROOT = Path(__file__).parents[2]
ENTRIES = 10_000


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with 10,000 present entries in its remapping table."""
    layout = Layout(LayoutConfig(domains=(DomainConfig(1, 4),), devices=(DeviceConfig(0x0018, 2),)))
    unit = layout.units[0]
    for index in range(0x100, 0x100 + ENTRIES):
        entry = REMAPPED.build({"p": 1, "vector": 0x20 + index % 200, "svt": 1, "sid": 0x0018})
        layout.memory.write(irte(unit, index), entry)
    path = tmp_path_factory.mktemp("core") / "machine.core"
    write_core(Still(layout), path)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    home = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    return {**clean, **home, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}


def start(words: list[str], environment: dict[str, str]) -> pexpect.spawn:
    child = pexpect.spawn(
        sys.executable, ["-m", "inspector.frontends.cli", *words], env=environment, dimensions=(40, 120), timeout=20
    )
    child.delaybeforesend = None
    return child


@pytest.mark.parametrize("target", ["sim", "dump"])
def test_start_to_prompt(
    target: str, core: Path, environment: dict[str, str], full_size: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until a key that was typed is echoed: the prompt is then there to be used."""
    times = []
    for _ in range(7 if full_size else 3):
        began = time.perf_counter()
        child = start([target, str(core)] if target == "dump" else [], environment)
        child.expect_exact(">")
        child.send("i")
        child.expect("i")
        times.append(time.perf_counter() - began)
        child.close(force=True)
    with capsys.disabled():
        median, best = statistics.median(times), min(times)
        print(f"\n{target}: start to prompt: median {median:.3f} s, best {best:.3f} s (aim 0.4)", end="")


def test_a_key_press_with_many_completions(
    core: Path, environment: dict[str, str], full_size: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    child = start(["dump", str(core)], environment)
    child.expect_exact("core>")
    child.send("irte ")
    child.expect(re.compile(rb"0x0000"))
    time.sleep(0.5)
    times = []
    for key in "0x0\b\b\b0x1\b\b\bx0\b\b0x20" * (2 if full_size else 1):
        drain(child)
        began = time.perf_counter()
        os.write(child.child_fd, b"\x7f" if key == "\b" else key.encode())
        drawn = b""
        while key != "\b" and key.encode() not in drawn:
            drawn += os.read(child.child_fd, 1 << 16)
        if key != "\b":
            times.append(time.perf_counter() - began)
    child.close(force=True)
    worst, median = max(times) * 1e3, statistics.median(times) * 1e3
    with capsys.disabled():
        print(f"\na key press with {ENTRIES:,} completions: median {median:.1f} ms (aim 20), worst {worst:.1f} ms")


def drain(child: pexpect.spawn) -> None:
    """Read what is still being drawn."""
    while select.select([child.child_fd], [], [], 0.4)[0]:
        os.read(child.child_fd, 1 << 16)


def test_completions_are_that_many(core: Path) -> None:
    from inspector.repl import objects
    from inspector.shell.opening import Opening
    from inspector.shell.session import Session
    from inspector.targets.open_file import open_file

    with Session(Opening(lambda: open_file(core))) as session:
        assert len(objects.known("INDEX")(session.inspection)) > ENTRIES
