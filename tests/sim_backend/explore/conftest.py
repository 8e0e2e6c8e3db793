"""Classical models, and a search that is too simple to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace

import pytest

from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES, Action, Model, Property
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN


class PlainView:
    """A dict of the values that are not the first, with what an action may do to it."""

    def __init__(self, model, state, script=()):
        self.model, self.state, self.script, self.drawn = model, dict(state), script, []

    def __getitem__(self, key):
        return self.state.get(key, self.model.initial(key))

    def __setitem__(self, key, value):
        self.state[key] = value

    def choose(self, number):
        if number <= 1:
            return 0
        place = len(self.drawn)
        self.drawn.append((self.script[place] if place < len(self.script) else 0, number))
        return self.drawn[-1][0]

    @property
    def freeze(self):
        return frozenset((key, value) for key, value in self.state.items() if value != self.model.initial(key))


FIRST = frozenset()


def outcomes(model, number, state) -> Iterator[tuple[object, frozenset]]:
    """What an action can do in a state: the note, and the state after it."""
    scripts = [()]
    while scripts:
        script = scripts.pop()
        view = PlainView(model, state, script)
        acted = model.actions[number].act(view)
        acted, note = acted if isinstance(acted, tuple) else (acted, number)
        for place in range(len(script), len(view.drawn)):
            before = tuple(chosen for chosen, _ in view.drawn[:place])
            scripts += [(*before, other) for other in range(1, view.drawn[place][1])]
        if acted:
            yield note, view.freeze


@dataclass
class Plain:
    """All states of a model, by plain breadth-first search, and what is to be found in them."""

    model: Model
    most: int = 3000
    depth_of: dict = field(default_factory=lambda: {FIRST: 0})
    edges: dict = field(default_factory=dict)

    def __post_init__(self):
        queue = [FIRST]
        for state in queue:
            made = [(n, after) for n in range(len(self.model.actions)) for _, after in outcomes(self.model, n, state)]
            self.edges[state] = made
            for _, after in made:
                if after not in self.depth_of:
                    self.depth_of[after] = self.depth_of[state] + 1
                    queue.append(after)
            if len(queue) > self.most:
                break
        self.complete = len(self.edges) == len(self.depth_of)

    @property
    def numbers(self):
        """States, transitions, depth."""
        return len(self.depth_of), sum(map(len, self.edges.values())), max(self.depth_of.values())

    def true(self, asked, state):
        return bool(asked.test(PlainView(self.model, state)))

    @cached_property
    def _progress(self):
        progress = [action.progress for action in self.model.actions]
        return {state: [(n, after) for n, after in made if progress[n]] for state, made in self.edges.items()}

    def progress(self, state):
        return self._progress[state]

    def wanted(self, asked) -> tuple[str, int | None]:
        """The verdict, and the number of actions in the history that shows it."""
        true = {state for state in self.depth_of if self.true(asked, state)}
        false = self.depth_of.keys() - true
        resting = {state for state in self.depth_of if not self.progress(state)}
        shows = {ALWAYS: false, SOMETIMES: true, AT_REST: false & resting, EVENTUALLY: false & resting}[asked.kind]
        if asked.kind == EVENTUALLY and not shows:
            shows = self.endless(false)
        nothing, something = (NOT_SEEN, SEEN) if asked.kind == SOMETIMES else (HOLDS, BROKEN)
        return (something, min(map(self.depth_of.get, shows))) if shows else (nothing, None)

    def endless(self, states, fair=True):
        """The states on (weakly fair) cycles of progress among these."""
        after = {state: {to for _, to in self.progress(state) if to in states} for state in states}
        reached = {}
        for state in states:
            reached[state], queue = set(after[state]), list(after[state])
            for here in queue:
                queue += after[here] - reached[state]
                reached[state] |= after[here]
        left = {state for state in states if state in reached[state]}
        found = set()
        while left:
            state = left.pop()
            component = {other for other in reached[state] if state in reached[other]}
            left -= component
            taken = {n for here in component for n, to in self.progress(here) if to in component}
            possible = [{n for n, _ in self.progress(here)} for here in component]
            if not fair or set.intersection(*possible) <= taken:
                found |= component
        return found

    def follow(self, moves):
        """The states that a history can be in at its end, by the notes of its actions."""
        states = {FIRST}
        for move in moves:
            states = {
                after
                for state in states
                for n in range(len(self.model.actions))
                for note, after in outcomes(self.model, n, state)
                if note == move
            }
        return states

    def agree(self, result):
        """Everything that a search found is what is here to be found."""
        assert self.complete
        assert (result.states, result.transitions, result.depth) == self.numbers
        self.agree_on_verdicts(result)

    def agree_on_verdicts(self, result):
        assert result.exhausted
        assert result.stopped is None
        for asked, verdict in zip(self.model.properties, result.verdicts, strict=True):
            wanted, length = self.wanted(asked)
            assert (verdict.name, verdict.kind, verdict.verdict) == (asked.name, asked.kind, wanted)
            assert (verdict.moves is None) == (length is None)
            if verdict.moves is None:
                continue
            assert len(verdict.moves) == length
            ends = self.follow(verdict.moves)
            assert any(self.true(asked, state) == (wanted == SEEN) for state in ends)
            if asked.kind == EVENTUALLY:
                false = {state for state in self.depth_of if not self.true(asked, state)}
                assert verdict.cycle == (not any(self.progress(state) == [] for state in ends & false))
                assert not verdict.cycle or ends & self.endless(false)


def nothing(key):
    return 0


NO_DEADLOCK = Property("no deadlock", lambda view: False, AT_REST)


def philosophers(number, left_handed=False, symmetries=()):
    """Each takes one fork, then the other, puts down the first one, then the other: his left one first, but for the
    left-handed one."""

    def philosopher(me):
        first, second = ("fork", me), ("fork", (me + 1) % number)
        if left_handed and not me:
            first, second = second, first

        def act(view):
            doing = view["philosopher", me]
            wanted = (first, second, first, second)[doing]
            if doing < 2 and view[wanted]:
                return False
            view[wanted] = int(doing < 2)
            view["philosopher", me] = (doing + 1) % 4
            return True

        return Action(f"philosopher {me}", act)

    def eats(view, me):
        return view["philosopher", me] == 2

    properties = [
        NO_DEADLOCK,
        Property("all eat", lambda view: all(eats(view, me) for me in range(number)), SOMETIMES),
        Property("somebody eats", lambda view: any(eats(view, me) for me in range(number)), EVENTUALLY),
        Property(
            "neighbours do not eat together",
            lambda view: not any(eats(view, me) and eats(view, (me + 1) % number) for me in range(number)),
        ),
    ]
    if not symmetries:
        properties.append(Property("the first one eats", lambda view: eats(view, 0), EVENTUALLY))
    return Model(nothing, [philosopher(me) for me in range(number)], properties, symmetries)


class Rotation:
    """Everybody moves up by so many places."""

    def __init__(self, number, by):
        self.number, self.by = number, by

    def key(self, key):
        return (key[0], (key[1] + self.by) % self.number, *key[2:]) if isinstance(key, tuple) else key

    def value(self, key, value):
        return (value + self.by) % self.number if key == "owner" and value is not None else value


def rotations(number):
    return [Rotation(number, by) for by in range(1, number)]


def buffer(size):
    """A producer and a consumer at a ring of slots."""

    def produce(view):
        if view["count"] == size:
            return False
        view["slot", (view["head"] + view["count"]) % size] = "full"
        view["count"] += 1
        return True

    def consume(view):
        if not view["count"]:
            return False
        view["slot", view["head"]] = None
        view["head"] = (view["head"] + 1) % size
        view["count"] -= 1
        return True

    def counted(view):
        return sum(view["slot", place] == "full" for place in range(size)) == view["count"]

    properties = [
        NO_DEADLOCK,
        Property("count", counted),
        Property("full", lambda view: view["count"] == size, SOMETIMES),
        Property("overfull", lambda view: view["count"] > size, SOMETIMES),
    ]
    return Model(lambda key: None if key[0] == "slot" else 0, [Action("p", produce), Action("c", consume)], properties)


def peterson(turn=True, hasty=False, spins=False, symmetries=()):
    """Peterson's algorithm. Without the turn each waits for the other's flag; `hasty` raises his own after that.
    `spins`: waiting is an action too."""

    def process(me):
        def act(view):
            at = view["at", me]
            if (at == "out" and not hasty) or at == "late":
                view["flag", me] = True
            elif at == "ready" and turn:
                view["owner"] = 1 - me
            elif at == "wait":
                if view["flag", 1 - me] and (not turn or view["owner"] == 1 - me):
                    return spins
            elif at == "in":
                view["flag", me] = False
            after = {"out": "ready", "ready": "wait", "wait": "late" if hasty else "in", "late": "in", "in": "out"}
            view["at", me] = after[at]
            return True

        return Action(f"process {me}", act)

    def initial(key):
        return None if key == "owner" else "out" if key[0] == "at" else False

    def both(view):
        return view["at", 0] == "in" == view["at", 1]

    properties = [
        Property("mutual exclusion", lambda view: not both(view)),
        NO_DEADLOCK,
        Property("somebody enters", lambda view: "in" in (view["at", 0], view["at", 1]), EVENTUALLY),
    ]
    if not symmetries:
        properties += [
            Property(f"{me} enters", lambda view, me=me: view["at", me] == "in", EVENTUALLY) for me in (0, 1)
        ]
    return Model(initial, [process(0), process(1)], properties, symmetries)


def election(numbers):
    """Chang's and Roberts's: each sends his number to the next one, who passes on none that is smaller than his."""
    count = len(numbers)

    def send(me):
        def act(view):
            if view["sent", me]:
                return False
            view["sent", me] = True
            view["inbox", (me + 1) % count] += (numbers[me],)
            return True

        return Action(f"send {me}", act)

    def receive(me):
        def act(view):
            inbox = view["inbox", me]
            if not inbox:
                return False
            view["inbox", me] = inbox[1:]
            if inbox[0] == numbers[me]:
                view["leader", me] = True
            elif inbox[0] > numbers[me]:
                view["inbox", (me + 1) % count] += (inbox[0],)
            return True

        return Action(f"receive {me}", act)

    def leaders(view):
        return [numbers[me] for me in range(count) if view["leader", me]]

    properties = [
        Property("no leader but the greatest", lambda view: leaders(view) in ([], [max(numbers)])),
        Property("a leader", lambda view: bool(leaders(view)), EVENTUALLY),
    ]
    actions = [make(me) for me in range(count) for make in (send, receive)]
    return Model(lambda key: () if key[0] == "inbox" else False, actions, properties)


def token_ring(count):
    """A token goes round; who has it works, or passes it on."""

    def act_of(me):
        def act(view):
            if view["owner"] != me:
                return False
            if view["work", me]:
                view["owner"] = (me + 1) % count
            view["work", me] = not view["work", me]
            return True

        return Action(f"station {me}", act)

    properties = [
        NO_DEADLOCK,
        Property("one works", lambda view: sum(view["work", me] for me in range(count)) <= 1),
        *(Property(f"{me} works", lambda view, me=me: view["work", me], EVENTUALLY) for me in range(count)),
    ]
    return Model(lambda key: 0 if key == "owner" else False, [act_of(me) for me in range(count)], properties)


def channel(loss):
    """A sender that sends again until what it sent has arrived. What loses it is `nobody`, the `environment`, a
    `process` of the channel, or a `choice` when it is delivered. A clock ticks all the time."""

    def send(view):
        if view["channel"] or view["arrived"]:
            return False
        view["channel"] = True
        return True

    def deliver(view):
        if not view["channel"]:
            return False
        view["channel"] = False
        view["arrived"] = loss != "choice" or not view.choose(2)
        return True

    def lose(view):
        if not view["channel"]:
            return False
        view["channel"] = False
        return True

    def tick(view):
        view["clock"] = not view["clock"]
        return True

    actions = [Action("send", send), Action("deliver", deliver), Action("tick", tick)]
    if loss in ("environment", "process"):
        actions.append(Action("lose", lose, progress=loss == "process"))
    return Model(lambda key: False, actions, [Property("arrives", lambda view: view["arrived"], EVENTUALLY)])


@pytest.fixture(scope="session")
def plain():
    """Call it with a model for its plain search."""
    return Plain


@pytest.fixture(scope="session")
def models():
    """The classical models."""
    makers = (philosophers, rotations, Rotation, buffer, peterson, election, token_ring, channel)
    return SimpleNamespace(**{each.__name__: each for each in makers})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is compiled takes ten seconds before anything is tested."""
    for item in items:
        if "kernels" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def kernels():
    """The compiled search's kernels, ready to be used at once."""
    pytest.importorskip("numba")
    from sim_backend.explore import kernels

    return kernels
