"""Which fields of a state go into one word: those that have few values together, so that words have few values."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields, Rows, needed

SAMPLE = 1 << 12
"""So many states are looked at."""
FEW = SAMPLE // 16
"""Groups are joined as long as the two have no more values together."""
TABLE = 1 << 13
"""Up to so many combinations are counted in a table."""
MANY = 5
"""Groups are joined as long as there are more, whatever comes of it."""
WIDEST = 52
"""A group has no more bits, so that its fields can become wider in the same word."""
NEVER = 1 << 62


def grouped(fields: Fields, rows: Rows) -> list[list[int]]:
    """Groups of fields, by what is in some rows: always those two are joined that have the fewest values together."""
    rows = rows[:: max(1, len(rows) // SAMPLE)]
    groups = [[field] for field in range(len(fields.keys))]
    width = [needed(len(values)) for values in fields.values]
    found = [np.unique(fields.extract(rows, field), return_inverse=True)[1] for field in range(len(groups))]
    count = [int(codes.max(initial=0)) + 1 for codes in found]

    def together(one: int, other: int) -> int:
        if one == other or width[one] + width[other] > WIDEST:
            return NEVER
        return _combinations(found[one], count[one], found[other], count[other])

    ways = np.full((len(groups), len(groups)), NEVER)
    for one in range(len(groups)):
        ways[one, :one] = [together(one, other) for other in range(one)]
    left = len(groups)
    while ways.size and (ways.min() <= FEW or (left > MANY and ways.min() < NEVER)):
        left -= 1
        one, other = sorted(divmod(int(ways.argmin()), len(groups)))
        groups[one] += groups[other]
        width[one] += width[other]
        _, found[one] = np.unique(found[one] * count[other] + found[other], return_inverse=True)
        count[one] = int(found[one].max()) + 1
        groups[other], width[other] = [], NEVER
        ways[other, :] = ways[:, other] = NEVER
        for third in range(len(groups)):
            ways[max(one, third), min(one, third)] = together(one, third)
    return [group for group in groups if group]


def _combinations(one: Any, ones: int, other: Any, others: int) -> int:
    """How many pairs of two columns of numbers there are."""
    pairs = one * others + other
    if ones * others <= TABLE:
        return int(np.count_nonzero(np.bincount(pairs)))
    return len(np.unique(pairs))
