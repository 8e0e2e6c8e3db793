"""A running HVM lab: start it, find it again, take it down."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from inspector.base.errors import TargetError
from inspector.lab import LabError, Say, process, silent, state, xen
from inspector.lab.console import last_lines, own_lines
from inspector.lab.hvm import boot, machine, packages, switches
from inspector.lab.hvm.assembly import ROM_AT, Assembler
from inspector.lab.hvm.machine import HvmRecipe
from inspector.profiles import store
from inspector.profiles.functions import SymbolFile
from inspector.targets.live.bochs import PREFIX, Bochs, BochsMachine
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.bochs_memory import BochsMemory
from inspector.targets.live.bochs_process import PROGRAM, BochsProcess
from inspector.targets.live.bochs_registers import Learner
from structs.frozen import frozen

KIND = "hvm"
CONSOLE, COMMANDS, ANSWERS = "console.log", "commands", "debugger.log"
LIMIT = 180.0
"""Seconds after which a machine that is not up never will be, also on a slow and busy host."""
UP = "vtdpi guest: all vCPUs run"
FAILED = "vtdpi dom0: failed: "
LEARNING = 200
"""Stops after which the registers' places would be known, if they ever were."""
MOMENT = 0.005
KEY_MARK = b"vtdpi dom0: key:"
GATE_MARK = b"vtdpi guest: gate:"
"""What stands before the byte that the guest's vCPUs wait for."""
KEYS_LIMIT, QUIET = 30.0, 1.0
"""Seconds for an answer to a debug key, and of silence after which it is taken for whole."""


