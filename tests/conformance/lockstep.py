"""A machine whose posted-interrupt procedures real machine code runs as well, step by step, on a memory of its own.

The model moves first. What it stores outside of these procedures (the scheduler, the toolstack, the device's post) is
stored in the other memory too. In a procedure, the code goes on until it has done what the model's step did, and stops
there: the same stores and calls, or, if there are none, the same reads of what others write (the descriptor, some
members of a vCPU's structure). So what others do in between falls between two instructions of the code. After a step
that has none of these, it goes on to just before its next one. When a procedure ends, so must the code's function, with
the same value, and both memories must be equal.

Not so: memory ordering, for one CPU runs at a time, and all see a store at once; a CPU that is brought up later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sim_backend.logic.cpu import Cpu
from sim_backend.logic.program import FIRST, PROCEDURE, Frame
from sim_backend.logic.services import Services
from sim_backend.machine.event import Event as RecordedTarget
from sim_backend.machine.machine import Machine
from sim_backend.memory.memory import PAGE, Memory

from .compare import Names
from .machine_code import MOST_INSTRUCTIONS, Event, Fails, MachineCode, change

OUTSIDE, TOUCH = "outside", "touch"
"""Events: a store that a stub stands for; a part of memory is read, or stored to without a change."""
READS = ("u8", "u16", "u32", "u64", "cmpxchg_u64")
"""Operations of a memory of which it does not tell of itself."""
WORD = 8


@dataclass(frozen=True)
class Followed:
    """A procedure that runs in the code.

    Attributes:
        name: its own.
        arguments: how many it takes.
        value: the bits of RAX that are its return value.
        call: of the CPU and the arguments, the code's function and its arguments.
    """

    name: str
    arguments: int
    value: int
    call: Callable[[int, tuple[int, ...]], tuple[str, list[int]]]


@dataclass(frozen=True)
class Sides:
    """What of a machine runs in the code as well, and how.

    Attributes:
        code: on the memory that the machine has at first.
        run: by their numbers, the procedures that run in the code.
        not_run: the numbers of those that have more to do with others: a machine that gets to them cannot be followed.
        stubbed: what the procedures ask of the machine, which in the code is a stub, and how the call is told.
        told: how the model tells what happens in the code on a CPU; None for what is not compared.
        watched: the bytes that procedures read while others write, and the part of memory that each belongs to.
        interrupt_return: the number of the procedure that an interrupt begins with.
    """

    code: MachineCode
    names: Names
    run: Mapping[int, Followed]
    not_run: frozenset[int]
    stubbed: Mapping[str, Callable[..., Event]]
    told: Callable[[int, Event], Event | None]
    watched: Mapping[int, int]
    interrupt_return: int


@dataclass(frozen=True)
class Between:
    """What another actor did while a function of the code's was under way."""

    function: str
    told: RecordedTarget


class Flow:
    """A function of the code's under way on a CPU."""

    def __init__(self, step: Lockstep, cpu: Cpu, frame: Frame, interrupts_on: bool, below: int | None) -> None:
        self.step, self.code = step, step.code
        self.cpu = cpu
        self.function = step.sides.run[frame[PROCEDURE]]
        self.only_read = True
        arguments = frame[FIRST : FIRST + self.function.arguments]
        name, given = self.function.call(cpu.cpu, tuple(arguments))
        self._waiting: deque[Event] = deque()
        self.code.enter(name, *given, cpu=cpu.cpu, interrupts_on=interrupts_on, below=below)
        self._registers = self.code.registers()

    def next(self, wanted: Event | None = None) -> Event | None:
        """Go on until something happens; None: it has returned. `wanted`: a touch, if that is to be told.

        Raises:
            Fails: the code faults, or does not end.
        """
        self.code.go_back_to(self._registers, self.cpu.cpu)
        for _ in range(MOST_INSTRUCTIONS):
            while self._waiting:
                event = self._waiting.popleft()
                if event[0] != TOUCH or event == wanted:
                    return event
            if self.code.ended:
                return None
            self._waiting.extend(self._in_order(self.code.instruction()))
            self._registers = self.code.registers()
        raise Fails(f"{self.function.name} does not end")

    def read_on(self) -> None:
        """Go on as far as nothing happens and nothing is touched that others write."""
        self.code.go_back_to(self._registers, self.cpu.cpu)
        for _ in range(MOST_INSTRUCTIONS):
            if self._waiting or self.code.ended:
                return
            events = self.code.instruction()
            if self._in_order(events):
                for _, address, old, _ in [event for event in reversed(events) if event[0] == "store"]:
                    self.code.write(address, old)
                return
            self._registers = self.code.registers()
        raise Fails(f"{self.function.name} does not end")

    def stack_used(self) -> int:
        """Where the part of the CPU's stack that it uses begins."""
        self.code.go_back_to(self._registers, self.cpu.cpu)
        return self.code.stack_used

    def _in_order(self, events: list[Event]) -> list[Event]:
        """What matters of what an instruction did. That it touched what it stored to goes without saying."""
        stack = self.code.stack(self.cpu.cpu)
        told = []
        for event in events:
            if event[0] != TOUCH and self.step.names.in_order(event, stack):
                said = self.step.sides.told(self.cpu.cpu, event)
                told += [said] if said else []
        return told or list(dict.fromkeys(event for event in events if event[0] == TOUCH))


