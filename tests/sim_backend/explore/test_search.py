"""Random models against a plain search; limits; Ctrl-C."""

from __future__ import annotations

import signal
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES, Action, Model, Property
from sim_backend.explore.result import BROKEN, HOLDS, SEEN, UNKNOWN
from sim_backend.explore.search import SCOUTS, Limits, Search
from sim_backend.explore.threads import spread
from sim_backend.explore.transitions import Transitions

KEYS = ("a", ("b", 1), 2, None, frozenset("c"), ("d", ("e",)))
KINDS = (ALWAYS, SOMETIMES, EVENTUALLY, AT_REST)
# True is 1, and as far as a model goes (True,) is (1,).
VALUES = (0, 1, True, None, (1, "x"), (), "x", 1 << 40, -3)

keys, values = st.sampled_from(KEYS), st.sampled_from(VALUES)
expressions = st.one_of(
    st.tuples(st.just("value"), values),
    st.tuples(st.just("copy"), keys),
    st.tuples(st.just("count"), keys, st.integers(2, 9)),
    st.tuples(st.just("pair"), keys, keys),
)
tests = st.tuples(keys, st.booleans(), st.one_of(values, st.integers(0, 8)))
guards = st.lists(tests, max_size=2)
assignments = st.lists(st.tuples(keys, expressions), max_size=2)
statements = st.one_of(
    st.tuples(st.just("set"), assignments),
    st.tuples(st.just("if"), guards, assignments),
    st.tuples(st.just("choose"), st.lists(assignments, min_size=1, max_size=3)),
)
actions = st.tuples(guards, st.lists(statements, max_size=2), st.booleans())
properties = st.tuples(guards, st.sampled_from(KINDS))


def valued(view, expression):
    kind, key, *rest = expression
    if kind == "value":
        return key
    if kind == "copy":
        return view[key]
    if kind == "count":
        value = view[key]
        return (value + 1) % rest[0] if isinstance(value, int) else 0
    pair = view[key], view[rest[0]]
    return None if any(isinstance(each, tuple) for each in pair) else pair


def passed(view, guard):
    return all((view[key] == value) == like for key, like, value in guard)


def assign(view, assigned):
    for key, expression in assigned:
        view[key] = valued(view, expression)


def action(number, guard, body, progress):
    def act(view):
        drawn = []
        if not passed(view, guard):
            return False, None
        for kind, *rest in body:
            if kind == "set":
                assign(view, rest[0])
            elif kind == "if":
                if passed(view, rest[0]):
                    assign(view, rest[1])
            else:
                drawn.append(view.choose(len(rest[0])))
                assign(view, rest[0][drawn[-1]])
        return True, (number, *drawn)

    return Action(f"action {number}", act, progress)


@st.composite
def models_of_anything(draw):
    first = draw(st.fixed_dictionaries(dict.fromkeys(KEYS, values)))
    acting = [action(number, *each) for number, each in enumerate(draw(st.lists(actions, max_size=5)))]
    asked = [
        Property(f"property {number}", lambda view, guard=guard: passed(view, guard), kind)
        for number, (guard, kind) in enumerate(draw(st.lists(properties, max_size=5)))
    ]
    return Model(first.__getitem__, acting, asked)


def searched(plain, model, **options):
    everything = plain(model, most=300)
    assume(everything.complete)
    return everything, Search(model, **options).run()


@given(models_of_anything())
def test_a_plain_search_agrees(plain, model):
    everything, result = searched(plain, model)
    everything.agree(result)


@pytest.mark.thorough
@given(models_of_anything())
def test_threads_agree_however_little_is_known_before(plain, model):
    with patch.multiple("sim_backend.explore.search", CHUNK=1, USELESS=0):
        everything, result = searched(plain, model, threads=2)
    everything.agree(result)


