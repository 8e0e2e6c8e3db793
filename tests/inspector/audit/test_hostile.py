"""Memory that lies: each command answers within a second, with what is readable and a finding for what is not."""

from __future__ import annotations

import io
import json
import random
import time

import numpy as np
import pytest

from inspector.base.errors import NotReadable, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.command import parse
from inspector.model.hex_members import numbers
from inspector.model.snapshot import dumps, loads
from inspector.targets.target import Target
from inspector.views import json as json_view
from inspector.views import text as text_view

FEW = ("vcpus d1v2", "blocked", "route d1v2", "audit")
COMMANDS = ("vcpus", "pi d1v2", "blocked 1", "route 00:03.0", "info", "irt", *FEW)
SECOND = 1.0
"""Of CPU time, for the machine may have other things to do."""
MILLION = 1_000_000


class Holes(Target):
    """A target of which some ranges of memory cannot be read."""

    def __init__(self, whole: Target, *holes: range) -> None:
        self.whole, self.holes = whole, holes
        self.description = f"{whole.description} with holes"

    def read(self, address: int, size: int) -> bytes:
        for hole in self.holes:
            if address < hole.stop and hole.start < address + size:
                raise NotReadable(max(address, hole.start), size, "a hole")
        return self.whole.read(address, size)

    def memory(self):
        return self.whole.memory()

    def cpus(self):
        return self.whole.cpus()


def answers(target, commands=COMMANDS):
    """Every command's document, or its error; each within a second."""
    told = {}
    for words in commands:
        started = time.process_time()
        try:
            answer = parse(words.split()).answer(Inspection(target))
            text_view.show(answer, io.StringIO())
            shown = io.StringIO()
            json_view.show(answer, shown)
            told[words] = numbers(json.loads(shown.getvalue()))
        except VtdpiError as error:
            told[words] = str(error)
        assert time.process_time() - started < SECOND, f"{words} took {time.process_time() - started:.1f} s"
    return told


def rules(told):
    return {finding["rule"] for finding in told["audit"]["findings"]}


def messages(told):
    return "\n".join(finding["message"] for finding in told["audit"]["findings"])


def test_a_list_that_loops_without_its_head(machine):
    layout = machine.layout
    layout.put("list_head", machine.node(3), {"next": layout.virtual(machine.node(2))})
    told = answers(machine.target)
    assert rules(told) == {"D12"}
    assert "comes a second time" in told["blocked 1"]["lists"][0]["broken"]
    assert told["blocked"]["lists"][1]["vcpus"] == ["d1v2", "d1v3"]


@pytest.mark.thorough
@pytest.mark.parametrize("where", [0xFFFF830000000000 + (1 << 44), 0x1234, 0x8000_0000_0000_0000, (1 << 64) - 8])
def test_a_list_that_leaves_memory(machine, where):
    machine.layout.put("list_head", machine.node(3), {"next": where})
    told = answers(machine.target)
    assert rules(told) == {"D12"}
    assert "cannot be read" in told["blocked 1"]["lists"][0]["broken"]
    assert told["vcpus d1v2"]["vcpus"][0]["blocking_list"] == 1


@pytest.mark.thorough
@pytest.mark.parametrize("count", [4, 8192, 0x7FFFFFFF])
def test_an_array_of_vcpus_that_is_garbage(machine, count):
    layout = machine.layout
    garbage = layout.new_pages(16)
    layout.memory.write(garbage, random.Random(count).randbytes(16 * 4096))
    layout.put("domain", layout.domain(1), {"vcpu": layout.virtual(garbage), "max_vcpus": count})
    told = answers(machine.target)
    assert "D28" in rules(told)
    assert "D11" in rules(told), "the nodes on the list are no known vCPU's now"
    assert {vcpu["domain_id"] for vcpu in told["vcpus"]["vcpus"]} == {0, 2}


def test_an_array_of_vcpus_that_points_to_other_structures(machine):
    layout = machine.layout
    array = layout.physical(layout.get("domain", layout.domain(1), "vcpu"))
    layout.memory.set_u64(array, layout.virtual(layout.domain(2)))
    layout.memory.set_u64(array + 8, layout.virtual(layout.vcpu(2, 0)))
    told = answers(machine.target)
    assert {(v["domain_id"], v["vcpu_id"]) for v in told["vcpus"]["vcpus"]} == {(0, 0), (1, 2), (1, 3), (2, 0), (2, 1)}
    assert messages(told).count("is no such vCPU") == 2


