"""How many of vtdpi's files execute for a command at a prompt: printed, never asserted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from inspector.frontends.target_words import open_target
from inspector.shell.opening import Opening
from inspector.shell.script import run_line
from inspector.shell.session import Session
from inspector.targets.options import SimOptions

ROOT = Path(__file__).parents[2]
OURS = tuple(str(ROOT / package) + "/" for package in ("inspector", "sim_backend", "structs"))


def executed(act: Callable[[], object]) -> set[str]:
    """The files of ours in which a function is called while it acts."""
    seen: set[str] = set()

    def called(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS) and frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename.removeprefix(f"{ROOT}/"))

    sys.setprofile(called)
    try:
        act()
    finally:
        sys.setprofile(None)
    return seen


def test_a_post_at_a_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(Opening(lambda: open_target(SimOptions("idle")))) as session:
        run_line(session, "run 10000")
        files = executed(lambda: run_line(session, "post 00:03.0 0"))
    counts = {package: sum(name.startswith(package) for name in files) for package in ("inspector", "sim_backend")}
    with capsys.disabled():
        print(f"\nfiles that execute for `post` at a prompt: {len(files)} (aim 18): {counts}")
        print("\n".join(f"  {name}" for name in sorted(files)))
