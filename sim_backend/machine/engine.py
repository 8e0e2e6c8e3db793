"""What every simulated machine does: one atomic action at a time, of whoever is drawn or told; history, copy, digest.

Who moves next is drawn from a generator that is part of the state: the same machine, version and seed give the same
run, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import Self, TypedDict

from sim_backend.logic.kinds import copied, digested
from sim_backend.logic.program import BY_NUMBER, PC, PROCEDURE, Actor, ActorId, procedure_of
from sim_backend.logic.workload import INCREMENT, MULTIPLIER, OUT_OF, U64, Drawn
from sim_backend.machine.environment import ENVIRONMENT, Move, give
from sim_backend.machine.event import Event
from sim_backend.machine.outside import Outside
from sim_backend.machine.parts import Parts, W, duplicated, records
from sim_backend.memory.errors import Inconsistent, SimError
from sim_backend.scenario.scenario import Scenario

SETTLED = 100_000
Places = dict[ActorId, tuple[int, tuple[int, int] | None]]
"""By actor: how deep its stack is, and the innermost procedure and step."""


class Changed(TypedDict, total=False):
    """Of an Event, what was changed."""

    subject: str
    field: str
    before: int
    after: int
    changed: str


class Engine(Parts[W]):
    """A machine that moves.

    Attributes:
        scenario: of what.
        actors: who moves; those who most often have nothing to do stand last, and are drawn only while the state says
            that there is something in the background.
        moving: who moved last.
        entered: actor and name of the procedure that the last step entered, or None.
        ahead: the moves of a history that `step` and `run` are to do before chance decides. Not saved, no part of the
            digest.
        loaded: from a file, whose state may be none that a machine gets into: then a step raises Inconsistent.
    """

    __slots__ = ("_foreground", "_others", "actors", "ahead", "entered", "loaded", "moving", "scenario")

    actors: list[Actor]
    moving: Actor

    @classmethod
    def of(cls, scenario: Scenario, context: W) -> Self:
        """A machine of these parts, with the outside world in which it is."""
        machine = cls.__new__(cls)
        machine._take(scenario, context)
        return machine

    def _take(self, scenario: Scenario, context: W) -> None:
        self.scenario, self.context = scenario, context
        self.entered: tuple[str, str] | None = None
        self.ahead: tuple[Move, ...] = ()
        self.loaded = False
        context.outside = self.moving = Outside.of(self)
        self._line_up()

    def _line_up(self) -> None:
        w = self.context
        first: list[Actor] = [*w.cpus, *w.drains, *w.devices.values(), w.outside]
        self.actors = [*first, w.toolstack, *w.units]
        self._foreground = first
        self._others = _others(self.actors), _others(first)

    @property
    def crashed(self) -> str | None:
        """Why the simulated Xen or hardware cannot go on, or None. Then no step is possible any more."""
        return self.state.crashed

    @property
    def steps(self) -> int:
        """How many there were."""
        return self.state.steps

    @property
    def store_buffers(self) -> bool:
        """Whether CPUs have store buffers."""
        return self.context.buffered is not None

    @property
    def busy(self) -> bool:
        """Whether things happen of themselves, so that the machine never comes to rest."""
        return self.context.workload.busy

    @property
    def records(self) -> dict[str, object]:
        """All of its state beside memory: what is copied, saved, digested and searched, by name."""
        return records(self.context, self.actors)

    # Moves.

    def step(self) -> Event | None:
        """Do one atomic action; None if nothing can happen unless it is asked for, or the machine has crashed."""
        if self.ahead and self.crashed is None:
            move, self.ahead = self.ahead[0], self.ahead[1:]
            return self.perform(move)
        before = self._places()
        return self._told(before) if self.run(1) else None

    def perform(self, move: Move) -> Event:
        """Do one move. Chance has no part in it: the generators stay as they are.

        Returns what it did; of an order, what was asked for; and if the machine crashes, why.

        Raises:
            SimError: it cannot be done now (the actor has to wait), or there is no such actor or order.
        """
        if self.crashed is not None:
            raise SimError(f"the machine has crashed: {self.crashed}")
        before = self._places()
        chance = self.context.chance
        assert isinstance(chance, Drawn)
        chance.choices = list(move.choices)
        try:
            if move.order is not None:
                give(self, move.order, move.arguments)
                asked = " ".join(map(str, move.arguments))
                return Event(self.steps, ENVIRONMENT.kind.value, move.order, asked, **self._effect(), who=ENVIRONMENT)
            return self._turn(move.turn, before)
        except Exception as error:
            self._doubt(error)
            raise
        finally:
            chance.choices = None

    def _turn(self, name: str | None, before: Places) -> Event:
        actor = next((actor for actor in self.actors if actor.name == name), None)
        if actor is None:
            raise SimError(f"nobody is called {name!r}; there are {', '.join(actor.name for actor in self.actors)}")
        self.moving = actor
        try:
            moved = actor.turn(self.context)
        except SimError as error:
            self._crash(error)
            why = f"cannot go on: {error}"
            return replace(self._told(before), number=self.steps + 1, action=why, stuck=True)
        if not moved:
            raise SimError(f"{name} cannot do anything now")
        self.state.steps += 1
        return self._told(before)

    def _places(self) -> Places:
        """Where everybody is before a step; what the last one did is forgotten."""
        w = self.context
        w.words = w.effect = w.begun = self.entered = None
        return {actor.id: (len(actor.stack), _place(actor)) for actor in self.actors}

    def _told(self, before: Places) -> Event:
        """What the actor that moved did."""
        actor, w = self.moving, self.context
        depth, place = before[actor.id]
        if len(actor.stack) > depth:
            self.entered = (actor.name, procedure_of(actor.stack[-1]).name)
        function, action, name = "", "", None
        place = place or w.begun
        if place is not None:
            procedure = BY_NUMBER[place[0]]
            step = procedure.steps[place[1]]
            function, action, name = procedure.name, step.action, step.name
        if w.words is not None:
            function, action = w.words
        return Event(self.steps, actor.name, function, action, **self._effect(), who=actor.id, step=name)

    def run(self, steps: int) -> int:
        """Do up to so many atomic actions; returns how many there were before nothing could happen any more.

        The moves that lie `ahead` come first, orders among them counted as well.

        Raises:
            SimError: one of these cannot be done.
        """
        if self.crashed is not None:
            return 0
        if self.ahead:
            moves = min(steps, len(self.ahead))
            done = sum(self.step() is not None for _ in range(moves))
            return done + (self.run(steps - moves) if steps > moves else 0)
        done = 0
        w, state, actors = self.context, self.state, self.actors
        everybody, foreground = len(actors), len(self._foreground)
        others, others_in_foreground = self._others
        draw = state.draw
        try:
            while done < steps:
                before = draw
                draw = (draw * MULTIPLIER + INCREMENT) & U64
                chosen = (draw >> 33) % (everybody if state.background else foreground)
                # Whoever was drawn; if that one has to wait, those after it in turn.
                self.moving = actor = actors[chosen]
                if not actor.turn(w):
                    # The toolstack may have found that there is nothing in the background any more.
                    rest = others[chosen] if state.background else others_in_foreground[chosen % foreground]
                    for actor in rest:
                        self.moving = actor
                        if actor.turn(w):
                            break
                    else:
                        if not self._waited():
                            draw = before
                            break
                done += 1
        except SimError as error:
            self._crash(error)
        except Exception as error:
            self._doubt(error)
            raise
        state.draw = draw
        state.steps += done
        return done

    def events_of(self, steps: int) -> Iterator[Event]:
        """As `run`, telling each."""
        for _ in range(steps):
            event = self.step()
            if event is None:
                return
            yield event

    def settle(self, limit: int = SETTLED) -> int:
        """Run until nothing can happen any more, or `limit` steps are over; returns the steps."""
        return self.run(limit)

    def _waited(self) -> bool:
        """One step though nobody can do one now; False if there can be none."""
        self.state.background = False
        w = self.context
        # Everybody waits for the moment: chance is asked until it has something happen.
        for _ in range(64 * OUT_OF if self.busy else 0):
            for actor in self.actors:
                self.moving = actor
                if actor.turn(w):
                    return True
        return False

    def _doubt(self, error: Exception) -> None:
        """Raise Inconsistent if the fault is that of the file from which the machine is."""
        if self.loaded and not isinstance(error, SimError):
            why = f"{type(error).__name__} {str(error)[:100]!r}"
            raise Inconsistent(f"the machine from the file is in a state that none gets into ({why}): save it again")

    def _crash(self, error: SimError) -> None:
        actor = self.moving
        where = procedure_of(actor.stack[-1]).name if actor.stack else "hardware"
        self.state.crashed = f"{actor.name}: {where}: {error}"

    def _effect(self) -> Changed:
        effect = self.context.effect
        if effect is None:
            return {}
        kind, subject, field, before, after = effect
        format, text = (field, field) if isinstance(field, str) else (field[0], field[0].format(field[1]))
        named = self.name_of(kind, subject)
        return {"subject": named, "field": text, "before": before, "after": after, "changed": format}

    # The whole.

    def copy(self) -> Self:
        """A machine of the same state that goes its own way. The memory's observer stays here."""
        other = type(self).__new__(type(self))
        other.scenario, other.context = self.scenario, duplicated(self.context, self.attach)
        outside = copied(self.context.outside)
        assert isinstance(outside, Outside)
        outside.machine = other
        other.context.outside = other.moving = outside
        other._line_up()
        other.ahead, other.entered, other.loaded = self.ahead, self.entered, self.loaded
        return other

    snapshot = copy

    def digest(self) -> bytes:
        """32 bytes that tell this machine's state from any other: memory, CPUs, queues, generator."""
        heap = self.context.layout.heap
        whole = repr(([digested(record) for record in self.records.values()], heap.next, heap.free))
        return blake2b(whole.encode(), key=self.memory.digest(), digest_size=32).digest()


def _place(actor: Actor) -> tuple[int, int] | None:
    return (actor.stack[-1][PROCEDURE], actor.stack[-1][PC]) if actor.stack else None


def _others(ring: list[Actor]) -> list[list[Actor]]:
    """By place in a ring, all of it, beginning behind that place."""
    return [ring[place:] + ring[:place] for place in range(1, len(ring) + 1)]
