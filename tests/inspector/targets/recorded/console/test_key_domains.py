"""The debug key `q`, in every version's form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.recorded.console import key_domains
from inspector.targets.recorded.console.key_domains import KEY, DomainFacts, Domains, VcpuFacts

from .printing import RELEASES, Version, domains, numbered

CPUS = st.sets(st.integers(0, 15), max_size=4).map(lambda found: tuple(sorted(found)))


@st.composite
def answers(draw: st.DrawFn) -> tuple[Version, list[DomainFacts]]:
    """A version, and what it could print."""
    version = draw(st.sampled_from(RELEASES))
    found = []
    for number in sorted(draw(st.sets(st.integers(0, 100), min_size=1, max_size=3))):
        domain = DomainFacts(number, draw(st.integers(0, 3)), draw(st.integers(0, 9)), draw(st.booleans()))
        for vcpu in range(draw(st.integers(0, 3))):
            dirty = draw(CPUS) if version < (4, 11) else draw(CPUS)[:1]
            domain.vcpus.append(
                VcpuFacts(
                    number,
                    vcpu,
                    draw(st.integers(0, 4095)),
                    draw(st.booleans()),
                    draw(st.integers(-1, 99)),
                    draw(st.booleans()),
                    draw(st.booleans()),
                    dirty,
                    draw(CPUS),
                    draw(st.integers(0, 9)),
                    draw(st.integers(0, 511)),
                )
            )
        found.append(domain)
    return version, found


@given(answers())
def test_what_is_printed_is_read(given_answer: tuple[Version, list[DomainFacts]]) -> None:
    version, put = given_answer
    lines = numbered(domains(version, put))
    assert key_domains.read(lines) == Domains(True, any(domain.vcpus for domain in put), put)


def test_a_domain_is_hardware_virtualised_if_its_own_line_says_external() -> None:
    lines = ["General information for domain 0:", "    paging assistance: shadow refcounts log_dirty "]
    lines += ["VCPU information and callbacks for domain 0:"]
    lines += ["    VCPU0: CPU0 [has=T] poll=0 upcall_pend=01 upcall_mask=00", "    pause_count=0 pause_flags=1"]
    lines += ["    paging assistance: shadowed 4-on-4"]
    lines += ["General information for domain 1:", "    paging assistance: hap refcounts translate external "]
    assert [domain.hvm for domain in key_domains.read(numbered(lines)).domains] == [False, True]


def test_a_domain_that_comes_again_begins_a_new_answer() -> None:
    lines = numbered(["General information for domain 0:", "General information for domain 1:"])
    assert not KEY.begins("General information for domain 2:", lines)
    assert KEY.begins("General information for domain 0:", lines)


def test_an_answer_without_its_end_is_cut_if_an_earlier_one_has_it() -> None:
    vcpu = VcpuFacts(0, 0, 0, True, 0, False, False, (), None, 0, 0)
    whole = Domains(True, True, [DomainFacts(0, vcpus=[vcpu])])
    assert KEY.cut(whole, whole) is None
    assert KEY.cut(Domains(True, False, whole.domains), whole)
    assert KEY.cut(Domains(True, False, whole.domains), None) is None
    assert KEY.cut(Domains(True, False), None)
    vcpu.pause_flags = None
    assert KEY.cut(whole, None)
