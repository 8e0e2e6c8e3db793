"""The simulated machine, read as any other: its physical memory, its CPUs' registers, its IO-APICs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from inspector.base.errors import NotReadable, TargetError, UsageError
from inspector.profiles import store
from inspector.targets.options import SimOptions
from inspector.targets.ranges import Range
from inspector.targets.sim.breaks import Break, Breaks
from inspector.targets.sim.past import Kept, Past
from inspector.targets.sim.refusals import refusals
from inspector.targets.sim.watchpoints import Watchpoints
from inspector.targets.target import Cpu, IoApic, Target
from inspector.targets.watchpoint import StopEvent, Write
from sim_backend.layout.config import PROFILE_PLACES
from sim_backend.layout.interrupts import DEVICE_STATE, IOAPIC_PINS, IOAPIC_VERSION
from sim_backend.layout.layout import Layout
from sim_backend.machine.registers import Placed, registers
from sim_backend.memory.errors import FileError, SimError
from sim_backend.memory.memory import PAGE

if TYPE_CHECKING:
    from sim_backend.machine.boot import AnyMachine
    from sim_backend.machine.event import Event
    from sim_backend.machine.history import History
    from sim_backend.scenario.scenario import Scenario

STILL = ("save",)
"""Methods of the machine that do not move it."""


class Simulation(Target):
    """A simulated machine, which may move between reads.

    Args:
        machine: the machine; a `sim_backend.machine.registers.Still` for a layout on which nothing moves.

    Attributes:
        machine: as given; another one once it was gone back.
        past: what it was before each command that moved it.
        breaks: where `step` and `events` stop.
        stopped: at which of them they did last; None if they did not.
    """

    def __init__(self, machine: Placed) -> None:
        self.machine = machine
        self.past = Past()
        self.breaks = Breaks()
        self.stopped: Break | None = None
        self._within = False
        config = machine.layout.config
        cpus = "1 CPU" if config.cpus == 1 else f"{config.cpus} CPUs"
        self.description = f"simulated machine with {cpus} and {_kernel(machine)}"

    def touched(self) -> None:
        """Say that the machine has moved, or was told to: what was read before is of the past."""
        self.generation += 1

    def read(self, address: int, size: int) -> bytes:
        """As Target.read; registers of VT-d units are memory here."""
        try:
            if address < 0 or address + size > DEVICE_STATE:
                raise NotReadable(address, size, "physical addresses of this machine have 52 bits")
            return self.machine.layout.memory.read(address, size)
        except SimError:
            missing = self._first_missing(address)
            raise NotReadable(missing, address + size - missing, "no memory and no device is there") from None

    @property
    def busy(self) -> bool:
        """Whether things happen of themselves, so that the machine never comes to rest."""
        return bool(getattr(self.machine, "busy", False))

    @property
    def beside(self) -> bool:  # type: ignore[override]
        """Whether the control domain is in the middle of something: it has no CPU here."""
        context = getattr(self.machine, "context", None)
        return context is not None and any(other.stack for other in (context.toolstack, context.outside))

    @property
    def steps(self) -> int:
        """How many it has done."""
        return int(getattr(self.machine, "steps", 0))

    history_step: int | None = None
    """The step of the history that it replays, if it does."""

    @property
    def position(self) -> str:
        """At which step it is, in words."""
        return f"step {self.steps}" if self.history_step is None else f"step {self.history_step} of the history"

    @property
    def crashed(self) -> str | None:
        """Why the simulated Xen cannot go on; None if it can."""
        return getattr(self.machine, "crashed", None)

    def drive(self, order: str, *arguments: object) -> object:
        """Call a method of the machine (`post`, `block`, ...).

        Raises:
            UsageError: it refuses.
            TargetError: it is from a file, and in a state that no machine gets into.
        """
        self.touched()
        if order in STILL:
            with refusals():
                return getattr(self.machine, order)(*arguments)
        with self.moving_by(" ".join(map(str, (order, *arguments)))), refusals():
            done = getattr(self.machine, order)(*arguments)
            if order != "run":
                self.past.keep(self._kept())
            return done

    def step(self, count: int) -> list[dict[str, Any]]:
        """Up to so many steps, each as its event's fields and `text`, all in one line; fewer if no more can happen.

        Raises:
            TargetError: it is from a file, and in a state that no machine gets into.
        """
        with self.moving_by(f"step {count}"):
            return [{**event.document(), "text": str(event)} for event in self.events(count)]

    def events(self, count: int, until: Break | None = None) -> Iterator[Event]:
        """Up to so many steps, one by one; fewer if no more can happen, or where it is to stop.

        Args:
            count: how many.
            until: where to stop besides `breaks`; it has begun.

        Raises:
            TargetError: it is from a file, and in a state that no machine gets into.
        """
        self.touched()
        self.stopped = None
        machine: Any = self.machine
        stops = [each for _, each in self.breaks]
        for each in stops:
            each.begin()
        stops += [until] if until else []
        with refusals():
            for event in machine.events_of(count):
                self.touched()
                # Each is asked, for each has to know what it was before the next step.
                reached = [each for each in stops if each.reached(machine)]
                self.stopped = reached[-1] if reached else None
                yield event
                if reached:
                    return

    @contextmanager
    def moving_by(self, words: str) -> Iterator[None]:
        """What one command does to the machine, for `undo` to take back as one."""
        if self._within:
            yield
            return
        before = self._kept(words)
        self.past.keep(before)
        self._within = True
        try:
            yield
        except UsageError:
            # It was refused: the machine is as it was.
            if self.steps == before.machine.steps:
                self.past.forget(before)
            raise
        finally:
            self._within = False

    def undo(self, count: int) -> list[str]:
        """Be as before the last so many commands; their words, the last first. Raises UsageError: there are fewer."""
        if count > self.past.commands:
            there = self.past.commands
            raise UsageError(f"undo {count}: only {there} can be undone of the commands that moved the machine")
        undone = self.past.undo(count)
        if undone:
            self._be(undone[-1])
        return [each.words for each in undone]

    def go_back(self, step: int) -> None:
        """Be as at an earlier step of this session. Raises UsageError: it is not known any more."""
        start = self.past.before(step)
        if start is None:
            oldest = self.past.oldest
            known = self.steps if oldest is None else min(oldest, self.steps)
            raise UsageError(f"goto {step}: the first step that can be gone back to is {known}", found=step)
        there = start.machine.copy()
        with refusals():
            there.run(step - there.steps)
        self.past.keep(replace(self._kept(f"goto {step}"), jump=True))
        self._be(replace(start, machine=there))
        self.past.keep(self._kept())

    def _kept(self, words: str = "") -> Kept:
        machine: Any = self.machine
        return Kept(machine.copy(), words)

    def _be(self, kept: Kept) -> None:
        self.machine = kept.machine
        self.touched()

    unit = "steps"

    def arm(self, writes: Sequence[Write], hooks: Mapping[str, int]) -> None:
        """As Tripwire.arm; a function that the compiler put into another one has its own name here."""
        self.past.keep(self._kept("trace"))
        self._tripwires = Watchpoints(self.machine, writes, hooks, lambda cpu: registers(self.machine, cpu))

    def stop_event(self, seconds: float) -> StopEvent | None:
        """As Tripwire.trip.

        Raises:
            TargetError: the machine cannot go on.
        """
        self.touched()
        return self._tripwires.stop_event(seconds)

    def disarm(self) -> None:
        """As Tripwire.disarm."""

    def memory(self) -> Sequence[Range]:
        """All of RAM."""
        return [Range(start, start + size) for start, size in self.machine.layout.memory.ram()]

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs that are online, as they stand."""
        layout = self.machine.layout
        online = [cpu for cpu in range(layout.config.cpus) if layout.is_online(cpu)]
        return [Cpu(cpu, registers(self.machine, cpu) | self._lapic(cpu)) for cpu in online]

    def _lapic(self, cpu: int) -> dict[str, int]:
        """The local APIC's IRR and ISR: 32 vectors in each of 8 registers, 16 bytes apart (SDM volume 3, 11.4.1)."""
        memory, page = self.machine.layout.memory, self.machine.layout.lapic(cpu)
        return {
            name: sum(memory.u32(page + start + 16 * word) << 32 * word for word in range(8))
            for name, start in (("isr", 0x100), ("irr", 0x200))
        }

    def write_core(self, file: BinaryIO) -> None:
        """Write the machine as an ELF core into a new, empty file. Raises OSError."""
        from sim_backend.debug.elf_core import write_into

        write_into(self.machine, file)

    def ioapics(self) -> Sequence[IoApic]:
        """The IO-APICs, as they stand."""
        layout = self.machine.layout
        tables = [
            tuple(layout.memory.u64(layout.rte(number, pin)) for pin in range(IOAPIC_PINS))
            for number in range(layout.config.ioapics)
        ]
        return [IoApic(number, IOAPIC_VERSION, table) for number, table in enumerate(tables)]

    def _first_missing(self, address: int) -> int:
        while self.machine.layout.memory.has(address, 1):
            address = (address // PAGE + 1) * PAGE
        return address


class Replay(Simulation):
    """A simulated machine on its way along a history. It leaves it when it is given another order.

    Args:
        history: all of it can be done.
        step: where to begin.
        source: what it is called.
    """

    def __init__(self, history: History, step: int, source: str) -> None:
        self._history = history
        self.moving, self._source = self._machine_at(step), source
        self._steps = len(history.moves)
        self._left: int | None = None
        super().__init__(self.moving)

    def _machine_at(self, step: int) -> AnyMachine:
        machine = self._history.at(step)
        machine.ahead = self._history.moves[step:]
        return machine

    @property
    def description(self) -> str:
        """What machine, and where in the history."""
        left = "" if self._left is None else ", left there"
        return f"{self._words}, step {self._at}/{self._steps} of {self._source}{left}"

    @description.setter
    def description(self, words: str) -> None:
        self._words = words

    def drive(self, order: str, *arguments: object) -> object:
        """As Simulation.drive; any order but `run` ends the history."""
        if order in (*STILL, "run") or not self.moving.ahead:
            return super().drive(order, *arguments)
        with self.moving_by(" ".join(map(str, (order, *arguments)))):
            self._left = self._at
            self.moving.ahead = ()
            return super().drive(order, *arguments)

    def go_to_move(self, step: int) -> None:
        """Be at a step of the history, on the way along it. Raises UsageError: it has not so many."""
        if step > self._steps:
            raise UsageError(f"goto {step}: {self._source} has {self._steps} steps", found=step)
        there = self._machine_at(step)
        self.past.keep(replace(self._kept(f"goto {step}"), jump=True))
        self._be(Kept(there))

    def _kept(self, words: str = "") -> Kept:
        return replace(super()._kept(words), left=self._left)

    def _be(self, kept: Kept) -> None:
        super()._be(kept)
        machine: Any = self.machine
        self.moving, self._left = machine, kept.left

    def step(self, count: int) -> list[dict[str, Any]]:
        """As Simulation.step; what is in the history says which step of it."""
        first, inside = self._at + 1, len(self.moving.ahead)
        events = super().step(count)
        for number, event in enumerate(events[:inside], first):
            event["history_step"] = number
            event["text"] = f"{number}/{self._steps} {event['text']}"
        if 0 < inside <= len(events):
            events[inside - 1]["text"] += "\n(the history ends here; what comes now is chance)"
        return events

    @property
    def history_step(self) -> int:  # type: ignore[override]
        """The last step of the history that was done."""
        return self._at

    @property
    def position(self) -> str:
        """As of a Simulation; off the history, and at its end, the machine's own count too."""
        if self.moving.ahead:
            return super().position
        return f"step {self._at} of the history, its own step {self.steps}"

    @property
    def _at(self) -> int:
        """The step of the history; where it was left, if it was."""
        return self._steps - len(self.moving.ahead) if self._left is None else self._left


def _kernel(machine: Placed) -> str:
    """Whose memory a machine's is, and which build's."""
    profile = machine.layout.profile
    return f"{'Xen' if isinstance(machine.layout, Layout) else 'KVM of Linux'} {profile.version}"


def _add_cache() -> None:
    """Have machines laid out by the user's cached profiles too, which `profile make` keeps."""
    if store.known not in PROFILE_PLACES:
        PROFILE_PLACES.append(store.known)


def simulated(options: SimOptions) -> Simulation:
    """The machine that the options of `vtdpi sim` name.

    Raises:
        UsageError: there is none of that name.
        TargetError: the file cannot be used.
    """
    _add_cache()
    made = _replay(options, options.replay) if options.replay is not None else Simulation(_machine(options))
    # A bundled scenario has a name, not a file's; then there is no such file, or it is no harm to keep it.
    made.files = tuple(str(path) for path in (options.replay, options.load, options.scenario) if path)
    return made


def read_history(path: str) -> History:
    """The history in a file, with all its moves tried. Raises TargetError if it is none."""
    from sim_backend.machine import history

    try:
        found = history.read(path)
        found.at()
    except SimError as error:
        raise TargetError(str(error)) from None
    return found


def _replay(options: SimOptions, path: str) -> Replay:
    for word, given in (("--scenario", options.scenario), ("--load", options.load), ("--steps", options.steps)):
        if given:
            raise UsageError(f"{word} stands beside --replay; a history tells its own scenario (--at STEP: how far)")
    history = read_history(path)
    try:
        step = len(history.moves) if options.at is None else options.at
        return Replay(history, step, Path(path).name)
    except SimError as error:
        raise UsageError(f"--at {options.at}: {error}") from None


def _machine(options: SimOptions) -> AnyMachine:
    _add_cache()
    if options.replay is not None:
        return _replay(options, options.replay).moving
    if options.at is not None:
        raise UsageError(f"--at {options.at}: it is a step of a history, which --replay FILE names")
    from sim_backend.machine.boot import switched_on
    from sim_backend.machine.checkpoint import read
    from sim_backend.scenario.bugs import version

    machine: AnyMachine | None
    with refusals():
        machine = read(Path(options.load)) if options.load is not None else None
        logic = version(options.version)
    if machine is None:
        scenario = _scenario(options)
        # Another build's name is a word, and not the file's fault.
        with refusals(None if options.build else options.scenario):
            machine = switched_on(scenario, logic, options.seed)
    with refusals():
        machine.run(options.steps)
    return machine


def _scenario(options: SimOptions) -> Scenario:
    from sim_backend.scenario.scenario import DEFAULT, load

    with refusals():
        scenario = load(DEFAULT if options.scenario is None else options.scenario)
    return replace(scenario, layout=replace(scenario.layout, profile=options.build)) if options.build else scenario


def serve(options: SimOptions) -> int:
    """Serve the machine to gdb until Ctrl-C.

    Raises:
        UsageError: the address or the machine is none.
        TargetError: it is from a file, and in a state that no machine gets into.
    """
    from sim_backend.debug.gdb_server import GdbServer

    host, _, port = (options.serve or "").rpartition(":")
    if not port.isdigit():
        raise UsageError(f"--serve {options.serve}: expected HOST:PORT on a loopback address, such as 127.0.0.1:1234")
    try:
        with GdbServer(_machine(options), host.strip("[]") or "127.0.0.1", int(port)) as server:
            print(f"gdb: target remote {server.address}; vtdpi live {server.address}", flush=True)
            server.serve()
    except FileError as error:
        raise TargetError(str(error)) from None
    except (OSError, SimError) as error:
        raise UsageError(f"--serve {options.serve}: {error}") from None
    except KeyboardInterrupt:
        pass
    return 0
