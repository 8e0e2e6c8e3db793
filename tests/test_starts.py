"""What each kind of start loads: nothing that it does not need, so that a command costs little more than it does."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from inspector.model.snapshot import Descriptor, Snapshot, Vcpu, dumps

TOP = Path(__file__).parents[1]
LOADED = """
import json, sys
from inspector.frontends.entry import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
NUMPY, CONSTRUCT, MSGSPEC = {"numpy"}, {"construct"}, {"msgspec", "typing_extensions"}
"""Packages of others; msgspec brings the other one."""
OURS = {"inspector", "structs", "sim_backend", "vtdpi"}
SLOW = {"asyncio", "concurrent.futures", "importlib.metadata", "logging", "numpy.ma", "tempfile", "unittest"}
"""Modules that take milliseconds, and that no command below has a use for."""


def loaded(*words: object) -> set[str]:
    """The modules that a command has loaded when it ends, in a Python without what a virtual environment starts."""
    command = [sys.executable, "-c", LOADED, *map(str, words)]
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    modules: list[str] = json.loads(done.stderr.splitlines()[-1])
    return set(modules)


def packages(modules: set[str]) -> set[str]:
    """The packages of others among them; compiled ones have helpers whose names begin with `_`."""
    tops = {name.partition(".")[0] for name in modules} - {"__main__", "cython_runtime"} - OURS
    return {top for top in tops - sys.stdlib_module_names - begun_with() if not top.startswith("_")}


@cache
def begun_with() -> set[str]:
    """The packages that this Python itself starts with."""
    return {name.partition(".")[0] for name in loaded("--version")}


def test_help_and_version_load_no_package() -> None:
    for words in ("--help", "--version"):
        modules = loaded(words)
        assert not {name for name in modules if name.partition(".")[0] in NUMPY | CONSTRUCT | MSGSPEC | {"rich"}}
        assert not modules & SLOW


@pytest.mark.parametrize("words", [("irt", "--json"), ("info", "--json"), ("vcpus", "--json"), ("audit", "--json")])
def test_a_dump(words: tuple[str, ...], unpacked: Callable[[str], Path]) -> None:
    modules = loaded("dump", unpacked("golden/xen-4.20.3-lost-wakeup.core"), *words)
    assert packages(modules) <= NUMPY | CONSTRUCT
    assert not modules & SLOW


def test_a_log_parses_no_record(data: Path) -> None:
    modules = loaded("dump", data / "live" / "xen-4.20.3_qemu-7.2_dom0" / "debug-keys.txt", "irqs", "--json")
    assert packages(modules) <= NUMPY
    assert not modules & SLOW


def test_a_snapshot_without_tables_needs_no_numpy(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(
        dumps(Snapshot("a machine", vcpus=(Vcpu(1, 0, hvm=True, pi=Descriptor(0x1000, (), 0, 0, 0xF4, 0)),)))
    )
    modules = loaded("dump", path, "vcpus", "--json")
    assert not packages(modules)
    assert not modules & SLOW


@pytest.mark.parametrize("words", [("sim", "vcpus", "--json"), ("explore", "h-a", "--json")])
def test_the_simulation(words: tuple[str, ...]) -> None:
    modules = loaded(*words)
    assert packages(modules) <= NUMPY | CONSTRUCT | MSGSPEC
    assert not modules & SLOW - {"tempfile"}


def test_records_are_made_by_the_decorator_that_compiles_nothing() -> None:
    """`dataclass(frozen=True)` alone takes half a millisecond a class (see `structs.frozen`)."""
    found = [
        f"{path.relative_to(TOP)}:{decorator.lineno}"
        for package in ("inspector", "sim_backend", "structs")
        for path in (TOP / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator) in ("dataclass(frozen=True)", "dataclass(frozen=True, kw_only=True)")
    ]
    assert not found, "use structs.frozen.frozen"
