"""The comparison with KVM's code notices every mutant of what is compared of the model."""

from __future__ import annotations

import pytest

from sim_backend.logic import kvm
from sim_backend.logic.kvm.context import KvmContext
from sim_backend.logic.kvm.versions import KVM

from ..judge import Judge
from ..mutants import Mutant, all_mutants
from .bench import KvmBench
from .functions import FUNCTIONS

pytestmark = pytest.mark.live

OF_THIS_VERSION = "in this version the other operand decides"
NOTHING_CHANGES = "on one CPU nothing changes meanwhile"
IN_HALVES = "the emulator tells a store of 16 bytes as two of 8"
NOT_ASKED = "of what is compared, nothing asks who produces an interrupt"
NO_DIFFERENCE = {
    "vmx_deliver_posted_interrupt 2 (looks whether the vCPU is in the guest; else it is woken): operand not here": (
        OF_THIS_VERSION
    ),
    "vmx_vcpu_pi_put 1 (looks whether it blocks, with interrupts enabled): operand not w.memory": OF_THIS_VERSION,
    "intel_ir_set_vcpu_affinity 0 (notes whether it posts, and makes the entry): condition flipped: not w.version": (
        "nothing was kept of an entry before"
    ),
    "vmx_vcpu_pi_load 6 (writes it back with SN clear, NDST its CPU and NV the notification vector; again if it "
    "changed): condition flipped: seen != old": f"{NOTHING_CHANGES}, and the second try stores nothing",
    "pi_enable_wakeup_handler 5 (writes it back with NV the wakeup vector; again if it changed): condition flipped: "
    "seen != old": f"{NOTHING_CHANGES}, and the second try stores nothing",
    "pi_enable_wakeup_handler 5 (writes it back with NV the wakeup vector; again if it changed): condition flipped: "
    "w.version.put_keeps_control": NOTHING_CHANGES,
    "modify_irte 1 (writes the entry): operand not": IN_HALVES,
    "modify_irte 1 (writes the entry): condition flipped: not (old | new)": IN_HALVES,
    "vmx_vcpu_pi_put 2 (looks whether it was preempted: suppresses notifications): operand not f[": OF_THIS_VERSION,
    **{
        "vmx_pi_update_irte 0 (looks up the guest's route, and whether it can be posted): operand "
        + operand: OF_THIS_VERSION
        for operand in ("not f[SET] flipped: w.version", "len(route) > 1 flipped")
    },
    "find_producers: ": NOT_ASKED,
}
"""How mutants begin that no run on one CPU can tell from the model, and why."""


def test_every_mutant_is_caught(kvm_bench: KvmBench, capsys: pytest.CaptureFixture[str]) -> None:
    judge = Judge(kvm_bench, FUNCTIONS, kvm.__name__, KVM, {})
    tried = [mutant for mutant in all_mutants(kvm.__name__, KvmContext) if judge.is_run(mutant)]
    verdicts = {str(mutant): _says(judge, mutant) for mutant in tried}
    with capsys.disabled():
        print(f"\n{len(tried)} mutants of the model, against Linux {kvm_bench.version}:")
        for mutant, said in verdicts.items():
            print(f"  {mutant}: {said}")
    assert len(tried) > 60
    assert not [mutant for mutant, said in verdicts.items() if said == SURVIVES]


SURVIVES = "SURVIVES"


def _says(judge: Judge, mutant: Mutant) -> str:
    if case := judge.caught_by(mutant):
        return f"caught by {case[0].name}, state {case[1]}"
    reason = next((why for start, why in NO_DIFFERENCE.items() if str(mutant).startswith(start)), "")
    return f"no difference: {reason}" if reason else SURVIVES
