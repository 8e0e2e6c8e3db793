"""A trace of a real Xen 4.20.4 is such as the logic makes; one that was tampered with, or another logic, is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim_backend.logic.versions import CURRENT, Version
from sim_backend.machine.acceptor import Acceptor, Seen, Verdict, steps_of_interest

TRACE = Path(__file__).parents[2] / "data/traces/xen-4.20.4-storm.jsonl"
HEAD, *LINES = [json.loads(line) for line in TRACE.read_text().splitlines()]

PART = 200
"""What suffices of it for one difference."""


def value(raw: Any) -> Any:
    return tuple(raw) if isinstance(raw, list) else raw


def real() -> list[Seen]:
    return [
        Seen(
            line["cpu"],
            line["function"],
            int(line["vcpu"][3:]),
            {name: (value(each["before"]), value(each["after"])) for name, each in line["changes"].items()},
        )
        for line in LINES
    ]


def held(seen: list[Seen], version: Version = CURRENT) -> Verdict:
    beginning = HEAD["beginning"]
    state = {
        int(name[3:]): {field: value(raw) for field, raw in of.items()} for name, of in beginning["fields"].items()
    }
    return Acceptor(beginning["cpus"], state, tuple(beginning["vectors"]), beginning["x2apic"], version).see(seen)


def test_all_of_it_is_such_as_the_logic_makes() -> None:
    verdict = held(real())
    assert verdict.accepted == len(LINES) == 700
    assert not verdict.refused
    assert verdict.gaps == 0
    assert set(verdict.steps) <= set(steps_of_interest())
    seen = {name for name, _ in verdict.steps}
    assert seen == {
        *("vmx_deliver_posted_intr", "vmx_sync_pir_to_irr", "vmx_pi_switch_from", "vmx_pi_switch_to"),
        *("vmx_vcpu_block", "vmx_pi_unblock_vcpu"),
    }


def first(seen: list[Seen], function: str, field: str) -> int:
    return next(at for at, each in enumerate(seen) if each.function == function and field in each.changes)


def another_function(seen: list[Seen]) -> int:
    at = first(seen, "vmx_pi_switch_to", "sn")
    seen[at] = replace(seen[at], function="vmx_pi_switch_from")
    return at


def another_value(seen: list[Seen]) -> int:
    at = first(seen, "vmx_vcpu_block", "nv")
    before, _ = seen[at].changes["nv"]
    seen[at] = replace(seen[at], changes={"nv": (before, 0x77)})
    return at


def the_wrong_order(seen: list[Seen]) -> int:
    """The vCPU is on the list before its lock is noted."""
    at = first(seen, "vmx_vcpu_block", "blocking_lock")
    seen[at], seen[at + 1] = seen[at + 1], seen[at]
    return at


def a_step_left_out(seen: list[Seen]) -> int:
    """A post that sets its vector and no ON, though nothing keeps it from it; the next one comes."""
    at = next(at for at, each in enumerate(seen) if each.function == "vmx_deliver_posted_intr" and "on" in each.changes)
    cpu = seen[at].cpu
    del seen[at]
    return next(
        place
        for place, each in enumerate(seen)
        if place >= at and (each.cpu, each.function) == (cpu, "vmx_deliver_posted_intr")
    )


def a_function_that_stores_nothing(seen: list[Seen]) -> int:
    seen[5] = replace(seen[5], function="schedule")
    return 5


@pytest.mark.parametrize(
    "tamper", [another_function, another_value, the_wrong_order, a_step_left_out, a_function_that_stores_nothing]
)
def test_what_xen_does_not_do_is_refused_where_it_is(tamper: Callable[[list[Seen]], int]) -> None:
    seen = real()[:PART]
    at = tamper(seen)
    verdict = held(seen)
    assert at in [place for place, _, _ in verdict.refused]
    assert verdict.accepted + len(verdict.refused) == len(seen)


@pytest.mark.parametrize(
    ("version", "function"),
    [
        (replace(CURRENT, lists_before_nv=False), "vmx_vcpu_block"),
        (replace(CURRENT, resume_unlists=False), "vmx_pi_unblock_vcpu"),
    ],
)
def test_another_logic_is_told_from_the_real_one(version: Version, function: str) -> None:
    verdict = held(real()[:PART], version)
    assert function in {each.function for _, each, _ in verdict.refused}


def test_a_post_whose_notification_another_one_has_sent_ends_unseen() -> None:
    """CPU 0 sets its vector; CPU 1 does and sets ON; CPU 0 finds ON set. The vCPU takes both; CPU 0 posts again."""
    known = {"pir": (), "on": 0, "sn": 0, "nv": 0xF2, "ndst": 0x100, "blocking_list": None, "blocking_lock": None}
    post, take = "vmx_deliver_posted_intr", "vmx_sync_pir_to_irr"
    seen = [
        Seen(0, post, 0, {"pir": ((), (0x63,))}),
        Seen(1, post, 0, {"pir": ((0x63,), (0x30, 0x63))}),
        Seen(1, post, 0, {"on": (0, 1)}),
        Seen(1, take, 0, {"on": (1, 0)}),
        Seen(1, take, 0, {"pir": ((0x30, 0x63), (0x63,))}),
        Seen(1, take, 0, {"pir": ((0x63,), ())}),
        Seen(0, post, 0, {"pir": ((), (0x63,))}),
        Seen(0, post, 0, {"on": (0, 1)}),
    ]
    assert not Acceptor(2, {0: known}, (0xF2, 0xF3)).see(seen).refused
    # Had nobody set ON, CPU 0 would have.
    alone = [each for each in seen if each.cpu == 0]
    alone = [alone[0], Seen(1, take, 0, {"pir": ((0x63,), ())}), *alone[1:]]
    assert [place for place, _, _ in Acceptor(2, {0: known}, (0xF2, 0xF3)).see(alone).refused] == [1, 2]


def test_the_processor_clears_on_and_takes_pir_at_once_and_nothing_less() -> None:
    known = {"pir": (0x52,), "on": 1, "sn": 0, "nv": 0xF2, "ndst": 0x100, "blocking_list": None, "blocking_lock": None}
    processor = "posted-interrupt processing"

    def refused(**changes: Any) -> bool:
        return bool(Acceptor(2, {0: known}, (0xF2, 0xF3)).see([Seen(0, processor, 0, changes)]).refused)

    assert not refused(on=(1, 0), pir=((0x52,), ()))
    assert refused(on=(1, 0))
    assert refused(pir=((0x52,), ()))
    assert refused(on=(1, 0), pir=((0x52,), ()), sn=(0, 1))
