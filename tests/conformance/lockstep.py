"""A machine whose posted-interrupt procedures Xen's machine code runs as well, step by step, on a memory of its own.

The model moves first. What it stores outside of these procedures (the scheduler, the toolstack, the device's post) is
stored in the other memory too. In a procedure, Xen's code goes on until it has done what the model's step did, and
stops there: the same stores and calls, or, if there are none, the same reads of what others write (the descriptor, some
members of `struct vcpu`). So what others do in between falls between two instructions of Xen's. After a step that has
none of these, it goes on to just before its next one. When a procedure ends, so must Xen's function, with the same
value, and both memories must be equal.

Not so: memory ordering, for one CPU runs at a time, and all see a store at once; a CPU that is brought up later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_backend.logic.cpu import Cpu, interrupt_return
from sim_backend.logic.program import FIRST, PROCEDURE, PROCEDURES, Frame
from sim_backend.logic.services import Services
from sim_backend.machine.event import Event as RecordedTarget
from sim_backend.machine.machine import Machine
from sim_backend.memory.memory import PAGE, Memory

from .functions import FUNCTIONS, Function
from .machine_code import MOST_INSTRUCTIONS, Event, Fails, change
from .names import names_of
from .sides import NOT_COMPARED, STUBS, as_told, prepare
from .states import State
from .xen_code import XenCode

ARGUMENTS = {
    "pi_notification_interrupt": 0,
    "pi_wakeup_interrupt": 0,
    "vmx_ctxt_switch_from": 1,
    "vmx_ctxt_switch_to": 1,
    "vmx_deliver_posted_intr": 2,
    "vmx_pi_unblock_vcpu": 1,
    "vmx_sync_pir_to_irr": 1,
    "vmx_vcpu_block": 1,
    "vmx_vmenter_helper": 0,
}
"""The functions that run in Xen's code, and how many arguments they take."""
BY_NAME = {function.name: function for function in FUNCTIONS}
RUN = {PROCEDURES[name].number: BY_NAME[name] for name in ARGUMENTS}
NOT_RUN = {PROCEDURES[name].number for name in BY_NAME.keys() - ARGUMENTS.keys()}
"""Functions that have more to do with others: a machine that gets to them cannot be followed."""
STUBBED = {
    "ack_apic_irq": lambda actor: ("ack_APIC_irq", actor.cpu, 0),
    "cpu_raise_softirq": lambda actor, cpu, number: ("cpu_raise_softirq", cpu, number),
    "raise_softirq": lambda actor, number: ("raise_softirq", actor.cpu, number),
    "send_ipi": lambda actor, cpu, vector: ("send_IPI_mask", cpu, vector),
    "vcpu_wake": lambda actor, vcpu: ("vcpu_wake", vcpu, 0),
}
"""What the procedures ask of the machine, which in Xen's code is a stub, and how the call is told."""
OUTSIDE, TOUCH = "outside", "touch"
"""Events: a store that a stub stands for; a part of memory is read, or stored to without a change."""
READS = ("read", "u8", "u16", "u32", "u64", "cmpxchg_u64")
"""Operations of a memory of which it does not tell of itself."""
WORD = 8


@dataclass(frozen=True)
class Between:
    """What another actor did while a function of Xen's was under way."""

    function: str
    told: RecordedTarget


class Flow:
    """A function of Xen's under way on a CPU."""

    def __init__(self, step: Lockstep, cpu: Cpu, frame: Frame, interrupts_on: bool, below: int | None) -> None:
        self.step, self.code = step, step.code
        self.cpu = cpu
        self.function: Function = RUN[frame[PROCEDURE]]
        self.only_read = True
        layout = step.machine.layout
        arguments = frame[FIRST : FIRST + ARGUMENTS[self.function.name]]
        name, given = self.function.name, [*map(layout.virtual, arguments[:1]), *arguments[1:]]
        if self.function.for_xen:
            name, given = self.function.for_xen(State(layout, set(), cpu.cpu, -1, 0, False, 0, {}), tuple(arguments))
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
        layout, stack = self.step.machine.layout, self.code.stack(self.cpu.cpu)
        happened = [event for event in events if event[0] not in (TOUCH, *NOT_COMPARED)]
        told = [as_told(self.code, layout, self.cpu.cpu, e) for e in happened if self.step.names.in_order(e, stack)]
        return told or list(dict.fromkeys(event for event in events if event[0] == TOUCH))


