"""Rules about the lists of blocked vCPUs: for each a state that breaks it, and nothing else that does not follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.audit import audit, confirm, the_rule
from inspector.model.snapshot import BLOCK, BlockingList, Cpu, Descriptor, Node, Snapshot, Vcpu

P, W = 0xF1, 0xF2


def test_d9_lock_pointer_and_lists_disagree(machine):
    machine.set_lock(2, machine.lock(0))
    assert machine.found() == {"D9": ["bug d1v2"]}
    machine.set_lock(2, 0)
    assert machine.found() == {"D9": ["bug d1v2"]}
    machine.layout.list_del(machine.node(2))
    machine.set_lock(2, machine.lock(1))
    found = machine.found()
    assert found.pop("D12") == ["bug d1v2"], "its node is linked to itself"
    assert found == {"D9": ["bug d1v2"]}


def test_d9_under_the_lists_lock_it_may_be_changing(machine):
    machine.set_lock(2, 0)
    machine.layout.memory.write(machine.layout.physical(machine.lock(1)), b"\x01\x00\x02\x00")
    assert machine.found() == {"D9": ["warning d1v2"]}


def test_d10_a_lock_pointer_to_nowhere(machine):
    machine.set_lock(2, machine.lock(1) + 0x40)
    assert machine.found() == {"D10": ["bug d1v2"]}


def test_d11_a_node_that_is_no_vcpus(machine):
    stranger = machine.layout.new_pages()
    machine.layout.list_add_tail(machine.head(1), stranger)
    assert machine.found() == {"D11": ["bug CPU 1"]}


def test_d11_nv_stays_after_the_hooks_are_gone(machine):
    machine.pi(0, domain=2, nv=W)
    assert machine.found() == {"D11": ["bug d2v0"]}
    machine.put(0, domain=2, pause_count=1)
    assert machine.found() == {"D11": ["warning d2v0"]}


def test_d12_a_list_that_is_not_whole(machine):
    layout = machine.layout
    layout.put("list_head", machine.node(3), {"prev": layout.virtual(machine.node(3))})
    assert machine.found() == {"D12": ["bug CPU 1"]}
    layout.put("list_head", machine.node(2), {"next": layout.virtual(machine.node(2))})
    assert machine.found()["D12"] == ["bug CPU 1", "bug d1v2"]
    layout.put("list_head", machine.node(2), {"next": 0x00100100})
    assert machine.found() == {"D12": ["bug CPU 1"]}


def test_d27_the_list_of_an_offline_cpu(machine):
    machine.layout.offline(1)
    found = machine.found()
    assert found.pop("D16") == ["warning d1v2", "warning d1v3"]
    assert found == {"D27": ["warning CPU 1"]}
    first, again = machine.snapshot(), machine.snapshot()
    assert {finding.severity for finding in confirm([first, again])} == {"bug"}


HEAD, LOCK = 0x9000, 0x9010
PI = Descriptor(0x1000, (), on=0, sn=0, nv=W, ndst=0)


def waiting(number: int, **fields) -> Vcpu:
    """A blocked vCPU of domain 1 on CPU 0's list, whose node is at 0x100, 0x200, ..."""
    fields = {
        "lock": LOCK,
        "blocking_list": 0,
        "hooks": (BLOCK,),
        "node": 0x100 * (number + 1),
        "following": HEAD,
    } | fields
    return Vcpu(1, number, hvm=True, is_running=False, pause_flags=1, pi=PI, **fields)


def circle(addresses: list[int]) -> BlockingList:
    """CPU 0's list with nodes at these addresses, all pointers right."""
    around = [HEAD, *addresses, HEAD]
    nodes = tuple(
        Node(address, f"d1v{number}", around[number + 2], around[number]) for number, address in enumerate(addresses)
    )
    return BlockingList(0, HEAD, LOCK, locked=False, following=around[1], preceding=around[-2], nodes=nodes)


def said(rule: str, *lists: BlockingList, vcpus=(), **known) -> list[tuple[str, str, str]]:
    """What a rule says of these lists, of a Xen of today: severity, subject, message."""
    known = {"pi_wakeup_vector": W, "version": "4.20.3", "cpus": (Cpu(0, 0),), "vcpus": vcpus or (waiting(0),)} | known
    found = audit(Snapshot("a machine", lists=lists, **known), the_rule(rule))
    return [(finding.severity, finding.subject, finding.message) for finding in found]


@given(st.lists(st.integers(1, 1 << 40), unique=True, max_size=8), st.data())
def test_d12_any_one_pointer_back_that_is_wrong_is_found(addresses, data):
    whole = circle(addresses)
    assert said("D12", whole) == []
    which = data.draw(st.integers(0, len(addresses)))
    if which == len(addresses):
        broken = replace(whole, preceding=whole.preceding + 1)
        wanted = f"the head points back to {whole.preceding + 1:#x}, not to {whole.preceding:#x}"
    else:
        node = whole.nodes[which]
        others = replace(node, preceding=node.preceding + 1)
        broken = replace(whole, nodes=(*whole.nodes[:which], others, *whole.nodes[which + 1 :]))
        wanted = f"d1v{which} points back to {node.preceding + 1:#x}, not to {node.preceding:#x}"
    assert said("D12", broken) == [("bug", "CPU 0", f"its list of blocked vCPUs is inconsistent: {wanted}")]
    held = (
        f"its list of blocked vCPUs is inconsistent: {wanted} (a suspicion: a list's lock is held, it may be changing)"
    )
    assert said("D12", replace(broken, locked=True)) == [("warning", "CPU 0", held)]


