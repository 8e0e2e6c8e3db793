"""A random walk through a model, and the model from where it ended."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields
from sim_backend.explore.model import Key, Model, Value
from sim_backend.explore.view import View
from structs.frozen import frozen

NOTHING = np.zeros(1, np.uint64)


@frozen
class Walk:
    """Where a walk ended.

    Attributes:
        model: the same model, whose first state is that in which the walk ended.
        values: what is no longer as it was at first, by key.
        notes: what the actions on the way noted, in order.
    """

    model: Model
    values: dict[Key, Value]
    notes: tuple[Any, ...]


def walk(model: Model, actions: int, seed: int) -> Walk:
    """Do so many actions of a model, each a random one of those that can be done; fewer if none can be any more."""
    chance, values, notes = Random(seed), dict[Key, Value](), []
    for _ in range(actions):
        done = _any_action(model, values, chance)
        if done is None:
            break
        changes, note = done
        values |= changes
        notes.append(note)
    return Walk(replace(model, initial=_first(model, values)), values, tuple(notes))


def _first(model: Model, values: dict[Key, Value]) -> Any:
    return lambda key: values[key] if key in values else model.initial(key)


def _any_action(model: Model, values: dict[Key, Value], chance: Random) -> tuple[dict[Key, Value], Any] | None:
    first = _first(model, values)
    for action in chance.sample(model.actions, len(model.actions)):
        script: tuple[int, ...] = ()
        while True:
            view = View(Fields(first))
            view.show(NOTHING, script)
            outcome = action.act(view)
            acted, note = outcome if isinstance(outcome, tuple) else (bool(outcome), action.name)
            if len(view.drawn) <= len(script):
                break
            # What is drawn next may depend on what was drawn before.
            _, out_of = view.drawn[len(script)]
            script = (*script, chance.randrange(out_of))
        if acted:
            return view.changes(), note
    return None
