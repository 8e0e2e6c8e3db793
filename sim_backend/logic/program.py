"""Procedures made of atomic steps, and the actors that run them.

A procedure is a list of steps; a step is one action that no other actor can interrupt. An actor (a physical CPU, a
device, the toolstack) has a stack of frames, and a frame is a list of numbers: procedure, program counter, variables.
There is nothing else, so the state of a run can be copied, compared, hashed and saved at any step.

A step's function gets the machine as the logic sees it, its actor and its frame, and returns
  None      go on with the next step (after the last one: return to the caller),
  a Step    go on there,
  DONE      return to the caller,
  WAIT      nothing was done, for something is not there yet (a lock is held); try again later.
`Actor.call` puts another procedure on top; the caller goes on when that one has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, TypeVar

from sim_backend.logic.kinds import (
    FIRST,
    FLAG,
    IDENTITY,
    NUMBER,
    PLACE,
    Frame,
    Kind,
    ListOf,
    Number,
    Plain,
    Renamer,
    held,
)

if TYPE_CHECKING:
    from sim_backend.logic.context import Context

__all__ = ["DONE", "FIRST", "PC", "PROCEDURE", "WAIT", "Actor", "ActorKind", "Frame", "Outcome", "Procedure", "Step"]

PROCEDURE, PC = 0, 1
"""Where a frame holds its procedure's number and its program counter."""


class Signal(Enum):
    """What a step's function returns that is no step."""

    DONE = "done"
    WAIT = "wait"


DONE: Final = Signal.DONE
WAIT: Final = Signal.WAIT
END = 1 << 16

A = TypeVar("A", bound="Actor")
W = TypeVar("W", bound="Context")


@dataclass(frozen=True, slots=True)
class Step:
    """One atomic action of a procedure: the name of its function, and in words what it does."""

    pc: int
    name: str
    action: str


Outcome = Step | Literal[Signal.DONE, Signal.WAIT] | None
Function = Callable[[W, A, Frame], Outcome]


class Procedure:
    """A procedure by its name in the source, and its variables with the kinds of what they hold, arguments first.

    Attributes:
        of: whose it is, if not Xen's or the hardware's: others may have functions of the same name.
        key: by which a file names it, among those of all.
        unset: by number of arguments, the values of the other variables in a new frame.
        forgets: the program counters at which nobody reads any more what the last procedure returned.
    """

    of: ClassVar[str] = ""

    def __init__(self, name: str, **variables: Number) -> None:
        self.key = f"{self.of} {name}" if self.of else name
        if self.key in PROCEDURES:
            raise ValueError(f"there are two procedures {self.key}")
        self.name = name
        self.variables = tuple(variables)
        self.kinds = tuple(variables.values())
        self.steps: list[Step] = []
        unset = [kind.unset for kind in self.kinds]
        self.unset = [unset[given:] for given in range(len(unset) + 1)]
        self.forgets: frozenset[int] = frozenset()
        self.number = len(FUNCTIONS)
        FUNCTIONS.append([])
        PROCEDURES[self.key] = self
        BY_NUMBER.append(self)

    def step(self, action: str) -> Callable[[Function[W, A]], Step]:
        """Declare the next step: a decorator that turns its function into a Step."""

        def declare(function: Function[W, A]) -> Step:
            step = Step(len(self.steps), function.__name__, action)
            self.steps.append(step)
            FUNCTIONS[self.number].append(function)
            return step

        return declare

    def forget_at(self, *steps: Step) -> None:
        """Say that at these steps, or at all, nobody reads any more what the last procedure returned."""
        self.forgets = frozenset(step.pc for step in steps or self.steps)

    def frame(self, *arguments: int) -> Frame:
        """A frame at the first step; the variables that are no arguments are not set."""
        return [self.number, 0, *arguments, *self.unset[len(arguments)]]


FUNCTIONS: list[list[Callable[..., Outcome]]] = []
"""The steps' functions, by procedure number and program counter."""
BY_NUMBER: list[Procedure] = []
PROCEDURES: dict[str, Procedure] = {}
"""By key."""


def procedure_of(frame: Frame) -> Procedure:
    """The procedure whose frame this is."""
    return BY_NUMBER[frame[PROCEDURE]]


