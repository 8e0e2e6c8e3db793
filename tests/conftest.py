"""What all tests share: real captures, unpacked when first asked for; the rest stands by subject in tests/fixtures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
import zstandard
from hypothesis import HealthCheck, settings

from inspector.frontends.cli import main
from inspector.model.hex_members import numbers

from .fixtures.gdb import gdb, plugin, served, server
from .fixtures.kvm import debian_kvm, kvm_profile_of
from .fixtures.other_readers import other_readers
from .fixtures.spin import spin
from .fixtures.terminal import terminal
from .fixtures.xen import debian_xen, laid_out, profile_of, symbols

__all__ = [
    "debian_kvm",
    "debian_xen",
    "gdb",
    "kvm_profile_of",
    "laid_out",
    "other_readers",
    "plugin",
    "profile_of",
    "served",
    "server",
    "spin",
    "symbols",
    "terminal",
]
"""The fixtures that all tests have, by subject in `tests/fixtures`; beside these, those that stand here."""

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[1]

Unpacked = Callable[[str], Path]
Unavailable = Callable[[object], NoReturn]


EXAMPLES = {"quick": 20, "whole": 50, "thorough": 1000}
"""Examples that a property is tried with, by profile: the same ones in every run, but new ones where it is thorough."""

for name, count in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=count,
        derandomize=name != "thorough",
        # The machine may have other things to do; and a fixture that examples share is meant to be shared.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tests interrupt this process and others: what a shell starts in the background begins with that ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Many processes are started: compiled anew in each, our modules are a third of its start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    quick = "not thorough" in config.getoption("-m")
    settings.load_profile(config.getoption("--hypothesis-profile") or ("quick" if quick else "whole"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Where several processes share the tests, those that share a Xen stay together, for it takes long to start: those
    that use the labs of the whole run, or else those of a file. So do those that share a cluster.
    """
    for item in items:
        if item.get_closest_marker("live") and isinstance(item, pytest.Function):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            version = next(
                (parameters[name] for name in ("xen_version", "bench", "crash", "linux") if name in parameters), "4.20"
            )
            of = "lab" if "labs" in item.fixturenames else item.path.name
            item.add_marker(pytest.mark.xdist_group(f"{of} {version}"))
        elif isinstance(item, pytest.Function) and "dask" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("Dask"))


WATCHER = """
import os, signal, sys
sys.stdin.buffer.read()
mark = os.fsencode(sys.argv[1]) + b"/"
for name in os.listdir("/proc"):
    if name.isdecimal() and int(name) != os.getpid():
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if mark in file.read():
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            pass
"""


@pytest.fixture(scope="session", autouse=True)
def ended_with_us(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What was started with a path of this test run, a lab's QEMU above all, ends with this process, however it does.

    A process of its own waits for the end of its input, which only this one has.
    """
    words = [sys.executable, "-c", WATCHER, str(tmp_path_factory.getbasetemp())]
    watcher = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    assert watcher.stdin
    try:
        yield
    finally:
        watcher.stdin.close()
        watcher.wait(30)


@pytest.fixture(scope="session")
def unavailable() -> Unavailable:
    """Call it with what is missing and what helps: the test is skipped; where the variable CI is set, it fails."""

    def end(why: object) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(str(why))
        pytest.skip(str(why))

    return end


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


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], None]:
    """Call it with a question: it returns once the answer is yes, however slow the machine is within reason."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            time.sleep(0.005)

    return wait


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Call it with a size in bytes for a file system of that size; the test is skipped where none can be mounted."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def cli(capsys):
    """Call it with a command line without its `--json` for the document."""

    def run(*words):
        capsys.readouterr()
        main([*map(str, words), "--json"])
        document = numbers(json.loads(capsys.readouterr().out))
        # Who answered, and when.
        del document["vtdpi"]
        return document

    return run
