"""The comparison with Xen's code notices every mutant of the model."""

from __future__ import annotations

import pytest

from sim_backend.logic import pi as pi_logic
from sim_backend.logic.context import LogicContext
from sim_backend.logic.versions import CURRENT, SEED, VERSIONS
from sim_backend.scenario.bugs import CHANGES, base_of, with_bugs

from .bench import Bench
from .functions import FUNCTIONS
from .judge import CASES, Judge
from .mutants import Mutant, all_mutants

pytestmark = pytest.mark.live


CLEARED = "VPF_blocked has just been cleared"
POLL = "vcpu_unblock 1 (ends its poll): "
NO_DIFFERENCE = {
    f"{POLL}operand memory.test_and_clear_bit(w.physical(mask), number) flipped": CLEARED,
    f"{POLL}store dropped: memory.test_and_clear_bit(v + o.pause_flags": CLEARED,
    "vmx_deliver_posted_intr 5 (sets ON, if nothing changed meanwhile): condition flipped": (
        "on one CPU nothing changes meanwhile, and the second try finds ON=1"
    ),
    "vmx_pi_unblock_vcpu 4 (looks whether it is still on the list; another one may have taken it off): condition "
    "flipped: w.physical(pointer)": "the same stores in the same order, one by one",
    "msi_msg_write_remap_rte 2 (writes the remapping entry, 16 bytes at once): condition flipped: not w.version": (
        "the emulator tells a store of 16 bytes as two of 8"
    ),
    "vmx_vcpu_block 5 (lets posts send the wakeup vector): condition flipped: w.version": "a barrier stores nothing",
    "__vmx_deliver_posted_interrupt 0 (reads is_running): operand f[V] != a.current flipped": (
        "of the current version whoever it is is unblocked"
    ),
    "entry_to_write: condition flipped: not f[POSTING]": "of the current version every entry is built anew",
    "entry_to_write: condition flipped: not version.restores_current": "nothing was kept of an entry before",
}
"""How mutants begin that no run on one CPU can tell from the model, and why."""
EMPTIES = "vmx_pi_per_cpu_init 0 (empties the CPU's blocking list and frees its lock): "
OTHER_BUILD = {
    f"{EMPTIES}store dropped: memory.set_u64(lock": "locks of this build are shorter",
    f"{EMPTIES}store dropped: memory.set_u32(lock": "locks of this build are longer",
}
WRONG_LOCK = "on one CPU nobody moves a node while its list's lock is waited for"
BY_ITS_CALLER = "entered there only by a caller that is no function of Xen's, for a version that is not this one"
NOT_ALONE = {
    "vmx_vcpu_block 6 (lets posts send the wakeup vector, before it is on a list): ": BY_ITS_CALLER,
    "vmx_sync_pir_to_irr 3 (reads ON; it is clear: PIR is not looked at): ": BY_ITS_CALLER,
    "sync: ": BY_ITS_CALLER,
    **{f"vmx_pi_unblock_vcpu {step} (": WRONG_LOCK for step in (8, 9, 10, 11)},
}
"""How mutants begin that no function run alone gets to, and why."""
OTHER_VERSIONS = [with_bugs(VERSIONS[base_of([name])], [name]) for name in CHANGES]
ONLY_THERE = "only run by {}, of which there is no machine code here"
FEW = 20
"""Calls of each function by which it is found which lines a changed version runs."""


def says(judge: Judge, mutant: Mutant) -> tuple[str, bool]:
    """What becomes of a mutant, and whether that is as it should be."""
    if case := judge.caught_by(mutant):
        return f"caught by {case[0].name}, state {case[1]}", True
    there = judge.only_there(mutant)
    if there:
        return ONLY_THERE.format(there), True
    known = NO_DIFFERENCE if judge.is_run(mutant) else OTHER_BUILD | NOT_ALONE
    reason = next((why for start, why in known.items() if str(mutant).startswith(start)), "")
    return f"no difference: {reason}" if reason else "SURVIVES", bool(reason)


def test_every_mutant_is_caught(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    # The version before all of Xen's repairs runs lines that no other one does.
    judge = Judge(bench, FUNCTIONS, pi_logic.__name__, CURRENT, {SEED: CASES, **dict.fromkeys(OTHER_VERSIONS, FEW)})
    verdicts = [(mutant, *says(judge, mutant)) for mutant in all_mutants(pi_logic.__name__, LogicContext)]
    with capsys.disabled():
        print(f"\n{len(verdicts)} mutants of the model, against Xen {bench.version}:")
        for mutant, said, _ in verdicts:
            print(f"  {mutant}: {said}")
    assert len(verdicts) > 100
    assert not [str(mutant) for mutant, _, fine in verdicts if not fine]
