"""Who may import whom, as pyproject.toml says; and that the tests stand where the code stands."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


def test_the_arrows_between_the_packages() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def has_behaviour(path: Path) -> bool:
    """Whether a function in a file does something: data, types and protocols are tested where they are used."""
    functions = (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, FUNCTIONS))
    return any(not is_text(part) for function in functions for part in function.body)


def is_text(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or three dots."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


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
    assert not missing, "write tests for " + ", ".join(sorted(missing))