@pytest.mark.thorough
@given(models_of_anything(), st.sampled_from((1, 2)))
def test_compiled_code_agrees(kernels, plain, model, threads):
    with patch.multiple("sim_backend.explore.compiled", PART=2):
        everything, result = searched(plain, model, threads=threads, compile_from=0)
    everything.agree(result)


@given(models_of_anything(), st.integers(0, 8))
def test_a_search_that_is_not_deep_enough_does_not_say_more_than_it_knows(plain, model, depth):
    everything, result = searched(plain, model, limits=Limits(depth=depth))
    deepest = everything.numbers[2]
    assert result.exhausted == (depth > deepest)
    assert (result.stopped is None) == result.exhausted
    assert result.depth == min(depth, deepest)
    assert result.states == sum(each <= depth for each in everything.depth_of.values())
    agrees_as_far_as_it_goes(everything, result)


@given(models_of_anything(), st.integers(1, 40))
def test_a_search_of_some_states_does_not_say_more_than_it_knows(plain, model, states):
    everything, result = searched(plain, model, limits=Limits(states=states))
    assert result.exhausted == (result.stopped is None)
    assert result.exhausted or states <= result.states
    agrees_as_far_as_it_goes(everything, result)


def agrees_as_far_as_it_goes(everything, result):
    if result.exhausted:
        everything.agree(result)
        return
    for asked, verdict in zip(everything.model.properties, result.verdicts, strict=True):
        assert verdict.verdict in (UNKNOWN, SEEN if asked.kind == SOMETIMES else BROKEN)
        if verdict.verdict == UNKNOWN:
            assert verdict.moves is None
            continue
        wanted, length = everything.wanted(asked)
        assert verdict.verdict == wanted
        assert len(verdict.moves) == length
        assert everything.follow(verdict.moves)


def counter(last, *asked):
    def count(view):
        if view["n"] == last:
            return False
        view["n"] += 1
        return True

    return Model(lambda key: 0, [Action("count", count)], asked)


ASKED = (
    Property("small", lambda view: view["n"] < 50),
    Property("far", lambda view: view["n"] == 90, SOMETIMES),
    Property("gets far", lambda view: view["n"] >= 90, EVENTUALLY),
)


@pytest.mark.parametrize(
    ("limits", "states", "stopped", "verdicts"),
    [
        (Limits(), 101, None, (BROKEN, SEEN, HOLDS)),
        (Limits(1 << 40, 1 << 40, 1 << 40), 101, None, (BROKEN, SEEN, HOLDS)),
        (Limits(states=30), 30, "budget of 30 states", (UNKNOWN, UNKNOWN, UNKNOWN)),
        (Limits(states=60), 60, "budget of 60 states", (BROKEN, UNKNOWN, UNKNOWN)),
        (Limits(depth=60), 61, "depth of 60 actions", (BROKEN, UNKNOWN, UNKNOWN)),
        (Limits(depth=95), 96, "depth of 95 actions", (BROKEN, SEEN, UNKNOWN)),
        (Limits(first=True), 51, "a property is broken", (BROKEN, UNKNOWN, UNKNOWN)),
        (Limits(memory=1 << 10), 2, "budget of 0 MiB", (UNKNOWN, UNKNOWN, UNKNOWN)),
    ],
)
def test_limits(limits, states, stopped, verdicts):
    result = Search(counter(100, *ASKED), limits).run()
    assert (result.states, result.stopped) == (states, stopped)
    assert tuple(each.verdict for each in result.verdicts) == verdicts
    assert result.exhausted == (stopped is None)


def test_a_depth_that_is_just_enough_is_no_limit():
    assert Search(counter(10), Limits(depth=11)).run().exhausted
    # The last state is known then, but not that nothing comes after it.
    assert not Search(counter(10), Limits(depth=10)).run().exhausted


