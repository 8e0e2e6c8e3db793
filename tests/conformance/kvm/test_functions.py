"""Each function of KVM's posted interrupts does in the model what KVM's own machine code does."""

from __future__ import annotations

import pytest

from .bench import KvmBench
from .functions import FUNCTIONS, Function
from .sides import run_code, run_model

pytestmark = pytest.mark.live


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_model_equals_code(kvm_bench: KvmBench, function: Function, states: int) -> None:
    kinds = set()
    for number in range(states):
        made, arguments = kvm_bench.state(function, number)
        code, model = run_code(kvm_bench.code, function, made, arguments), run_model(function, made, arguments)
        assert code, f"{function.name} of Linux {kvm_bench.version} fails in state {number}"
        found = kvm_bench.compare(made, code, model, everywhere=number % 100 == 0)
        assert not found, f"{function.name} of Linux {kvm_bench.version} in state {number}:\n" + "\n".join(found[:20])
        kinds.add(tuple(kvm_bench.kind(event) for event in code.events))
    assert len(kinds) > 1, "it does the same in every state"
