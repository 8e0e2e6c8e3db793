"""A domain's posting hooks, read again after a store: in each form that Xen's versions have."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.trace.pi_ops import PiOps
from inspector.xen.xen import Xen
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load
from structs.xen import variants
from structs.xen.profile import Profile

START = 0x3D0
"""Where the hooks are put, of any form: in `struct domain`, 8 bytes each."""


@pytest.fixture
def inspection() -> Inspection:
    return Inspection(Simulation(Machine(load("wakeup-storm"), seed=3)))


def with_form(profile: Profile, form: Mapping[str, str]) -> Profile:
    """The same build, had it this form of the hooks."""
    document = copy.deepcopy(dict(profile.document))
    types = document["user_types"]
    for place, (path, hook) in enumerate(form.items()):
        *outer, last = path.split(".")
        fields = types["domain"]["fields"]
        for depth, part in enumerate(outer):
            inner = f"made_{depth}_{part}"
            if place == 0:
                fields[part] = {"offset": 0, "type": {"kind": "struct", "name": inner}}
                types[inner] = {"kind": "struct", "size": 0x1000, "fields": {}}
            fields = types[inner]["fields"]
        kind = "unsigned int" if hook == "flags" else "unsigned long"
        fields[last] = {"offset": START + 8 * place, "type": {"kind": "base", "name": kind}}
    return Profile(document)


def test_the_hooks_of_a_machine_are_those_that_a_look_finds(inspection: Inspection) -> None:
    assert inspection.xen
    found = PiOps(inspection.xen, inspection.snapshot.domains)
    hvm = [domain for domain in inspection.snapshot.domains if domain.hvm]
    assert hvm
    assert len(hvm) < len(inspection.snapshot.domains)
    assert list(found.known) == [f"d{domain.domain}" for domain in hvm]
    for domain in hvm:
        assert found.known[f"d{domain.domain}"] == {"pi_ops.flags": 3, "pi_ops.vcpu_block": "vmx_vcpu_block"}
        write = found.writes[f"d{domain.domain}"]
        first = inspection.xen.profile.offset("domain", "arch.hvm.pi_ops.flags")
        assert (write.virtual, write.size) == (domain.address + first, 16)
        assert write.physical == inspection.xen.memory.translate(write.virtual)
        assert found.owner(write.physical + 8) == f"d{domain.domain}"
        assert found.owner(write.physical - 1) is None
        assert found.owner(write.physical + 16) is None


@pytest.mark.parametrize("form", variants.HOOKS, ids=lambda form: next(iter(form)))
def test_each_store_is_told_by_xens_names(inspection: Inspection, form: Mapping[str, str]) -> None:
    xen = inspection.xen
    assert xen
    there = Xen(with_form(xen.profile, form), xen.memory)
    assert variants.hooks(there.profile) == form
    domain = next(domain for domain in inspection.snapshot.domains if domain.hvm)
    name, block = f"d{domain.domain}", xen.profile.symbol("vmx_vcpu_block")
    found = PiOps(there, inspection.snapshot.domains)
    begin = found.writes[name].physical
    # Words that stores leave are told without a look at memory.
    for place, (path, hook) in enumerate(form.items()):
        field = "pi_ops." + path.rpartition(".")[2].removeprefix("pi_")
        before = found.known[name][field]
        after, word = (2, 2) if hook == "flags" else ("vmx_vcpu_block+0x1", block + 1)
        assert found.changed(name, begin + 8 * place, word) == {field: (before, after)}
        assert found.changed(name, begin + 8 * place, word) == {}
        gone = 0 if hook == "flags" else None
        assert found.changed(name, begin + 8 * place, 0) == {field: (after, gone)}
    assert set(found.known[name].values()) <= {0, None}