def test_ctrl_c_keeps_what_is_known(monkeypatch):
    monkeypatch.setattr("sim_backend.explore.search.EVERY", -1)

    def interrupt(progress):
        if progress.states == 71:
            signal.raise_signal(signal.SIGINT)

    result = Search(counter(100, *ASKED), tell=interrupt).run()
    assert (result.states, result.stopped, result.exhausted) == (71, "interrupted", False)
    assert [each.verdict for each in result.verdicts] == [BROKEN, UNKNOWN, UNKNOWN]
    assert result.verdicts[0].moves == (0,) * 50


def test_ctrl_c_before_anything_is_known():
    def interrupts(view):
        signal.raise_signal(signal.SIGINT)
        return False

    model = counter(100, *ASKED)
    result = Search(Model(model.initial, [*model.actions, Action("", interrupts)], model.properties)).run()
    assert (result.states, result.stopped) == (1, "interrupted")


def test_ctrl_c_while_cycles_are_looked_for():
    def interrupts(view):
        if view["n"] < 100:
            signal.raise_signal(signal.SIGINT)
        return True

    asked = (*ASKED, Property("interrupted", interrupts, EVENTUALLY))
    result = Search(counter(100, *asked)).run()
    assert (result.states, result.stopped) == (101, "interrupted")
    assert [each.verdict for each in result.verdicts] == [BROKEN, SEEN, HOLDS, UNKNOWN]


def test_progress_is_told(monkeypatch):
    monkeypatch.setattr("sim_backend.explore.search.EVERY", 0)
    told = []
    Search(counter(20), tell=told.append).run()
    assert [each.states for each in told] == [*range(2, 22), 21]
    assert [each.seconds for each in told] == sorted(each.seconds for each in told)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_can_be_done(plain, kind):
    for true in (False, True):
        model = Model(lambda key: None, [], [Property("", lambda view, true=true: true, kind)])
        result = Search(model).run()
        assert (result.states, result.transitions, result.depth) == (1, 0, 0)
        plain(model).agree(result)


def test_nothing_is_asked():
    result = Search(counter(7)).run()
    assert (result.states, result.transitions, result.depth, result.verdicts) == (8, 7, 7, ())


def test_an_action_and_a_property_that_read_nothing(plain):
    def store(view):
        view["a"] = view.choose(3)
        return True

    def idle(view):
        return True

    def never(view):
        return False

    asked = [Property(kind, lambda view, true=true: true, kind) for kind in KINDS for true in (False, True)]
    model = Model(lambda key: 0, [Action("store", store), Action("idle", idle), Action("never", never)], asked)
    result = Search(model).run()
    assert (result.states, result.transitions) == (3, 3 * 4)
    plain(model).agree(result)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_the_first_value_is_stored_unread_before_anything_else_is(plain, order):
    """What that does is learnt when it does nothing."""

    def clear(view):
        view["a"] = 0
        return True

    def fill(view):
        if view["b"] < 3:
            return False
        view["a"] = 1
        return True

    def count(view):
        view["b"] = (view["b"] + 1) % 4
        return True

    acting = [Action("clear", clear), Action("fill", fill), Action("count", count)]
    model = Model(
        lambda key: 0, [acting[each] for each in order], [Property("", lambda view: not view["a"], EVENTUALLY)]
    )
    result = Search(model).run()
    assert result.states == 8
    plain(model).agree(result)


def test_what_was_constant_for_long_changes(plain):
    """What was learnt and found with it is dropped."""

    def count(view):
        if view["n"] == 40 or view["stop"]:
            return False
        view["n"] += 1
        return True

    def stop(view):
        if view["n"] != 30 or view["stop"]:
            return False
        view["stop"] = True
        return True

    asked = [Property("", lambda view: not view["stop"]), Property("", lambda view: view["n"] == 40, EVENTUALLY)]
    model = Model(lambda key: 0, [Action("count", count), Action("stop", stop)], asked)
    result = Search(model).run()
    assert result.states == 42
    plain(model).agree(result)