class Noted:
    """A memory that also tells what is read."""

    def __init__(self, memory: Memory, note: Callable[[int], None]) -> None:
        self._memory = memory
        for name in READS:
            setattr(self, name, self._noted(getattr(memory, name), note))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

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
    """A machine and Xen's code.

    Args:
        machine: laid out as the build is. Xen's text is put into its memory.
        symbols: the build's xen-syms.

    Attributes:
        code: Xen's code, and the memory that it made.
        ran: the functions that ran in Xen's code, in the order in which they ended.
        between: what others did meanwhile, if it was anything that memory shows.
    """

    def __init__(self, machine: Machine, symbols: Path) -> None:
        assert not machine.store_buffers
        self.machine = machine
        self.code = XenCode(symbols, machine.layout, STUBS)
        prepare(machine.layout, self.code.virtual)
        self.code.start()
        self.names = names_of(machine.layout, self.code.virtual)
        self._watched = {at: part for v in machine.names for at, part in _contested(machine, v)}
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
        stubs = {name: self._stub(getattr(w.services, name), tell) for name, tell in STUBBED.items()}
        w.services = w.calls = Stubbed(w.services, stubs)  # type: ignore[assignment]

    def turn(self, act: Callable[[], RecordedTarget]) -> RecordedTarget:
        """Have the machine do one step, and Xen's code follow. Raises AssertionError if it goes another way."""
        before = {cpu.name: (cpu, _running(cpu), _interrupts(cpu), cpu.irqs) for cpu in self.machine.cpus}
        begun = {name: frame and frame.copy() for name, (_, frame, _, _) in before.items()}
        self._done, self._toucher = [], ""
        told = act()
        stored = [event for event in self._done if event[0] != TOUCH]
        # Where something is stored, that is where the step takes place. Who has to wait touches things as well.
        if stored or self._toucher != told.actor:
            self._done = stored
        cpu, frame, interrupts, irqs = before.get(told.actor, (None, None, 0, False))
        own = None
        if cpu is not None and frame is not None and _interrupts(cpu) <= interrupts:
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
        """Where the two memories differ, stacks apart; of what Xen's code may have written, or everywhere."""
        memory = self.machine.memory
        pages = range(memory.size // PAGE) if everywhere else sorted(self.code.pages)
        stacks = {page for cpu in self._flows for page in _pages(self.code.stack(cpu))}
        found = []
        for page in pages:
            ours, theirs = self.code.read(page * PAGE, PAGE), memory.read(page * PAGE, PAGE)
            if ours != theirs:
                places = [page * PAGE + at for at in range(PAGE) if ours[at] != theirs[at]]
                found += [place for place in places if not (page in stacks and self._on_a_stack(place))]
        return [self._say(place) for place in found if not self._under_way(place)]

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
                assert done == event, f"{told}: {self._line(done)} in Xen's code, {self._line(event)} in the model"
        flow.only_read = not happened

    def _ended(self, flow: Flow, told: RecordedTarget) -> None:
        more = flow.next()
        assert more is None, f"{told}: ends {flow.function.name}, but in Xen's code then comes {self._line(more)}"
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


def _contested(machine: Machine, v: int) -> Iterator[tuple[int, int]]:
    """The bytes of a vCPU that procedures read while others write, and the part of memory that each belongs to."""
    o = machine.o
    for word in range(o.pir, o.control + WORD, WORD):
        yield from ((v + word + at, v + word) for at in range(WORD))
    for place, size in ((o.pause_flags, 4), (o.processor, 4), (o.is_running, 1), (o.node_lock, 8)):
        yield from ((v + place + at, v + place) for at in range(size))


def _running(cpu: Cpu) -> Frame | None:
    """The frame of the outermost procedure that runs in Xen's code, unless an interrupt came on top of it."""
    inner = []
    for frame in reversed(cpu.stack):
        if frame[PROCEDURE] == interrupt_return.number:
            break
        assert frame[PROCEDURE] not in NOT_RUN
        inner.append(frame)
    return next((frame for frame in reversed(inner) if frame[PROCEDURE] in RUN), None)


def _interrupts(cpu: Cpu) -> int:
    return sum(frame[PROCEDURE] == interrupt_return.number for frame in cpu.stack)


def _pages(part: range) -> range:
    return range(part.start // PAGE, (part.stop - 1) // PAGE + 1)
