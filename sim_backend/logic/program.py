"""Procedures made of atomic steps, and the actors that run them.

A procedure is a list of steps; a step is one action that no other actor can interrupt. An actor (a physical CPU, a
device, the toolstack) has a stack of frames, and a frame is a list of numbers: procedure, program counter, variables.
There is nothing else, so the state of a run can be copied, compared, hashed and saved at any step.

A step's function gets the world, its actor and its frame, and returns
  None      go on with the next step (after the last one: return to the caller),
  a Step    go on there,
  DONE      return to the caller,
  WAIT      nothing was done, for something is not there yet (a lock is held); try again later.
`Actor.call` puts another procedure on top; the caller goes on when that one has returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Frame = list[int]
Function = Callable[[Any, Any, Frame], Any]

PROCEDURE, PC, FIRST = 0, 1, 2
"""Where a frame holds its procedure's number, its program counter, and its first variable."""

DONE, WAIT = "done", "wait"
END = 1 << 16


@dataclass(frozen=True)
class Step:
    """One atomic action of a procedure, in words."""

    pc: int
    action: str
    function: Function


class Procedure:
    """A procedure by Xen's name for it, and the names of its variables, arguments first."""

    def __init__(self, name: str, *variables: str) -> None:
        if name in PROCEDURES:
            raise ValueError(f"there are two procedures {name}")
        self.name = name
        self.variables = variables
        self.steps: list[Step] = []
        self._blank = [[0] * (len(variables) - given) for given in range(len(variables) + 1)]
        self.number = len(FUNCTIONS)
        FUNCTIONS.append([])
        PROCEDURES[name] = self
        BY_NUMBER.append(self)

    def step(self, action: str) -> Callable[[Function], Step]:
        """Declare the next step: a decorator that turns its function into a Step."""

        def declare(function: Function) -> Step:
            step = Step(len(self.steps), action, function)
            self.steps.append(step)
            FUNCTIONS[self.number].append(function)
            return step

        return declare

    def frame(self, *arguments: int) -> Frame:
        """A frame at the first step; the variables that are no arguments are 0."""
        return [self.number, 0, *arguments, *self._blank[len(arguments)]]


FUNCTIONS: list[list[Function]] = []
"""The steps' functions, by procedure number and program counter."""
BY_NUMBER: list[Procedure] = []
PROCEDURES: dict[str, Procedure] = {}


def procedure_of(frame: Frame) -> Procedure:
    """The procedure whose frame this is."""
    return BY_NUMBER[frame[0]]


class Actor:
    """Who runs procedures.

    Attributes:
        stack: frames, the innermost last.
        result: what the last procedure returned.
        cpu: the physical CPU's number, or -1.
        current: physical address of the `struct vcpu` that the CPU runs, or 0.
        in_irq: whether an interrupt handler is running.
        irqs: whether the CPU takes interrupts.
    """

    __slots__ = ("cpu", "current", "in_irq", "irqs", "name", "result", "stack")

    def __init__(self, name: str, cpu: int = -1) -> None:
        self.name = name
        self.cpu = cpu
        self.stack: list[Frame] = []
        self.result = 0
        self.current = 0
        self.in_irq = 0
        self.irqs = True

    def call(self, procedure: Procedure, *arguments: int) -> None:
        """Start a procedure on top of what is running."""
        self.stack.append(procedure.frame(*arguments))

    def call_at(self, step: Step, procedure: Procedure, *arguments: int) -> None:
        """As `call`, but begin at another step than the first."""
        frame = procedure.frame(*arguments)
        frame[PC] = step.pc
        self.stack.append(frame)

    def advance(self, world: Any) -> bool:
        """Do one step; False if it has to wait. There must be a frame."""
        stack = self.stack
        frame = stack[-1]
        functions = FUNCTIONS[frame[0]]
        pc = frame[1]
        outcome = functions[pc](world, self, frame)
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
        while stack and stack[-1][1] >= len(FUNCTIONS[stack[-1][0]]):
            stack.pop()
        return True
