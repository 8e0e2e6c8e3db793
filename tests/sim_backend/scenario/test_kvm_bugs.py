"""KVM's bugs: each is found, and without it nothing is."""

from __future__ import annotations

from functools import cache

import pytest

from sim_backend.explore import Limits, explore
from sim_backend.logic.kvm.versions import KVM
from sim_backend.scenario.bugs import base_of, change, with_bugs
from sim_backend.scenario.kvm_bugs import KVM_BUGS, KVM_VARIANTS
from sim_backend.scenario.scenario import load

BROKEN = {
    "kvm-load-ignores-pir": "no stranded interrupt",
    "kvm-load-keeps-list": "on one list, with the wakeup vector",
    "kvm-load-keeps-nv": "restored before VM entry",
    "kvm-load-keeps-ndst": "notified where it runs",
    "kvm-wrong-list-lock": "nobody waits for ever",
    "kvm-put-ignores-on": "no lost wakeup",
    "kvm-control-overwritten": "no lost wakeup",
    "kvm-wakes-first-only": "no lost wakeup",
    "kvm-current-not-woken": "no lost wakeup",
    "kvm-block-past-pir": "no lost wakeup",
    "kvm-sleeps-after-look": "no lost wakeup",
    "kvm-waits-after-look": "no lost wakeup",
    "kvm-mode-after-sync": "no stranded interrupt",
    "kvm-no-sync-at-entry": "no stranded interrupt",
    "kvm-start-lets-sleep": "no lost wakeup",
    "kvm-unrouted-stays-posted": "posted to whom the guest says",
    "kvm-route-type-ignored": "posted to whom the guest says",
    "kvm-producers-unlocked": "posted to whom the guest says",
    "kvm-restores-old-entry": "entries are as routed",
    "kvm-host-takes-entry": "entries are as routed",
}


@cache
def broken(scenario, *names):
    found = explore(load(scenario), with_bugs(KVM, names) if names else KVM, Limits())
    assert found.result.exhausted
    for verdict in found.result.broken:
        machine = found.history(verdict).at()
        assert machine.version.name == found.version.name
    return {verdict.name for verdict in found.result.broken}


def test_each_bug_is_told_what_it_breaks():
    assert BROKEN.keys() == KVM_BUGS.keys()
    assert all(base_of([name]) == "kvm" for name in KVM_BUGS)
    assert change("KVM-Load-Ignores-PIR") is KVM_BUGS["kvm-load-ignores-pir"]


@pytest.mark.parametrize("name", KVM_BUGS)
def test_a_bug_is_found(name):
    assert BROKEN[name] in broken(KVM_BUGS[name].scenario, name)


@pytest.mark.parametrize("scenario", sorted({each.scenario for each in (*KVM_BUGS.values(), *KVM_VARIANTS.values())}))
def test_without_bugs_nothing_is(scenario):
    assert broken(scenario) == set()


@pytest.mark.parametrize("name", KVM_VARIANTS)
def test_variants_do_no_harm(name):
    assert broken(KVM_VARIANTS[name].scenario, name) == set()
