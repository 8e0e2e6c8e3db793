"""Boot messages, in every version's form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import boot
from inspector.targets.recorded.console.boot import Boot, IoApicFacts, ScopeFacts, StructureFacts

from .printing import RELEASES, Version, numbered, verbose

SBDF = st.integers(0, 0xFFFFFFFF)
WORD = st.integers(0, (1 << 64) - 1)


@st.composite
def boots(draw: st.DrawFn) -> tuple[Version, Boot]:
    """A version, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    endpoint = st.builds(ScopeFacts, st.sampled_from((1, 3, 4)), SBDF)
    bridge = st.builds(ScopeFacts, st.just(2), SBDF, st.tuples(st.integers(0, 255), st.integers(0, 255)))
    scopes = st.lists(endpoint | bridge, max_size=3)
    structures = st.one_of(
        st.builds(StructureFacts, st.just("DRHD"), WORD, st.none(), st.booleans(), WORD, WORD, st.none(), scopes),
        st.builds(StructureFacts, st.just("RMRR"), WORD, WORD, scopes=scopes),
        st.builds(StructureFacts, st.just("ATSR"), all=st.booleans(), scopes=scopes),
        st.builds(StructureFacts, st.just("RHSA"), WORD, proximity=st.integers(0, 0xFFFFFFFF)),
    )
    ioapics = [
        IoApicFacts(number, draw(st.integers(0, 255)), 0xFEC00000, range(24 * number, 24 * number + 24))
        for number in range(draw(st.integers(0, 2)))
    ]
    return version, Boot(
        version=f"{version[0]}.{version[1]}.1",
        build_id="576c0736b3e38388c5afe9aaccc43a18d514e88e" if version >= (4, 7) else None,
        intremap=draw(st.booleans()),
        intpost=draw(st.booleans()) if version >= (4, 7) else None,
        x2apic=draw(st.booleans()),
        width=draw(st.integers(30, 52)),
        structures=draw(st.lists(structures, max_size=4)),
        ioapics=ioapics,
    )


@given(boots())
def test_what_is_printed_is_read(given_boot: tuple[Version, Boot]) -> None:
    version, put = given_boot
    lines = numbered(verbose(version, put))
    assert boot.read(lines) == put
    assert all(boot.KEY.belongs.match(line.text) for line in lines)