@frozen
class HvmLab:
    """A Xen in a Bochs that runs on its own.

    Attributes:
        name: what `find` and the command line know it by.
        pid: Bochs'.
        console: the file of all that Xen, dom0 and the guest printed.
        image, symbols: the Xen that runs, and its xen-syms.
        guest: what its guest does.
        posting: whether posting was switched on, by hand.
        places: where Bochs keeps registers, see `bochs_registers`.
    """

    name: str
    pid: int
    console: Path
    image: Path
    symbols: Path
    guest: str
    posting: bool
    places: Mapping[str, int]

    kind = KIND
    dom0 = False

    @classmethod
    def up(cls, recipe: HvmRecipe, say: Say = silent, timeout: float = 0.0) -> Self:
        """Start one and wait until all vCPUs of its guest run. If that fails, nothing stays behind.

        Raises:
            LabError: something is missing, or it did not come up; the message says why.
        """
        recipe.check()
        programs = packages.programs(say)
        build = xen.debian("4.20", say)
        if not build.symbols:
            raise LabError(f"{build.name} has no symbols")
        with state.claimed(recipe.name, f"hvm-{recipe.guest}") as directory:
            try:
                return cls._start(directory, recipe, programs, build.image, build.symbols, say, timeout or LIMIT)
            except BaseException:
                clear(directory)
                raise

    @classmethod
    def all(cls) -> list[Self]:
        """The running labs of this kind, by name. What dead ones left behind is removed."""
        labs = []
        for directory in state.directories():
            record = state.load(directory) or {}
            if record.get("kind") != KIND:
                continue
            lab = cls.load(directory, record)
            if lab and lab.is_running():
                labs.append(lab)
            elif not state.is_starting(directory):
                clear(directory)
        return labs

    @classmethod
    def load(cls, directory: Path, record: Mapping[str, Any]) -> Self | None:
        """A lab by its record; None if it is none."""
        try:
            return cls(
                name=directory.name,
                pid=int(record["pid"]),
                console=Path(record["console"]),
                image=Path(record["image"]),
                symbols=Path(record["symbols"]),
                guest=str(record["guest"]),
                posting=bool(record["posting"]),
                places={str(name): int(place) for name, place in record["places"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def record(self) -> dict[str, Any]:
        """The attributes as JSON has them."""
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {"kind": KIND, **plain}

    def is_running(self) -> bool:
        """Whether its Bochs is alive."""
        return process.is_given(self.pid, self.console)

    def machine(self) -> BochsMachine:
        """Where a target finds it."""
        directory = self.console.parent
        return BochsMachine(self.name, self.pid, directory / COMMANDS, directory / ANSWERS, self.places, self.symbols)

    def attach_words(self) -> list[str]:
        """The command that attaches to it."""
        return ["vtdpi", "live", f"{PREFIX}{self.name}"]

    def keys(self, key: str, timeout: float = KEYS_LIMIT) -> str:
        """What Xen prints for a debug key, which dom0 presses, as `xl debug-keys` does: a write to dom0's memory.

        Raises:
            LabError: it is no key, or Xen does not answer.
        """
        if len(key) != 1 or not "!" <= key <= "~":
            raise LabError(f"a debug key is one printable ASCII character, not {key!r}")
        before = self.console.stat().st_size
        deadline = time.monotonic() + timeout
        with Bochs(self.machine()) as bochs:
            if not bochs.running:
                raise LabError(f"Xen cannot answer: {self.name} is stopped; continue it first")
            with bochs.held():
                place = _mailbox(bochs)
                bochs.ram.write(place, key.encode())
            while bochs.read(place, 1) != b"\0":
                if time.monotonic() > deadline:
                    raise LabError(f"Xen does not answer within {timeout:g} s; {last_lines(self.console)}")
                time.sleep(0.02)
        return _quiet(self.console, before, deadline)

    def down(self) -> None:
        """End its Bochs and remove what it has on disk. Raises LabError if it cannot be ended."""
        clear(self.console.parent)

    @classmethod
    def _start(
        cls,
        directory: Path,
        recipe: HvmRecipe,
        programs: packages.Programs,
        image: Path,
        symbols: Path,
        say: Say,
        timeout: float,
    ) -> Self:
        segment, entry = boot.xen(image)
        assembler = Assembler(programs, directory)
        assembler.guest(recipe.guest, recipe.vcpus)
        module = boot.Loaded(boot.MODULE, assembler.dom0(recipe.guest, recipe.cpus, recipe.vcpus).read_bytes())
        assembler.rom(boot.INFORMATION, entry)
        options = f"{machine.XEN_OPTIONS} {recipe.append}".rstrip()
        information = boot.information(options, module, machine.MEMORY << 20)
        (directory / "bochsrc").write_text(machine.configuration(recipe, programs))
        say(f"starting {directory.name}")
        deadline = time.monotonic() + timeout
        console = directory / CONSOLE
        pid = _spawn(directory, programs, console)
        debugger = BochsDebugger(pid, directory / COMMANDS, directory / ANSWERS)
        try:
            _ready(debugger, directory, deadline)
            bochs = BochsProcess(pid)
            switches.breakpoint_at(debugger, ROM_AT + 3, deadline)
            _load(debugger, BochsMemory(bochs), [information, segment, module])
            if recipe.posting:
                switches.switch_on(debugger, store.of_symbols(symbols), SymbolFile(symbols).addresses, deadline)
            debugger.cont()
            _wait_until_up(pid, console, deadline, say)
            places = _learn(bochs, debugger)
            debugger.stop()
            _open_gate(BochsMemory(bochs))
            if not recipe.stopped:
                debugger.cont()
        except TargetError as error:
            said = last_lines(directory / ANSWERS, 3)
            raise LabError(f"{error}; Bochs' last lines: {said}; {last_lines(console)}") from error
        finally:
            debugger.close()
        lab = cls(directory.name, pid, console, image, symbols, recipe.guest, recipe.posting, places)
        state.save(directory, lab.record())
        return lab


def _mailbox(bochs: Bochs) -> int:
    """Where dom0 looks for a debug key. Raises LabError."""
    for known in bochs.memory():
        at = bochs.read(known.start, known.size).find(KEY_MARK)
        # Once more it stands in what dom0 was loaded from.
        if at >= 0 and not boot.MODULE <= known.start + at < boot.MODULE + (1 << 20):
            return known.start + at + len(KEY_MARK)
    raise LabError("dom0 has no place for a debug key: was this lab started by another version?")


def _open_gate(ram: BochsMemory) -> None:
    """Let the guest's vCPUs begin. What dom0 loaded the guest from has the gate as well, and nobody minds."""
    places = []
    for known in ram.ranges():
        part = ram.read(known.start, known.size)
        places += [known.start + each.end() for each in re.finditer(re.escape(GATE_MARK), part)]
    if not places:
        raise LabError("the guest has no gate to open: were its sources changed?")
    for place in places:
        ram.write(place, b"\1")


def _quiet(console: Path, start: int, deadline: float) -> str:
    """Xen's own lines from there on, once no more come."""
    size, since = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < QUIET:
        if (now := console.stat().st_size) != size:
            size, since = now, time.monotonic()
        time.sleep(0.02)
    with console.open("rb") as file:
        file.seek(start)
        return own_lines(file.read())


def clear(directory: Path) -> None:
    """End what runs of a lab and remove all it has on disk. Raises LabError if it cannot be ended."""
    mark = directory / CONSOLE
    for pid in process.given(mark):
        if not process.end(pid, mark):
            raise LabError(f"Bochs (process {pid}) of the lab {directory.name} does not end, even when killed")
    state.remove(directory)


def _spawn(directory: Path, programs: packages.Programs, console: Path) -> int:
    """Bochs with its debugger on a FIFO and a file, in a session of its own; its pid."""
    os.mkfifo(directory / COMMANDS, 0o600)
    console.touch(0o600)
    words = [*programs.command(PROGRAM), "-q", "-debugger", "-f", "bochsrc", machine.console_option(console)]
    # It has the FIFO open for writing too, so that it never sees the end of its input.
    commands = os.open(directory / COMMANDS, os.O_RDWR)
    try:
        with (directory / ANSWERS).open("wb") as answers:
            bochs = subprocess.Popen(
                words,
                cwd=directory,
                stdin=commands,
                stdout=answers,
                stderr=answers,
                env=programs.environment,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"{words[0]} cannot be run: {error.strerror}") from error
    finally:
        os.close(commands)
    return process.let_go(bochs, console)


def _ready(debugger: BochsDebugger, directory: Path, deadline: float) -> None:
    """Wait for the debugger's first prompt."""
    if debugger.running and debugger.wait(deadline - time.monotonic()) is None:
        raise LabError(f"Bochs does not start; it said: {last_lines(directory / ANSWERS, 3)}")


def _load(debugger: BochsDebugger, ram: BochsMemory, parts: list[boot.Loaded]) -> None:
    """Put them into RAM, as a boot loader would."""
    for part in parts:
        first = part.address // ram.block * ram.block
        for start in range(first, part.address + len(part.data), ram.block):
            # Bochs has a block of RAM from the first touch on.
            debugger.store(max(start, part.address), 0, 1)
        ram.write(part.address, part.data)


def _wait_until_up(pid: int, console: Path, deadline: float, say: Say) -> None:
    began = said = time.monotonic()
    while True:
        text = console.read_text(errors="replace")
        if UP in text:
            return
        if FAILED in text or "Panic on CPU" in text:
            raise LabError(f"the machine did not come up; its last lines: {last_lines(console)}")
        if not process.is_given(pid, console):
            raise LabError(f"Bochs ended; it said: {last_lines(console.parent / ANSWERS, 2)}; {last_lines(console, 2)}")
        now = time.monotonic()
        if now > deadline:
            raise LabError(f"no guest runs after {now - began:.0f} s; the last lines: {last_lines(console)}")
        if now - said > 5.0:
            said = now
            say(f"still starting, {now - began:.0f} s: {last_lines(console, 1)}")
        time.sleep(0.05)


def _learn(bochs: BochsProcess, debugger: BochsDebugger) -> dict[str, int]:
    """Where the registers are, from stops here and there; the machine runs on after."""
    learner = Learner()
    for _ in range(LEARNING):
        debugger.stop()
        learner.look(bochs, debugger)
        places = learner.places()
        debugger.cont()
        if places:
            return places
        time.sleep(MOMENT)
    raise LabError("where Bochs keeps its registers cannot be learnt: the CPUs never change between Xen and guest")