def test_d12_in_words():
    stranger = replace(circle([0x100]), nodes=(Node(0x100, None, HEAD, 0x77),))
    assert "0x100 points back to 0x77, not to 0x9000" in said("D12", stranger)[0][2]
    broken = replace(circle([]), broken="it leads to 0x44", locked=True)
    assert said("D12", broken) == [("bug", "CPU 0", "its list of blocked vCPUs is broken: it leads to 0x44")]
    itself = waiting(0, following=0x100)
    (_, subject, message) = said("D12", circle([]), vcpus=(itself,))[0]
    assert (subject, message) == (
        "d1v0",
        "its list node points to itself, and its lock pointer says that it is on a list",
    )
    # After INIT_LIST_HEAD a node that is on no list points to itself.
    assert said("D12", circle([]), vcpus=(replace(itself, lock=0),)) == []
    never_set_up = replace(circle([]), following=0, preceding=0)
    assert said("D12", never_set_up) == [], "the list of a CPU that never came up is all zero"


def test_d9_in_words():
    there = replace(waiting(0), blocking_list=1)
    elsewhere = replace(circle([]), cpu=1, lock=0x9999)
    assert said("D9", circle([]), elsewhere, vcpus=(there,)) == [
        ("bug", "d1v0", "its lock pointer names CPU 0's list, but it is on CPU 1's")
    ]
    assert said("D9", circle([]), vcpus=(waiting(0, blocking_list=None),)) == [
        ("bug", "d1v0", "its lock pointer names CPU 0's list, but it is on none")
    ]
    assert said("D9", circle([0x100]), vcpus=(waiting(0, lock=0),)) == [
        ("bug", "d1v0", "it is on CPU 0's list, but its lock pointer is NULL")
    ]
    # Whose list could not be followed to its end may well be on it.
    assert said("D9", replace(circle([]), broken="?"), vcpus=(waiting(0, blocking_list=None),)) == []


def test_d10_in_words():
    assert said("D10", circle([0x100]), vcpus=(waiting(0, lock=0x5000),)) == [
        ("bug", "d1v0", "its lock pointer 0x5000 is the lock of no CPU's list")
    ]
    assert said("D10", circle([]), vcpus=(waiting(0, lock=0, blocking_list=None),)) == []


@pytest.mark.parametrize(("count", "more"), [(1, ""), (2, ", and 1 more"), (3, ", and 2 more")])
def test_d11_nodes_that_are_no_vcpus_are_counted(count, more):
    whole = circle([0x700 + number for number in range(count)])
    strangers = replace(whole, nodes=tuple(replace(node, vcpu=None) for node in whole.nodes))
    assert said("D11", strangers) == [
        ("bug", "CPU 0", f"node 0x700 of its list is no vCPU's{more}: freed memory, or a corrupt list")
    ]
    # Where the place of one vCPU's node is not known, it may be this one.
    assert said("D11", strangers, vcpus=(waiting(0), waiting(1, node=0))) == []


def test_d11_in_words():
    assert said("D11", circle([0x100]), vcpus=(waiting(0, hooks=()),)) == [
        ("bug", "d1v0", "its domain has no posting hooks, yet it is on CPU 0's list")
    ]
    (found,) = said("D11", circle([]), vcpus=(waiting(0, hooks=(), blocking_list=None, pause_count=1),))
    assert found == (
        "warning",
        "d1v0",
        "its domain has no posting hooks, yet NV is still the wakeup vector "
        "(a suspicion: its domain is paused, perhaps to remove them)",
    )
    # A wakeup vector of 0 is none: NV of a new vCPU is 0 too.
    zero = replace(waiting(0, hooks=(), blocking_list=None), pi=replace(PI, nv=0))
    assert said("D11", circle([]), vcpus=(zero,), pi_wakeup_vector=0) == []


def test_d27_who_is_left_behind():
    left = circle([0x100, 0x200])
    stranger = replace(left, nodes=(left.nodes[0], replace(left.nodes[1], vcpu=None)))
    (found,) = said("D27", stranger, cpus=(Cpu(0, 0, online=False),))
    assert found == (
        "warning",
        "CPU 0",
        "is offline, and its list still holds d1v0, 0x200 (a suspicion: they may be moved in a moment)",
    )
    assert said("D27", stranger) == [], "CPU 0 is online"
    assert said("D27", circle([]), cpus=(Cpu(0, 0, online=False),)) == []
    assert said("D27", stranger, cpus=(Cpu(1, 1),)) == [], "nothing is known of CPU 0"
