"""Who may import whom, as pyproject.toml says; and that the tests stand where the code stands."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef

IN_QEMU = "starts QEMU: tests/live/test_lab.py, and tests/inspector/lab/hvm"
LIVE = "speaks to a real gdb: tests/live/test_gdb_mi.py, and test_landlock.py beside where its test would be"
BOCHS = "tests/inspector/targets/live/test_bochs_*.py, and tests/live/test_hvm_lab.py with a real Bochs"
THROUGH_OTHERS = "no test of its own yet; what uses it is tested"

UNTESTED_ALONE = {
    "inspector/frontends/lab_cli.py": IN_QEMU,
    "inspector/frontends/profile_cli.py": THROUGH_OTHERS,
    "inspector/targets/live/bochs.py": BOCHS,
    "inspector/targets/live/gdb_mi.py": LIVE,
}
"""Files without a test file in their place, and why. To be made shorter, never longer."""


def test_the_arrows_between_the_packages() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def has_behaviour(path: Path) -> bool:
    """Whether a function in a file does something: data, types and protocols are tested where they are used."""
    functions = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, FUNCTIONS)]
    return any(not isinstance(part, ast.Expr | ast.Pass) for function in functions for part in function.body) or any(
        isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) for one in functions for part in one.body
    )


def without_test() -> set[str]:
    """The files of inspector/ and sim_backend/ that have no test file in their place: x/y.py has tests/x/test_y.py."""
    return {
        path.relative_to(TOP).as_posix()
        for package in ("inspector", "sim_backend")
        for path in (TOP / package).rglob("*.py")
        if path.name != "__init__.py"
        and has_behaviour(path)
        and not (TOP / "tests" / path.relative_to(TOP)).with_name(f"test_{path.name}").exists()
    }


def test_every_file_has_a_test_file_in_its_place() -> None:
    missing = without_test()
    assert missing <= UNTESTED_ALONE.keys(), "write tests for " + ", ".join(sorted(missing - UNTESTED_ALONE.keys()))
    assert missing >= UNTESTED_ALONE.keys(), "take out of UNTESTED_ALONE " + ", ".join(UNTESTED_ALONE.keys() - missing)