def test_nodes_linked_to_themselves(machine):
    layout = machine.layout
    own = layout.virtual(machine.node(2))
    layout.put("list_head", machine.node(2), {"next": own, "prev": own})
    told = answers(machine.target)
    assert {"D12"} <= rules(told)
    assert "points to itself" in messages(told)


@pytest.fixture
def large(machine_type):
    """A machine with room for a million list nodes."""
    return machine_type("4.20", False, ram=64 << 20)


def chain(layout, step, link):
    """A million structures of `step` bytes, each leading on to the next one; Xen's address of the first."""
    start = layout.new_pages(MILLION * step // 4096 + 1)
    words = np.zeros((MILLION, step // 8), "<u8")
    words[:, link // 8] = layout.virtual(start) + step * (np.arange(MILLION, dtype=np.uint64) + np.uint64(1))
    layout.memory.write(start, words.tobytes())
    return layout.virtual(start)


def test_a_list_of_a_million_nodes(large):
    large.layout.put("list_head", large.node(3), {"next": chain(large.layout, 16, 0)})
    told = answers(large.target)
    assert "more than there are vCPUs" in told["blocked 1"]["lists"][0]["broken"]
    assert {"D11", "D12"} <= rules(told)


@pytest.mark.thorough
@pytest.mark.parametrize("head", ["pdev_list"])
def test_a_million_devices(large, head):
    layout = large.layout
    layout.put("domain", layout.domain(1), {f"{head}.next": chain(layout, 16, 0)})
    assert "more than 4096 nodes" in messages(answers(large.target))


def test_a_million_domains(large):
    layout = large.layout
    link = layout.member("domain", "next_in_list")
    layout.put("domain", layout.domain(2), {"next_in_list": chain(layout, 16, link % 16) - link // 16 * 16})
    told = answers(large.target)
    assert "the list of domains is broken" in messages(told)
    assert {vcpu["domain_id"] for vcpu in told["vcpus"]["vcpus"]} == {0, 1, 2}


def test_a_domain_list_that_loops(machine):
    layout = machine.layout
    layout.put("domain", layout.domain(2), {"next_in_list": layout.virtual(layout.domain(1))})
    told = answers(machine.target)
    assert "the list of domains is broken" in messages(told)
    assert len(told["vcpus"]["vcpus"]) == 7


def test_a_descriptor_across_a_hole(machine):
    place = machine.layout.pi_desc(1, 2)
    told = answers(Holes(machine.target, range(place + 32, place + 33)))
    assert "D28" in rules(told)
    assert told["vcpus d1v2"]["vcpus"][0]["pi"] is None
    assert told["vcpus d1v2"]["vcpus"][0]["runstate"] == "blocked"
    assert "no posted-interrupt descriptor" in told["pi d1v2"]


@pytest.mark.thorough
def test_a_hole_in_every_page_that_matters(machine):
    """Whatever page of Xen's data is missing, every command answers and the audit says what it missed."""
    layout = machine.layout
    pages = {
        layout.symbol("domain_list"),
        layout.symbol("__per_cpu_offset"),
        layout.symbol("cpu_online_map"),
        layout.symbol("irq_desc"),
        layout.domain(1),
        layout.vcpu(1, 0),
        layout.percpu(1, "vmx_pi_blocking"),
        layout.physical(layout.get("domain", layout.domain(1), "vcpu")),
        machine.entry(0),
        layout.register(0, "CAP"),
        layout.cpu_info(0),
    }
    for page in sorted({at & ~0xFFF for at in pages}):
        target = Holes(machine.target, range(page, page + 4096))
        answers(target, FEW)
        snapshot = Inspection(target).snapshot
        assert loads(dumps(snapshot)) == snapshot


@pytest.mark.thorough
def test_random_bytes_over_xens_own_structures(machine):
    """Whatever the structures hold, nothing but an answer or one clear line comes out, in time."""
    choice = random.Random(4)
    layout = machine.layout
    whole = [
        (layout.domain(1), layout.size("domain")),
        *((layout.vcpu(1, number), layout.size("vcpu")) for number in range(4)),
        *((layout.percpu(cpu, "vmx_pi_blocking"), 24) for cpu in range(3)),
        (layout.symbol("__per_cpu_offset"), 64),
        (layout.symbol("cpu_online_map"), 32),
        (layout.symbol("x86_cpu_to_apicid"), 64),
        (layout.irte(0, 0), 4096),
    ]
    for _ in range(6):
        copy = layout.copy()
        machine.layout = copy
        for address, size in whole:
            for _ in range(choice.randrange(3)):
                at = choice.randrange(size - 7)
                copy.memory.write(address + at, choice.randbytes(8))
        answers(machine.target, FEW)
    machine.layout = layout
