"""Real captures, unpacked when first asked for, and real terminals."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import pexpect
import pytest
import zstandard
from hypothesis import HealthCheck, settings

from inspector.frontends.cli import main
from inspector.gdb_plugin import install
from inspector.lab import LabError, Missing
from inspector.lab.packages import tree
from inspector.lab.xen import Build, debian
from inspector.profiles.store import of_symbols
from sim_backend.debug.gdb_server import GdbServer
from sim_backend.explore.promela import write
from sim_backend.explore.search import Search
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import Scenario, load

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[1]

# How long an example takes tells of what else the machine does.
settings.register_profile("vtdpi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vtdpi")

Unpacked = Callable[[str], Path]
Unavailable = Callable[[object], NoReturn]


def pytest_configure() -> None:
    """Tests interrupt this process and others: what a shell starts in the background begins with that ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Where several processes share the tests, those that need the same Xen stay together: it takes long to start."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if item.get_closest_marker("live"):
            version = parameters.get("xen_version", parameters.get("bench", "4.20"))
            item.add_marker(pytest.mark.xdist_group(f"Xen {version}"))


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


OWN = ("NO_COLOR", "FORCE_COLOR", "TMUX", "COLUMNS", "LINES")
"""Variables that speak of the terminal that the tests run in."""


class Terminal:
    """A real terminal (tmux) in which a `vtdpi` command line runs.

    Args:
        directory: for tmux's socket and the user's configuration and history.
        words: the command line.
        environment: set besides the tests' own.
    """

    def __init__(
        self, directory: Path, words: Sequence[object], environment: Mapping[str, str], width: int, height: int
    ) -> None:
        self._tmux = ["tmux", "-S", str(directory / f"tmux-{time.monotonic_ns()}")]
        config = directory / "tmux.conf"
        config.write_text("set -g status off\nset -s escape-time 0\n")
        clean = {name: value for name, value in os.environ.items() if name not in OWN}
        home = {"XDG_STATE_HOME": str(directory / "state"), "XDG_CONFIG_HOME": str(directory / "config")}
        inside = {**home, "PYTHONPATH": str(ROOT), "TERM": "screen-256color", "LESS": "", **environment}
        vtdpi = [
            *(f"{k}={v}" for k, v in inside.items()),
            sys.executable,
            "-m",
            "inspector.frontends.cli",
            *map(str, words),
        ]
        command = f"trap : INT; env {shlex.join(vtdpi)}; echo ended with status $?; sleep 600"
        size = ["-x", str(width), "-y", str(height)]
        subprocess.run(
            [*self._tmux, "-f", str(config), "new-session", "-d", *size, command], env=clean, check=True, timeout=10
        )

    def type(self, text: str) -> None:
        """Type characters."""
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names: Enter, Tab, C-c, Right."""
        self._run("send-keys", *keys)

    def enter(self, text: str) -> None:
        """Type a line."""
        self.type(text)
        self.press("Enter")

    def interrupt(self, said: str) -> None:
        """Press Ctrl-C until the command that was entered says that it notices: it may not have begun."""
        # Too early a Ctrl-C would cancel the line before it is taken.
        time.sleep(0.5)
        self._press_until("C-c", said, "not interrupted")

    def resize(self, width: int, height: int) -> None:
        """Change the window's size."""
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, escapes: bool = False) -> str:
        """What is on the screen now."""
        return self._run("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait(self, *texts: str, seconds: float = 30) -> str:
        """The screen, once it shows all of these."""
        return self.until(lambda screen: all(text in screen for text in texts), f"no {texts!r}", seconds)

    def until(self, holds: Callable[[str], bool], what: str, seconds: float = 30) -> str:
        """The screen, once something holds for it."""
        deadline = time.monotonic() + seconds
        while not holds(screen := self.screen()):
            assert time.monotonic() < deadline, f"{what} on the screen:\n{screen}"
            time.sleep(0.02)
        return screen

    def ended(self, seconds: float = 30) -> int:
        """The exit status, once the command has ended."""
        screen = self.until(lambda screen: "ended with status" in screen, "it has not ended", seconds)
        return int(screen.rpartition("ended with status ")[2].split()[0])

    def leave(self) -> int:
        """Press Ctrl-D until the command has ended, for one that comes before the prompt is lost; its exit status."""
        self._press_until("C-d", "ended with status", "it has not ended")
        return self.ended()

    def _press_until(self, key: str, said: str, what: str) -> None:
        def pressed(screen: str) -> bool:
            if said not in screen:
                self.press(key)
                time.sleep(0.2)
            return said in screen

        self.until(pressed, what)

    def close(self) -> None:
        """End it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False, timeout=10)

    def _run(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, timeout=10).stdout


@pytest.fixture
def terminal(tmp_path: Path, unavailable: Unavailable) -> Iterator[Callable[..., Terminal]]:
    """Call it with a `vtdpi` command line for a terminal that runs it; one user's configuration and history for all."""
    if not shutil.which("tmux"):
        unavailable("tmux is missing: install the package tmux")
    opened: list[Terminal] = []

    def start(*words: object, width: int = 110, height: int = 30, **environment: str) -> Terminal:
        for earlier in opened:
            earlier.close()
        opened.append(Terminal(tmp_path, words, environment, width, height))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


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


@pytest.fixture(scope="session")
def debian_xen(unavailable: Unavailable) -> Callable[[str], Build]:
    """Call it with a release number (`4.20`) for Debian's build of it."""

    def build(number: str) -> Build:
        try:
            return debian(number, lambda line: print(line, file=sys.stderr))
        except LabError as error:
            unavailable(error)

    return build


@pytest.fixture(scope="session")
def symbols(debian_xen: Callable[[str], Build], unavailable: Unavailable) -> Path:
    """Debian's xen-syms 4.20, which has DWARF; and there is a gdb to read it."""
    if not shutil.which("gdb"):
        unavailable("gdb is missing: install the package gdb")
    found = debian_xen("4.20").symbols
    assert found
    return found


@pytest.fixture(scope="session")
def profile_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Call it with a xen-syms for the file of its profile: by that a simulated machine is laid out as this build is."""
    directory = tmp_path_factory.mktemp("profiles")

    def write(symbols: Path) -> str:
        profile = of_symbols(symbols)
        path = directory / f"{profile.build_id}.json"
        path.write_text(json.dumps(profile.document))
        return str(path)

    return write


@pytest.fixture
def laid_out(symbols: Path, profile_of: Callable[[Path], str]) -> Callable[[str], Scenario]:
    """Call it with a scenario's name for it on a machine that is laid out as Debian's Xen 4.20."""

    def scenario(name: str) -> Scenario:
        found = load(name)
        return replace(found, layout=replace(found.layout, profile=profile_of(symbols)))

    return scenario


@pytest.fixture
def server(machine: Machine, symbols: Path) -> Iterator[GdbServer]:
    """The gdb stub of the simulated machine that the test's module defines."""
    with GdbServer(machine) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        server.stop()
        thread.join(10)


@dataclass(frozen=True)
class Spun:
    """What SPIN printed of a run, and the CPU time that it took; memory is that of states and their table, in bytes."""

    states: int
    transitions: int
    depth: int
    memory: float
    seconds: float


@pytest.fixture(scope="session")
def spin(tmp_path_factory: pytest.TempPathFactory, unavailable: Unavailable) -> Callable[..., Spun]:
    """Call it with a finished search, and options for gcc, for what SPIN finds in the model that the search learnt."""
    if not (shutil.which("spin") and shutil.which("gcc")):
        unavailable("SPIN or gcc is missing: install the packages spin, gcc and libc6-dev")

    def run(search: Search, *options: str) -> Spun:
        directory = tmp_path_factory.mktemp("spin")

        def call(*words: str) -> str:
            done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        write(search, directory / "model.pml")
        call("spin", "-a", "model.pml")
        call("gcc", "-DSAFETY", "-DNOREDUCE", *options, "-o", "pan", "pan.c")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        printed = call("./pan", f"-w{max(10, search.states.count.bit_length())}", f"-m{search.states.count + 10}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)

        def number(pattern: str) -> float:
            found = re.search(pattern, printed)
            assert found, printed
            return float(found[1])

        assert "errors: 0" in printed
        assert "too small" not in printed
        return Spun(
            int(number(r"(\d+) states, stored")),
            int(number(r"(\d+) transitions")),
            int(number(r"depth reached (\d+)")),
            (number(r"([\d.]+)\s+actual memory usage") + number(r"([\d.]+)\s+memory used for hash table")) * 2**20,
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        )

    return run


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """The file that gdb sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        return install.write()


class Gdb:
    """A gdb of some version, started anew for each call.

    Args:
        words: its command line.
        environment: set besides the tests' own.
        plugin: the file to source.
    """

    def __init__(self, words, environment, plugin):
        self.words = [*words, "-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
        unset = ("PYTHONPATH", "PYTHONHOME")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment = {**kept, "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", **environment}
        self.first = ["set width 0", "set confirm off", "set architecture i386:x86-64", f"source {plugin}"]

    def __call__(self, *commands, program=()):
        """What it prints for these commands, in batch mode: stdout and stderr."""
        words = [word for command in (*self.first, *commands) for word in ("-ex", command)]
        done = subprocess.run(
            [*self.words, "-batch", *program, *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
        )
        assert "Traceback" not in done.stderr
        assert "Python Exception" not in done.stderr
        return done.stdout, done.stderr

    def json(self, directory, asked, *before, after=()):
        """Each command's JSON document, once the commands `before` have run; and what gdb printed for `after`."""
        files = [directory / f"{number}.json" for number in range(len(asked))]
        pipes = [f"pipe vtdpi {command} --json | cat > {file}" for command, file in zip(asked, files, strict=True)]
        out, err = self(*before, *pipes, *after)
        assert all(file.read_text() for file in files), err
        return [json.loads(file.read_text()) for file in files], out

    def terminal(self, *commands):
        """It runs in a terminal, after these commands."""
        child = pexpect.spawn(
            self.words[0],
            [*self.words[1:], "-iex", "set style enabled off"],
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 150),
            env={**self.environment, "TERM": "dumb"},
        )
        child.prompt = r"\(gdb\) $"
        child.expect(child.prompt)
        for command in (*self.first, *commands):
            child.sendline(command)
            child.expect(child.prompt)
        return child


@pytest.fixture(scope="session", params=["system", "trixie"])
def gdb(request, plugin, unavailable):
    """The system's gdb, and Debian 13's with its Python 3.13, run by its own dynamic loader."""
    if request.param == "system":
        if not shutil.which("gdb"):
            unavailable("gdb is missing: install the package gdb")
        return Gdb(["gdb"], {}, plugin)
    try:
        packages = ["gdb", "python3-numpy", "python3-msgspec"]
        root = tree("gdb-trixie-msgspec", "trixie", packages, print, dependencies=True)
    except Missing as error:
        unavailable(error)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    # Where numpy's libraries are until the packages' own scripts, which are not run, choose among several.
    path = ":".join(str(libraries / folder) for folder in (".", "blas", "lapack"))
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", path]
    words = [*loader, str(root / "usr/bin/gdb"), f"--data-directory={root}/usr/share/gdb"]
    return Gdb(words, {"PYTHONHOME": str(root / "usr")}, plugin)


@pytest.fixture
def cli(capsys):
    """Call it with a command line without its `--json` for the document."""

    def run(*words):
        capsys.readouterr()
        main([*map(str, words), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def served():
    """A `vtdpi sim --serve`, and where it listens."""
    words = [sys.executable, "-m", "inspector.frontends.cli", "sim", "--steps", "3000", "--serve", "127.0.0.1:0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        address = re.search(r"target remote (\S+);", process.stdout.readline())[1]
        yield process, address
        process.kill()
