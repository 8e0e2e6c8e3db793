"""The code runs as it does in a kernel: known calls in a known memory do what the source says, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.fixtures.kvm import KvmBuild

from ..machine_code import Fails
from .code import KvmCode
from .names import names_of
from .states import WAKEUP, descriptor_of, machine

pytestmark = pytest.mark.live

RUNS_ON, GOES_TO = 1, 2
ON, SN = 1, 2
STUBS = {
    "__SCT__apic_call_send_IPI_self": 0,
    "__warn_printk": 0,
    "irq_remapping_cap": 1,
    "kvm_vcpu_wake_up": 1,
    "vmx_interrupt_blocked": 0,
}
"""And what they answer."""
LOCKED, UNLOCKED = "wakeup list lock of CPU 1: 00 -> 01", "wakeup list lock of CPU 1: 01 -> 00"


class OneVcpu:
    """A vCPU that runs on a CPU and is about to block, and the code on that memory."""

    def __init__(self, build: KvmBuild, profile: str) -> None:
        self.layout = machine(profile)
        self.vcpu = self.layout.vcpu(1, 0)
        values = {"vcpu.cpu": RUNS_ON, "vcpu.wait.task": self.layout.virtual(self.layout.task(self.vcpu))}
        self.layout.put("vcpu_vmx", self.vcpu, values | {"pi_desc.notifications": 0, "pi_desc.ndst": 0x1234})
        self.layout.put("kvm", self.layout.vm(1), {"arch.assigned_device_count.counter": 1})
        self.code = KvmCode(build.vmlinux, build.modules, self.layout, STUBS, self.layout.config.cpus)
        self.code.answers = {name: lambda *_, value=value: value for name, value in STUBS.items()}
        self.names = names_of(self.layout)

    def set(self, **members: int) -> None:
        """Store members of its descriptor where the code runs."""
        layout = self.layout.copy()
        place = descriptor_of(layout, self.vcpu)
        layout.memory.write(place, self.code.read(place, layout.size("pi_desc")))
        layout.put("vcpu_vmx", self.vcpu, {f"pi_desc.{name}": value for name, value in members.items()})
        self.code.write(place, layout.memory.read(place, layout.size("pi_desc")))

    def call(self, function: str, *arguments: int, cpu: int = RUNS_ON) -> list[str]:
        """What a function does, in words without addresses, and without the count of locks."""
        outcome = self.code.call(function, *arguments, cpu=cpu)
        assert outcome.interrupts_on
        stack = self.code.stack(cpu)
        lines = [self.names.say(event) for event in outcome.events if self.names.in_order(event, stack)]
        return [re.sub(r" \[0x[0-9a-f]+\]|(?<=\w)\(0x.*\)", "", line) for line in lines]


@pytest.fixture
def one(debian_kvm: Callable[[str], KvmBuild], kvm_profile_of: Callable[[KvmBuild], str]) -> OneVcpu:
    build = debian_kvm("6.12")
    return OneVcpu(build, kvm_profile_of(build))


def test_a_vcpu_blocks_is_woken_and_runs_elsewhere(one: OneVcpu) -> None:
    vcpu = one.layout.virtual(one.vcpu)
    blocks = one.call("vmx_vcpu_pi_put", vcpu)
    assert [line.partition(":")[0] for line in blocks] == [
        *("irq_remapping_cap", "vmx_interrupt_blocked"),
        *("wakeup list lock of CPU 1", "wakeup list of CPU 1", "d1v0 node", "d1v0 node", "wakeup list of CPU 1"),
        *("wakeup list lock of CPU 1", "d1v0 NV"),
    ]
    assert [blocks[2], *blocks[-2:]] == [LOCKED, UNLOCKED, "d1v0 NV: f2 -> f1"]
    assert one.call("pi_wakeup_handler") == [LOCKED, UNLOCKED]
    one.set(notifications=ON, pir=1)
    assert one.call("pi_wakeup_handler") == [LOCKED, "kvm_vcpu_wake_up", UNLOCKED]
    assert one.call("pi_wakeup_handler", cpu=GOES_TO) == [line.replace("1:", "2:") for line in (LOCKED, UNLOCKED)]
    one.set(notifications=0)
    loads = one.call("vmx_vcpu_pi_load", vcpu, GOES_TO, cpu=GOES_TO)
    assert [line.partition(":")[0] for line in loads] == [
        *("wakeup list lock of CPU 1", "wakeup list of CPU 1", "wakeup list of CPU 1", "d1v0 node", "d1v0 node"),
        *("wakeup list lock of CPU 1", "d1v0 NV", "d1v0 ON SN"),
    ]
    # One store of eight bytes: NDST names the CPU, NV notifies. Then ON, since something was posted meanwhile.
    assert loads[-2:] == ["d1v0 NV: 123400f1 -> 020000f2", "d1v0 ON SN: 00 -> 01"]


def test_a_warning_is_told_and_the_code_goes_on(one: OneVcpu) -> None:
    one.set(notifications=SN)
    lines = one.call("vmx_vcpu_pi_put", one.layout.virtual(one.vcpu))
    assert lines[-4:] == [UNLOCKED, "__warn_printk", "warns(pi_enable_wakeup_handler)", "d1v0 NV: f2 -> f1"]


def test_a_notification_that_came_before_is_sent_again(one: OneVcpu) -> None:
    one.set(notifications=ON)
    outcome = one.code.call("vmx_vcpu_pi_put", one.layout.virtual(one.vcpu), cpu=RUNS_ON)
    assert outcome.events[-1][:2] == ("__SCT__apic_call_send_IPI_self", WAKEUP)


def test_what_cannot_be_run_is_an_error(one: OneVcpu) -> None:
    nowhere = one.layout.virtual(one.vcpu) + (1 << 40)
    with pytest.raises(Fails, match="vmx_vcpu_pi_load fails at vmx_vcpu_pi_load"):
        one.code.call("vmx_vcpu_pi_load", nowhere, 0)
    one.code.write(one.layout.percpu(RUNS_ON, "wakeup_vcpus_on_cpu_lock"), b"\1")
    with pytest.raises(Fails, match="pi_wakeup_handler does not end, is at native_queued_spin_lock_slowpath"):
        one.code.call("pi_wakeup_handler", cpu=RUNS_ON, interrupts_on=False)