class Noted:
    """A memory that also tells what is read. Who reads several words looks for one that is not 0, and stops there."""

    def __init__(self, memory: Memory, note: Callable[[int], None]) -> None:
        self._memory, self._note = memory, note
        for name in READS:
            setattr(self, name, self._noted(getattr(memory, name), note))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def read(self, address: int, size: int) -> bytes:
        """As Memory.read."""
        content = self._memory.read(address, size)
        for at in range(0, size, WORD):
            self._note(address + at)
            if any(content[at : at + WORD]):
                break
        return content

    def _noted(self, operation: Callable[..., Any], note: Callable[[int], None]) -> Callable[..., Any]:
        def noted(address: int, *others: Any) -> Any:
            note(address)
            return operation(address, *others)

        return noted


class Stubbed:
    """Services of which some are stubs."""

    def __init__(self, services: Services, stubs: Mapping[str, Callable[..., Any]]) -> None:
        self._services = services
        for name, stub in stubs.items():
            setattr(self, name, stub)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)


class Lockstep:
    """A machine and the code.

    Args:
        machine: laid out as the build is.
        sides: what of it the code runs.

    Attributes:
        code: and the memory that it made.
        ran: the functions that ran in the code, in the order in which they ended.
        between: what others did meanwhile, if it was anything that memory shows.
    """

    def __init__(self, machine: Machine, sides: Sides) -> None:
        assert not machine.store_buffers
        self.machine, self.sides = machine, sides
        self.code, self.names = sides.code, sides.names
        self._watched = sides.watched
        self.code.watch(self._watched)
        self.ran: list[str] = []
        self.between: list[Between] = []
        self._flows: dict[int, list[tuple[Frame, Flow]]] = {cpu.cpu: [] for cpu in machine.cpus}
        self._done: list[Event] = []
        self._toucher = ""
        self._in_stub = False
        machine.layout.memory.observer = self._stored
        w = machine.context
        w.memory = Noted(machine.layout.memory, self._touched)  # type: ignore[assignment]
        stubs = {name: self._stub(getattr(w.services, name), tell) for name, tell in sides.stubbed.items()}
        w.services = Stubbed(w.services, stubs)  # type: ignore[assignment]
        if hasattr(w, "calls"):
            w.calls = w.services

    def turn(self, act: Callable[[], RecordedTarget]) -> RecordedTarget:
        """Have the machine do one step, and the code follow. Raises AssertionError if it goes another way."""
        before = {cpu.name: (cpu, self._running(cpu), self._interrupts(cpu), cpu.irqs) for cpu in self.machine.cpus}
        begun = {name: frame and frame.copy() for name, (_, frame, _, _) in before.items()}
        self._done, self._toucher = [], ""
        told = act()
        stored = [event for event in self._done if event[0] != TOUCH]
        # Where something is stored, that is where the step takes place. Who has to wait touches things as well.
        if stored or self._toucher != told.actor:
            self._done = stored
        cpu, frame, interrupts, irqs = before.get(told.actor, (None, None, 0, False))
        own = None
        if cpu is not None and frame is not None and self._interrupts(cpu) <= interrupts:
            own = self._flow(cpu, frame, begun[cpu.name] or frame, irqs)
        self._let_others(own, told)
        if own is None:
            for event in self._done:
                if event[0] in ("store", OUTSIDE):
                    self.code.write(event[1], event[-1])
            return told
        self._follow(own, told)
        if not any(each is frame for each in own.cpu.stack):
            self._flows[own.cpu.cpu].pop()
            self._ended(own, told)
        return told

    def differences(self, everywhere: bool = True) -> list[str]:
        """Where the two memories differ, stacks apart; of what the code may have written, or everywhere."""
        memory = self.machine.memory
        pages = (
            range(memory.size // PAGE) if everywhere else sorted(p for p in self.code.pages if p < memory.size // PAGE)
        )
        stacks = {page for cpu in self._flows for page in _pages(self.code.stack(cpu))}
        found = []
        for page in pages:
            ours, theirs = self.code.read(page * PAGE, PAGE), memory.read(page * PAGE, PAGE)
            if ours != theirs:
                places = [page * PAGE + at for at in range(PAGE) if ours[at] != theirs[at]]
                found += [place for place in places if not (page in stacks and self._on_a_stack(place))]
        found = [place for place in found if self.names.compared(place)]
        return [self._say(place) for place in found if not self._under_way(place)]

    def _running(self, cpu: Cpu) -> Frame | None:
        """The frame of the outermost procedure that runs in the code, unless an interrupt came on top of it."""
        inner = []
        for frame in reversed(cpu.stack):
            if frame[PROCEDURE] == self.sides.interrupt_return:
                break
            assert frame[PROCEDURE] not in self.sides.not_run
            inner.append(frame)
        return next((frame for frame in reversed(inner) if frame[PROCEDURE] in self.sides.run), None)

    def _interrupts(self, cpu: Cpu) -> int:
        """How many interrupts a CPU is handling."""
        return sum(frame[PROCEDURE] == self.sides.interrupt_return for frame in cpu.stack)

    def _flow(self, cpu: Cpu, frame: Frame, begun: Frame, irqs: bool) -> Flow:
        flows = self._flows[cpu.cpu]
        if not flows or flows[-1][0] is not frame:
            below = flows[-1][1].stack_used() if flows else None
            flows.append((frame, Flow(self, cpu, begun, irqs, below)))
        return flows[-1][1]

    def _let_others(self, own: Flow | None, told: RecordedTarget) -> None:
        stored = any(event[0] in ("store", OUTSIDE) for event in self._done)
        for flow in [flow for flows in self._flows.values() for _, flow in flows if flow is not own]:
            if flow.only_read:
                flow.read_on()
            if stored:
                self.between.append(Between(flow.function.name, told))

    def _follow(self, flow: Flow, told: RecordedTarget) -> None:
        happened = False
        for event in self._done:
            if event[0] == OUTSIDE:
                self.code.write(event[1], event[-1])
            elif event[0] == TOUCH or self.names.in_order(event, range(0)):
                happened = True
                done = flow.next(event)
                assert done == event, f"{told}: {self._line(done)} in the code, {self._line(event)} in the model"
        flow.only_read = not happened

    def _ended(self, flow: Flow, told: RecordedTarget) -> None:
        more = flow.next()
        assert more is None, f"{told}: ends {flow.function.name}, but in the code then comes {self._line(more)}"
        assert self.code.result & flow.function.value == flow.cpu.result & flow.function.value
        assert self.code.interrupts_on == flow.cpu.irqs
        found = self.differences(everywhere=False)
        assert not found, f"{told}: ends {flow.function.name}:\n" + "\n".join(found[:20])
        self.ran.append(flow.function.name)

    def _stored(self, address: int, size: int, before: int, after: int) -> None:
        if address >= self.machine.memory.size:
            return
        new = after.to_bytes(size, "little")
        if self._in_stub:
            self._done.append((OUTSIDE, address, new))
            return
        changed = list(change(address, before.to_bytes(size, "little"), new))
        self._done += changed
        if not changed:
            self._touched(address)

    def _touched(self, address: int) -> None:
        if address in self._watched and not self._in_stub:
            if self._toucher != self.machine.moving.name:
                self._toucher = self.machine.moving.name
                self._done = [event for event in self._done if event[0] != TOUCH]
            event = (TOUCH, self._watched[address])
            if not self._done or self._done[-1] != event:
                self._done.append(event)

    def _stub(self, service: Callable[..., Any], tell: Callable[..., Event]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            if self._in_stub:
                return service(*arguments)
            self._done.append(tell(*arguments))
            self._in_stub = True
            try:
                return service(*arguments)
            finally:
                self._in_stub = False

        return noted

    def _on_a_stack(self, place: int) -> bool:
        return any(place in self.code.stack(cpu) for cpu in self._flows)

    def _under_way(self, place: int) -> bool:
        """Whether a function that is not over may yet write there, out of order."""
        flows = any(self._flows.values())
        return flows and not self.names.in_order(("store", place), range(0))

    def _line(self, event: Event | None) -> str:
        if event is None:
            return "it returns"
        return f"{self.names(event[1])} is looked at" if event[0] == TOUCH else self.names.say(event)

    def _say(self, place: int) -> str:
        ours, theirs = self.code.read(place, 1), self.machine.memory.read(place, 1)
        return f"{self.names(place)} [{place:#x}] {ours.hex()}; model: {theirs.hex()}"


def _pages(part: range) -> range:
    return range(part.start // PAGE, (part.stop - 1) // PAGE + 1)
