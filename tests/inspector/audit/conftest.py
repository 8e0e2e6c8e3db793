"""A simulated machine on which nothing moves, put into one state after another by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from structs.irte import POSTED
from structs.pi_desc import PI_DESC

P, W = 0xF1, 0xF2
NIC, DISK = 0x0018, 0x0020
VMX = "arch.hvm.vmx"
OFF, ALL_HOOKS = 0, 3


class Machine:
    """Domain 1 has a NIC, four vCPUs and the posting hooks; domain 2 has two vCPUs and a disk; domain 0 is the host's.

    As made: d1v0 runs in the guest on CPU 0, d1v1 is preempted, d1v2 and d1v3 are blocked on CPU 1's list; CPU 2 idles.
    The NIC's two interrupts are posted to d1v0 and d1v2.
    """

    def __init__(self, build: str, x2apic: bool, ram: int | None = None) -> None:
        config = LayoutConfig(
            build,
            cpus=3,
            ram=ram,
            x2apic=x2apic,
            posted_intr_vector=P,
            pi_wakeup_vector=W,
            domains=(DomainConfig(0, 1, hvm=False), DomainConfig(1, 4), DomainConfig(2, 2)),
            devices=(DeviceConfig(NIC, 2, domain=1), DeviceConfig(DISK, 1, domain=2)),
        )
        self.layout = Layout(config)
        self.x2apic = x2apic
        self.places = {0: "guest", 1: "guest", 2: "idle"}
        self.hooks(1, ALL_HOOKS)
        self.run(0, 0)
        self.preempt(1)
        self.block(2, 1)
        self.block(3, 1)
        first, second = self.layout.device(NIC).msis
        self.layout.post_msi(first, 1, 0, 0x61)
        self.layout.post_msi(second, 1, 2, 0x62)

    def where(self, cpu: int) -> str:
        """What a CPU does."""
        return self.places[cpu]

    def hooks(self, domain: int, flags: int) -> None:
        """Install, or remove, a domain's hooks."""
        block = self.layout.profile.symbol("vmx_vcpu_block") if flags else 0
        values = {"arch.hvm.pi_ops.flags": flags, "arch.hvm.pi_ops.vcpu_block": block}
        self.layout.put("domain", self.layout.domain(domain), values)

    def ndst(self, cpu: int) -> int:
        """The NDST that names a CPU."""
        return cpu if self.x2apic else cpu << 8

    def pi(self, vcpu: int, domain: int = 1, **fields: int) -> None:
        """Change fields of a vCPU's descriptor."""
        place = self.layout.pi_desc(domain, vcpu)
        self.layout.memory.write(place, PI_DESC.build(dict(self.pi_of(vcpu, domain)) | fields))

    def pi_of(self, vcpu: int, domain: int = 1):
        """A vCPU's descriptor, parsed."""
        return PI_DESC.parse(self.layout.memory.read(self.layout.pi_desc(domain, vcpu), PI_DESC.size))

    def put(self, vcpu: int, domain: int = 1, **values: int) -> None:
        """Change members of a `struct vcpu`; `__` stands for a dot."""
        members = {path.replace("__", "."): value for path, value in values.items()}
        self.layout.put("vcpu", self.layout.vcpu(domain, vcpu), members)

    def node(self, vcpu: int, domain: int = 1) -> int:
        """A vCPU's list node."""
        return self.layout.vcpu(domain, vcpu) + self.layout.member("vcpu", f"{VMX}.pi_blocking.list")

    def head(self, cpu: int) -> int:
        """The head of a CPU's list."""
        return self.layout.percpu(cpu, "vmx_pi_blocking") + self.layout.member("vmx_pi_blocking_vcpu", "list")

    def lock(self, cpu: int) -> int:
        """Xen's address of the lock of a CPU's list."""
        place = self.layout.percpu(cpu, "vmx_pi_blocking") + self.layout.member("vmx_pi_blocking_vcpu", "lock")
        return self.layout.virtual(place)

    def run(self, vcpu: int, cpu: int, domain: int = 1) -> None:
        """Make a CPU run a vCPU in the guest."""
        self.put(vcpu, domain, processor=cpu, is_running=1, dirty_cpu=cpu, pause_flags=0, runstate__state=0)
        self.pi(vcpu, domain, nv=P, ndst=self.ndst(cpu), on=0, sn=0)
        address = self.layout.virtual(self.layout.vcpu(domain, vcpu))
        self.layout.memory.set_u64(self.layout.percpu(cpu, "curr_vcpu"), address)
        self.layout.put("cpu_info", self.layout.cpu_info(cpu), {"current_vcpu": address})
        self.places[cpu] = "guest"

    def preempt(self, vcpu: int, domain: int = 1) -> None:
        """Make a vCPU runnable, its state switched out."""
        self.put(vcpu, domain, is_running=0, dirty_cpu=0xFFFFFFFF, pause_flags=0, runstate__state=1)
        self.pi(vcpu, domain, nv=P, sn=1, on=0, ndst=self.ndst(0))

    def block(self, vcpu: int, cpu: int, domain: int = 1) -> None:
        """Block a vCPU on a CPU's list."""
        self.put(vcpu, domain, processor=cpu, is_running=0, dirty_cpu=0xFFFFFFFF, pause_flags=1, runstate__state=2)
        self.pi(vcpu, domain, nv=W, ndst=self.ndst(cpu), on=0, sn=0)
        self.layout.list_add_tail(self.head(cpu), self.node(vcpu, domain))
        self.set_lock(vcpu, self.lock(cpu), domain)

    def set_lock(self, vcpu: int, lock: int, domain: int = 1) -> None:
        """Set a vCPU's lock pointer."""
        self.layout.put("vcpu", self.layout.vcpu(domain, vcpu), {f"{VMX}.pi_blocking.lock": lock})

    def irte(self, which: int, raw: bytes) -> None:
        """Write the entry of one of the NIC's interrupts."""
        self.layout.memory.write(self.entry(which), raw)

    def entry(self, which: int) -> int:
        """Where that entry is."""
        msi = self.layout.device(NIC).msis[which]
        return self.layout.irte(msi.unit, msi.index)

    def posted(self, which: int, **fields: int) -> None:
        """Change fields of the posted entry of one of the NIC's interrupts."""
        values = dict(POSTED.parse(self.layout.memory.read(self.entry(which), 16)))
        self.irte(which, POSTED.build(values | fields))

    @property
    def target(self) -> Simulation:
        """The machine as a target."""
        return Simulation(self)

    def snapshot(self, **known):
        """A look at it; `known` is what this target cannot tell (`irr`, `isr` of all CPUs)."""
        snapshot = Inspection(self.target).snapshot
        cpus = tuple(replace(cpu, **known) for cpu in snapshot.cpus) if known else snapshot.cpus
        return replace(snapshot, cpus=cpus)

    def found(self, **known) -> dict[str, list[str]]:
        """Rules that it breaks: rule -> the severity and subject of each finding."""
        rules: dict[str, list[str]] = {}
        for finding in audit(self.snapshot(**known)):
            rules.setdefault(finding.rule, []).append(f"{finding.severity} {finding.subject}")
        return rules


@pytest.fixture(scope="session")
def machine_type() -> type[Machine]:
    """The class, for machines that differ: `machine_type(build, x2apic, ram)`."""
    return Machine


@pytest.fixture(params=["4.20", "4.20 x2apic", "4.17"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """A machine on which all is well."""
    build, _, mode = request.param.partition(" ")
    return Machine(build, bool(mode))
