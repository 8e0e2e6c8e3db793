"""Each function of Xen's posted-interrupt logic does in the model what Xen's own machine code does."""

from __future__ import annotations

import pytest

from .bench import Bench
from .functions import FUNCTIONS, Function

pytestmark = pytest.mark.live


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_model_equals_code(bench: Bench, function: Function, states: int) -> None:
    for number in range(states):
        found = bench.differences(function, number, everywhere=number % 100 == 0)
        assert not found, f"{function.name} of Xen {bench.version} in state {number}:\n" + "\n".join(found[:20])
