"""What is explored: a model is an initial state, actions, properties, and symmetries.

A state gives each key (anything hashable) a value (anything hashable). An action is a function that is shown a state as
a `View`, reads it with `view[key]`, changes it with `view[key] = value`, draws with `view.choose(n)` where several
things can happen, and returns whether it could act. It must depend on nothing else.
Values that are equal are one value: an action must not tell True from 1.

    >>> def count(view):
    ...     view["n"] = (view["n"] + 1) % 3
    ...     return True
    >>> ring = Model(lambda key: 0, [Action("count", count)], [Property("small", lambda view: view["n"] < 3)])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from structs.frozen import frozen

Key = Any
Value = Any
"""Anything that can be hashed and compared."""

ALWAYS, SOMETIMES, EVENTUALLY, AT_REST = "always", "sometimes", "eventually", "at rest"


@frozen
class Action:
    """One way to go on. `progress`: it is bound to happen some time if it stays possible (weak fairness); an action
    that is no progress is the environment's, and may never happen."""

    name: str
    act: Callable[[Any], Any]
    progress: bool = True


@frozen
class Property:
    """What is asked of the states. `test` must only read.

    `kind` is one of
      `always`      it is true of every state that can be reached;
      `sometimes`   it is true of at least one (so that the others are not true of nothing);
      `eventually`  from every state, if the environment does nothing more and progress is fair, it becomes true;
      `at rest`     it is true of every state in which no progress is possible.
    """

    name: str
    test: Callable[[Any], bool]
    kind: str = ALWAYS


class Permutation(Protocol):
    """A symmetry: a renaming of keys and values, one to one, that turns every step from any state into another one.

    The action may become another one, but progress stays progress. Properties have to be true of a renamed state if
    they are of the state. The first state need not stay what it is: it may become one that cannot be reached.
    """

    def key(self, key: Key) -> Key:
        """The key that takes this one's place."""

    def value(self, key: Key, value: Value) -> Value:
        """What a key's value becomes in that place."""


@frozen
class Model:
    """A model. `initial` gives every key's first value; keys need no other declaration.

    `symmetries` are all but the one that renames nothing: what two of them do one after the other is one of them too.
    """

    initial: Callable[[Key], Value]
    actions: Sequence[Action]
    properties: Sequence[Property] = ()
    symmetries: Sequence[Permutation] = ()