class FrameKind(Kind[Frame]):
    """A frame: what its numbers mean is said by its procedure."""

    immutable = False

    def copier(self) -> Callable[[Frame], Frame]:
        return list.copy

    def freeze(self, value: Frame) -> Hashable:
        return tuple(value)

    def thaw(self, frozen: Hashable) -> Frame:
        assert isinstance(frozen, tuple)
        return list(frozen)

    def plain(self, value: Frame) -> Plain:
        return [procedure_of(value).key, *value[1:]]

    def parse(self, plain: Plain) -> Frame:
        if not isinstance(plain, list) or not plain or not isinstance(plain[0], str) or plain[0] not in PROCEDURES:
            raise ValueError(f"{str(plain)[:60]!r} is no procedure's frame")
        procedure = PROCEDURES[plain[0]]
        numbers = [NUMBER.parse(number) for number in plain[1:]]
        if len(numbers) != 1 + len(procedure.variables):
            raise ValueError(f"a frame of {procedure.name} with {len(numbers)} numbers")
        # Who is to return once what it called has returned is behind its last step.
        if not 0 <= numbers[0] <= len(procedure.steps) and numbers[0] != END:
            raise ValueError(f"{procedure.name} has no step {numbers[0]}")
        return [procedure.number, *numbers]

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        kinds = BY_NUMBER[frozen[PROCEDURE]].kinds
        return (*frozen[:FIRST], *(kind.rename_in(frozen, at, by) for at, kind in enumerate(kinds, FIRST)))


FRAME = FrameKind()


class ActorKind(StrEnum):
    """Who acts; the word that its name begins with."""

    CPU = "CPU"
    STORE_BUFFER = "store buffer of CPU"
    DEVICE = "device"
    UNIT = "VT-d unit"
    TOOLSTACK = "toolstack"
    OUTSIDE = "outside"
    ENVIRONMENT = "environment"


class ActorId(NamedTuple):
    """Which actor: of CPUs, store buffers and units the number, of devices the source-id, else -1."""

    kind: ActorKind
    number: int = -1


@dataclass(slots=True, eq=False)
class Actor:
    """Who runs procedures.

    Attributes:
        id: which one.
        name: for people, and for histories.
        cpu: the physical CPU's number, or -1.
        stack: frames, the innermost last.
        result: what the last procedure returned.
        in_irq: how many interrupt handlers are running.
        irqs: whether the CPU takes interrupts.
        current: physical address of the `struct vcpu` that the CPU runs, or 0.
    """

    id: ActorId = field(metadata=IDENTITY)
    name: str = field(metadata=IDENTITY)
    cpu: int = field(default=-1, metadata=IDENTITY)
    stack: list[Frame] = held(ListOf(FRAME), part="doing")
    result: int = held(NUMBER, part="doing")
    in_irq: int = held(NUMBER, part="doing")
    irqs: bool = held(FLAG, part="doing")
    current: int = held(PLACE, part="where")

    def __post_init__(self) -> None:
        self.irqs = True

    def call(self, procedure: Procedure, *arguments: int) -> None:
        """Start a procedure on top of what is running."""
        self.stack.append([procedure.number, 0, *arguments, *procedure.unset[len(arguments)]])

    def call_at(self, step: Step, procedure: Procedure, *arguments: int) -> None:
        """As `call`, but begin at another step than the first."""
        frame = procedure.frame(*arguments)
        frame[PC] = step.pc
        self.stack.append(frame)

    def turn(self, w: Context) -> bool:
        """Do what comes next; False if there is nothing to do now."""
        raise NotImplementedError

    def advance(self, w: Context) -> bool:
        """Do one step; False if it has to wait. There must be a frame."""
        stack = self.stack
        frame = stack[-1]
        functions = FUNCTIONS[frame[0]]
        pc = frame[1]
        outcome = functions[pc](w, self, frame)
        if outcome is None:
            frame[1] = pc + 1
            if pc + 1 < len(functions):
                return True
        elif outcome is WAIT:
            return False
        elif outcome is DONE:
            frame[1] = END
        else:
            frame[1] = outcome.pc
            return True
        pop_done(stack)
        return True


def pop_done(stack: list[Frame]) -> None:
    """Return from the procedures that are over."""
    while stack and stack[-1][PC] >= len(FUNCTIONS[stack[-1][PROCEDURE]]):
        stack.pop()
