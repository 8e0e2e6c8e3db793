"""The states of a vCPU of KVM's, written into a laid out Linux as KVM of 6.12 leaves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot, Vcpu
from sim_backend.layout.kvm.layout import DeviceConfig, DomainConfig, KvmLayout, LayoutConfig
from structs.pi_desc import ndst_from_apic_id
from tests.inspector.linux.laid import Laid

VM = 1234
NOTIFY, WAKEUP = 0xF2, 0xF1
ON, SN = 1, 2
RUNNING, ASLEEP = 0, 1

_LAID: dict[bool, KvmLayout] = {}


def a_layout(x2apic: bool = False) -> KvmLayout:
    """Two CPUs, a VM of three vCPUs with a device of two vectors, another VM of one."""
    if x2apic not in _LAID:
        config = LayoutConfig(
            profile="6.12",
            apic_ids=(0, 6),
            x2apic=x2apic,
            domains=(DomainConfig(VM, 3), DomainConfig(77, 1)),
            devices=(DeviceConfig(0x300, 2, VM),),
        )
        _LAID[x2apic] = KvmLayout(config)
    return _LAID[x2apic].copy()


@dataclass
class OneVcpu:
    """A vCPU to be brought into a state; `v` is its id."""

    layout: KvmLayout
    v: int = 0

    @property
    def address(self) -> int:
        """Its `struct vcpu_vmx`."""
        return self.layout.vcpu(VM, self.v)

    @property
    def node(self) -> int:
        """Its node of wakeup lists."""
        return self.address + self.layout.member("vcpu_vmx", "pi_wakeup_list")

    def put(self, **values: int) -> OneVcpu:
        """Members of `struct kvm_vcpu`, `__` for dots."""
        made = {f"vcpu.{path.replace('__', '.')}": value for path, value in values.items()}
        self.layout.put("vcpu_vmx", self.address, made)
        return self

    def pi(self, nv: int = NOTIFY, on: int = 0, sn: int = 0, cpu: int = 0, pir: tuple[int, ...] = ()) -> OneVcpu:
        """Its descriptor, NDST naming a CPU."""
        config = self.layout.config
        ndst = ndst_from_apic_id(config.apics[cpu], config.x2apic)
        values = {"notifications": on * ON | sn * SN, "nv": nv, "ndst": ndst}
        place = self.layout.pi_desc(VM, self.v)
        self.layout.put("pi_desc", place, values)
        self.layout.memory.write(place, sum(1 << vector for vector in pir).to_bytes(32, "little"))
        return self

    def task(self, state: int, on_cpu: int = 0) -> OneVcpu:
        """Its thread."""
        self.layout.put("task_struct", self.layout.task(self.address), {"__state": state, "on_cpu": on_cpu})
        return self

    def loaded(self, cpu: int = 0) -> OneVcpu:
        """vcpu_load on a CPU, its thread running."""
        self.layout.memory.set_u64(self.layout.percpu(cpu, "kvm_running_vcpu"), self.layout.virtual(self.address))
        return self.put(cpu=cpu).pi(cpu=cpu).task(RUNNING, 1)

    def waits(self) -> OneVcpu:
        """wait.task is set."""
        return self.put(wait__task=self.layout.virtual(self.layout.task(self.address)))

    def listed(self, cpu: int = 0) -> OneVcpu:
        """On a CPU's wakeup list."""
        self.layout.list_add_tail(self.layout.percpu(cpu, "wakeup_vcpus_on_cpu"), self.node)
        return self

    # Whole situations.

    def in_guest(self, cpu: int = 0) -> OneVcpu:
        """K1."""
        return self.loaded(cpu).put(mode=1)

    def outside(self, cpu: int = 0) -> OneVcpu:
        """K2."""
        return self.loaded(cpu).put(mode=0)

    def about_to_block(self, cpu: int = 0) -> OneVcpu:
        """K3."""
        return self.loaded(cpu).waits()

    def blocked(self, cpu: int = 0) -> OneVcpu:
        """K4."""
        return self.put(cpu=cpu).waits().listed(cpu).pi(WAKEUP, cpu=cpu).task(ASLEEP)

    def blocked_masked(self, cpu: int = 0) -> OneVcpu:
        """K5."""
        return self.put(cpu=cpu).waits().pi(NOTIFY, cpu=cpu).task(ASLEEP)

    def woken(self, cpu: int = 0) -> OneVcpu:
        """K6."""
        return self.blocked(cpu).put(ready=1).pi(WAKEUP, on=1, cpu=cpu, pir=(0x41,)).task(RUNNING)

    def preempted(self, cpu: int = 0) -> OneVcpu:
        """K7."""
        return self.put(cpu=cpu, preempted=1, ready=1).pi(sn=1, cpu=cpu, pir=(0x41,)).task(RUNNING)

    def preempted_blocking(self, cpu: int = 0) -> OneVcpu:
        """K8."""
        return self.blocked(cpu).put(preempted=1, ready=1).pi(WAKEUP, sn=1, cpu=cpu).task(RUNNING)

    def in_user_space(self, cpu: int = 0) -> OneVcpu:
        """K9."""
        return self.put(cpu=cpu).pi(cpu=cpu).task(RUNNING, 1)

    def never_loaded(self, cpu: int = 0) -> OneVcpu:
        """K10: as it is laid out."""
        return self


SITUATIONS: dict[str, Callable[[OneVcpu, int], OneVcpu]] = {
    "K1": OneVcpu.in_guest,
    "K2": OneVcpu.outside,
    "K3": OneVcpu.about_to_block,
    "K4": OneVcpu.blocked,
    "K5": OneVcpu.blocked_masked,
    "K6": OneVcpu.woken,
    "K7": OneVcpu.preempted,
    "K8": OneVcpu.preempted_blocking,
    "K9": OneVcpu.in_user_space,
    "K10": OneVcpu.never_loaded,
}


def seen(layout: KvmLayout) -> Snapshot:
    """The whole of it, as the inspector reads it."""
    return Inspection(Laid(layout)).snapshot


def the_vcpu(layout: KvmLayout, v: int = 0) -> tuple[Snapshot, Vcpu]:
    """A vCPU of the VM."""
    snapshot = seen(layout)
    return snapshot, snapshot.by_name[f"vm{VM}v{v}"]