def test_equal_values_are_one(plain):
    def turn(view):
        view["a"] = {0: True, 1: 1.0, 2: False}[view["n"]]
        view["n"] = (view["n"] + 1) % 3
        return True

    model = Model(lambda key: 0, [Action("turn", turn)], [Property("", lambda view: view["a"] == 1, SOMETIMES)])
    result = Search(model).run()
    assert result.states == 3
    plain(model).agree(result)


@pytest.mark.thorough
def test_far_more_than_a_word(plain):
    """Fields that come late, and grow, while thousands of states are known."""
    many = 70

    def count(view):
        n = view["n"]
        if n == 11 * many:
            return False
        view["n"] = n + 1
        view["digit", n // 11] = (n % 11, 1 << n % 11 + 40)
        return True

    def flip(view):
        view["bit"] = not view["bit"]
        return True

    def step(view):
        view["place"] = (view["place"] + 1) % 5
        return True

    model = Model(
        lambda key: 0,
        [Action("count", count), Action("flip", flip), Action("step", step)],
        [Property("last", lambda view: view["digit", many - 1] == (10, 1 << 50), SOMETIMES)],
    )
    search = Search(model)
    result = search.run()
    assert search.fields.words >= 6
    assert result.states == (11 * many + 1) * 2 * 5
    everything = plain(model, most=result.states)
    everything.agree(result)


@pytest.mark.parametrize("threads", [1, 3])
def test_layers_in_pieces(monkeypatch, plain, threads):
    monkeypatch.setattr("sim_backend.explore.search.CHUNK", 3)
    monkeypatch.setattr("sim_backend.explore.liveness.BATCH", 5)
    acting = []
    for place in range(7):

        def flip(view, place=place):
            view[place] = not view[place]
            return not view["stop"]

        acting.append(Action(f"flip {place}", flip))
    asked = [
        Property("", lambda view: not all(view[place] for place in range(7))),
        Property("", lambda view: view[3], EVENTUALLY),
        Property("", lambda view: not all(view[place] for place in range(1, 7)), EVENTUALLY),
    ]
    model = Model(lambda key: False, acting, asked)
    shared = []
    monkeypatch.setattr("sim_backend.explore.search.spread", lambda *how: shared.append(how) or spread(*how))
    result = Search(model, threads=threads).run()
    assert bool(shared) == (threads > 1)
    assert (result.states, result.transitions, result.depth) == (128, 128 * 7, 7)
    plain(model).agree(result)


def test_each_combination_is_run_once(monkeypatch):
    """The actions are run far less often than they are taken."""
    ran = []
    learn = Transitions._learn
    monkeypatch.setattr(Transitions, "_learn", lambda self, *rest: ran.append(rest[0]) or learn(self, *rest))

    def count_of(place):
        def count(view):
            view[place] = (view[place] + 1) % 7
            return True

        return Action(f"count {place}", count)

    result = Search(Model(lambda key: 0, [count_of(place) for place in range(5)])).run()
    assert (result.states, result.transitions) == (7**5, 5 * 7**5)
    assert result.runs == len(ran) <= 2 * 5 * 7


def test_scouts_have_each_value_of_each_field_that_their_layer_has():
    """However rare it is: what is seen once in a layer is followed."""

    def spread_out(view):
        if view["layer"]:
            return False
        view["layer"], view["n"] = 1, view.choose(SCOUTS * 4)
        return True

    def meet(view):
        if view["layer"] != 1 or view["n"] != SCOUTS * 3:
            return False
        view["layer"], view["met"] = 2, 1
        return True

    def look(view):
        return view["met"] == 2

    search = Search(
        Model(lambda key: 0, [Action("spread out", spread_out), Action("meet", meet), Action("look", look)])
    )
    with patch.object(search, "_mend", wraps=search._mend) as mended:
        search._begin()
        search._scout()
        assert {"layer", "n", "met"} == set(search.fields.keys)
        mended.reset_mock()
        result = search.run()
    assert (result.states, mended.call_count) == (SCOUTS * 4 + 2, 0)
