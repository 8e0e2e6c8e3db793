"""The debug key `Q`, in every version's form."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_pci
from inspector.targets.recorded.console.key_pci import KEY, DeviceFacts, Devices

from .printing import RELEASES, Version, numbered, pci


@st.composite
def answers(draw: st.DrawFn) -> tuple[Version, list[DeviceFacts]]:
    """A version, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    found = []
    for sbdf in draw(st.lists(st.integers(0, 0xFFFFFFFF), max_size=4, unique=True)):
        domain = draw(st.integers(0, 32751) if version < (4, 13) else st.none() | st.integers(0, 32751))
        owner = f"d{domain}" if domain is not None else draw(st.sampled_from(("d[IO]", "d[XEN]", "DomIO:7ff8")))
        node = draw(st.integers(-1, 63)) if version >= (4, 6) else None
        found.append(DeviceFacts(sbdf, domain, owner, node, tuple(draw(st.lists(st.integers(0, 9999), max_size=3)))))
    return version, found


@given(answers())
def test_what_is_printed_is_read(given_answer: tuple[Version, list[DeviceFacts]]) -> None:
    version, put = given_answer
    lines = numbered(pci(version, put))
    assert key_pci.read(lines) == Devices(True, put)
    assert all(KEY.belongs.match(line.text) for line in lines)


def test_an_answer_without_its_beginning_or_devices_is_cut() -> None:
    whole = Devices(True, [DeviceFacts(0x300, 1, "d1", -1, (25,))])
    assert KEY.cut(whole, None) is None
    assert KEY.cut(Devices(True), whole)
    assert KEY.cut(replace(whole, headed=False), None)
