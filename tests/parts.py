"""Which cases of a test are in the quick part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def quick(some: Iterable[Any], among: Iterable[Any]) -> list[Any]:
    """Cases for `parametrize`: all of `among`, of which those not in `some` run in the whole only."""
    kept = set(some)
    return [case if case in kept else pytest.param(case, marks=pytest.mark.thorough) for case in among]
