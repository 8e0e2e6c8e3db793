"""Models whose states can be counted on paper, and whose properties are known."""

from __future__ import annotations

import pytest

from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN
from sim_backend.explore.search import Search


def verdicts(result):
    return {verdict.name: verdict.verdict for verdict in result.verdicts}


@pytest.mark.thorough
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_philosophers(models, count):
    result = Search(models.philosophers(count)).run()
    # Each fork is free, or one of its two neighbours has it, and that says what each philosopher is doing. All of that
    # can be reached, but for each of them having just his right fork: the last one would have had to have both.
    assert result.states == 3**count - 1
    # A philosopher can go on in 6 of the 9 cases of his two forks. In the state that cannot be reached all could.
    assert result.transitions == count * 6 * 3 ** (count - 2) - count
    # All of them have their left fork: that takes one action each.
    assert len(result.verdicts[0].moves) == count
    assert sorted(result.verdicts[0].moves) == list(range(count))
    assert verdicts(result) == {
        "no deadlock": BROKEN,
        "all eat": NOT_SEEN,
        "somebody eats": BROKEN,
        "neighbours do not eat together": HOLDS,
        "the first one eats": BROKEN,
    }


@pytest.mark.thorough
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_one_is_left_handed(models, count):
    result = Search(models.philosophers(count, left_handed=True)).run()
    # Now the state where each has just his right fork is one on the left-handed one's way to eat.
    assert result.states == 3**count
    assert result.transitions == count * 6 * 3 ** (count - 2)
    assert verdicts(result) == {
        "no deadlock": HOLDS,
        "all eat": NOT_SEEN,
        "somebody eats": HOLDS,
        "neighbours do not eat together": HOLDS,
        # The others may take turns, so that one of his forks is always taken.
        "the first one eats": BROKEN,
    }
    assert result.verdicts[4].cycle


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12])
def test_buffer(models, size):
    result = Search(models.buffer(size)).run()
    # Any head with any count. Each step is possible with all counts but one. The last head has gone through all
    # others; with the buffer full then.
    assert (result.states, result.transitions) == (size * (size + 1), 2 * size * size)
    assert result.depth == 3 * size - 2
    assert verdicts(result) == {"no deadlock": HOLDS, "count": HOLDS, "full": SEEN, "overfull": NOT_SEEN}
    assert result.verdicts[2].moves == (0,) * size


@pytest.mark.parametrize("spins", [False, True])
def test_peterson(models, spins):
    result = Search(models.peterson(spins=spins)).run()
    assert set(verdicts(result).values()) == {HOLDS}


def test_peterson_without_the_turn(models):
    stuck = Search(models.peterson(turn=False)).run()
    names = {"mutual exclusion": HOLDS, "no deadlock": BROKEN, "somebody enters": BROKEN}
    assert verdicts(stuck) == {**names, "0 enters": BROKEN, "1 enters": BROKEN}
    assert not stuck.verdicts[2].cycle
    spins = Search(models.peterson(turn=False, spins=True)).run()
    assert verdicts(spins) == {**names, "no deadlock": HOLDS, "0 enters": BROKEN, "1 enters": BROKEN}
    assert spins.verdicts[2].cycle
    hasty = Search(models.peterson(turn=False, hasty=True)).run()
    assert hasty.verdicts[0].verdict == BROKEN


@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 2, 1), (2, 4, 1, 3)])
def test_election(models, numbers):
    result = Search(models.election(numbers)).run()
    assert set(verdicts(result).values()) == {HOLDS}
    # Nothing comes back and every order comes together: each history has as many actions, and they are as many as
    # messages are sent and received. The greatest number goes all the way round, each other one up to a greater one.
    count = len(numbers)
    passed = sum(
        next((far for far in range(1, count) if numbers[(me + far) % count] > numbers[me]), count)
        for me in range(count)
    )
    assert result.depth == count + passed


def test_token_ring(models):
    for count in (2, 5, 12):
        result = Search(models.token_ring(count)).run()
        assert (result.states, result.transitions, result.depth) == (2 * count, 2 * count, 2 * count - 1)
        assert set(verdicts(result).values()) == {HOLDS}


@pytest.mark.parametrize(
    ("loss", "verdict"), [("nobody", HOLDS), ("environment", HOLDS), ("process", BROKEN), ("choice", BROKEN)]
)
def test_a_channel_is_live_only_if_it_is_fair(models, plain, loss, verdict):
    model = models.channel(loss)
    result = Search(model).run()
    assert verdicts(result) == {"arrives": verdict}
    everything = plain(model)
    not_arrived = {state for state in everything.depth_of if ("arrived", True) not in state}
    # The clock could tick for ever.
    assert everything.endless(not_arrived, fair=False)
    assert bool(everything.endless(not_arrived)) == (verdict == BROKEN)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("philosophers", (count, left)) for count in (2, 3, 5) for left in (False, True)),
        ("buffer", (4,)),
        *(("peterson", (turn, hasty, spins)) for turn in (0, 1) for hasty in (0, 1) for spins in (False, True)),
        ("election", ((2, 3, 1),)),
        ("token_ring", (4,)),
        *(("channel", (loss,)) for loss in ("nobody", "environment", "process", "choice")),
    ],
)
def test_a_plain_search_agrees(models, plain, name, arguments):
    model = getattr(models, name)(*arguments)
    plain(model).agree(Search(model).run())
