"""How well an unknown Xen is known, from what the self-check made of its structures."""

from __future__ import annotations

from inspector.xen.knowledge import Knowledge
from inspector.xen.selfcheck import CONSISTENT, PROVED, UNKNOWN, Verdict
from structs.xen.layout import Place, StructLayout

MEMBERS = {"a": Place(0, 8), "b": Place(8, 8)}


def verdict(struct, builds=(), **states):
    layout = StructLayout(struct, 16, MEMBERS) if builds else None
    return Verdict(struct, layout, states, builds=builds)


def known(*verdicts):
    return Knowledge(None, {each.struct: each for each in verdicts})


def test_members_are_counted_by_how_well_they_are_known():
    found = known(
        verdict("vcpu", ("4.19", "4.20"), a=PROVED, b=CONSISTENT), verdict("pirq", a=UNKNOWN, **{"arch.irq": UNKNOWN})
    )
    assert found.score == {PROVED: 1, CONSISTENT: 1, UNKNOWN: 2}
    assert found.unknown == ["pirq.a", "pirq.arch.irq"]
    assert str(found) == "1 members of its structures proved, 1 consistent, 2 unknown"


def test_builds_fit_in_every_structure_of_which_anything_is_known():
    found = known(
        verdict("vcpu", ("4.20", "4.19", "4.18"), a=PROVED),
        verdict("domain", ("4.18", "4.20"), a=PROVED),
        verdict("pirq", a=UNKNOWN),
    )
    assert found.builds == ["4.20", "4.18"]


def test_nothing_known_fits_no_build():
    assert known(verdict("pirq", a=UNKNOWN)).builds == []
    assert known().builds == []
    assert known().unknown == []
