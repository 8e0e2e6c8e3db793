"""The threads of vCPUs."""

from __future__ import annotations

from inspector.linux.find import find
from inspector.linux.kvm_threads import Thread, threads
from inspector.linux.modules import with_module
from tests.inspector.linux.kvm_states import VM, OneVcpu, a_layout
from tests.inspector.linux.laid import Laid


def pid_of(layout, v):
    return layout.get("vcpu_vmx", layout.vcpu(VM, v), "vcpu.pid")


def test_number_and_state():
    layout = a_layout()
    OneVcpu(layout, 0).task(0, 1)
    OneVcpu(layout, 1).task(1)
    linux = with_module(find(Laid(layout)), "kvm")
    assert threads(linux, [pid_of(layout, 0), pid_of(layout, 1)]) == [
        Thread(1235, True, True),
        Thread(1236, False, False),
    ]
    assert threads(linux, []) == []


def test_one_that_never_ran_has_ended_or_cannot_be_read():
    layout = a_layout()
    ended = layout.physical(pid_of(layout, 2))
    layout.put("hlist_head", ended + layout.member("pid", "tasks"), {"first": 0})
    linux = with_module(find(Laid(layout)), "kvm")
    found = threads(linux, [0, pid_of(layout, 2), 0xFFFF900000000000])
    assert found == [Thread(), Thread(1237), Thread()]
