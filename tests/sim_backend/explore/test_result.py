"""What an exploration found."""

from __future__ import annotations

from sim_backend.explore.result import BROKEN, HOLDS, Result, Verdict


def test_broken_is_what_is_broken():
    verdicts = (Verdict("a", "always", HOLDS), Verdict("b", "always", BROKEN, moves=()))
    result = Result(True, None, 1, 1, 0, 1, 0.1, 16.0, verdicts)
    assert result.broken == verdicts[1:]
