"""A move: one actor's turn, or one order of the environment. What histories are made of."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature

from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.machine.environment import Environment
from sim_backend.memory.errors import SimError

Argument = str | int
NOT_ORDERED = frozenset(("order", "toolstack_busy"))
"""Of the methods of Environment, those that are none."""
ENVIRONMENT = ActorId(ActorKind.ENVIRONMENT)
"""Who gives orders."""


@dataclass(frozen=True, slots=True)
class Move:
    """One move; either `turn` or `order` is there.

    Attributes:
        turn: the actor that does its next atomic action, by name (`CPU 0`, `device 00:03.0`, `toolstack`).
        order: a method of the machine by name, with its `arguments` (vCPUs as `d1v0`, devices as
            `00:03.0`). It takes no step itself.
        choices: what the logic's own draws (`get_random`) give during the move, in order; 0 when they are used up.
    """

    turn: str | None = None
    order: str | None = None
    arguments: tuple[Argument, ...] = ()
    choices: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, (self.order or self.turn, *self.arguments)))


def give(machine: Environment, order: str, arguments: tuple[Argument, ...]) -> None:
    """Give a machine an order. Raises SimError if there is none such, or the machine refuses it."""
    method = getattr(Environment, order, None)
    if order not in ORDERS or method is None:
        raise SimError(f"no order {order!r}; there are {', '.join(ORDERS)}")
    parameters = list(signature(method).parameters.values())[1:]
    needed = sum(parameter.default is parameter.empty for parameter in parameters)
    if not needed <= len(arguments) <= len(parameters):
        names = ", ".join(parameter.name for parameter in parameters)
        raise SimError(f"order {order} with {len(arguments)} arguments: it takes {names}")
    for parameter, argument in zip(parameters, arguments, strict=False):
        kind, words = _KINDS.get(parameter.annotation, _NAME)
        if type(argument) is not kind:
            raise SimError(f"order {order}: {parameter.name} = {argument!r}: expected {words}")
    method(machine, *arguments)


_NAME: tuple[type, str] = (str, "a name, such as d1v0 or 00:03.0")
_KINDS: dict[object, tuple[type, str]] = {"int": (int, "a whole number"), "bool": (bool, "true or false")}
ORDERS = tuple(name for name in vars(Environment) if not name.startswith("_") and name not in NOT_ORDERED)
"""The orders that a move may give."""
