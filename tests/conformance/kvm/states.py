"""Random states of a machine with KVM, legal and illegal ones: what a call of the code and of the model starts from.

Not varied, for the model takes it for granted: APICv is on for all vCPUs, IPIs are not virtualised, nothing is nested.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from sim_backend.layout.kvm.layout import DeviceConfig, DomainConfig, KvmLayout, LayoutConfig
from sim_backend.memory.memory import PAGE
from structs.irte import POSTED, REMAPPED
from structs.pi_desc import PI_DESC

CPUS = 4
VMS = {1: 6, 2: 1}
MOST_ON_A_LIST = 4
DEVICE, VECTORS, OWNER = 0x0308, 3, 1
NOTIFICATION, WAKEUP = 0xF2, 0xF1
POISON = 0xDEAD_0000_0000_0100, 0xDEAD_0000_0000_0122
IRR = 0x200
NO_RESCHEDULE = 1 << 31
"""PREEMPT_NEED_RESCHED, which is inverted."""
NEVER_LOADED = (1 << 32) - 1


def machine(profile: str) -> KvmLayout:
    """The machine that all states are states of. `profile` names a file."""
    domains = tuple(DomainConfig(number, vcpus) for number, vcpus in VMS.items())
    devices = (DeviceConfig(DEVICE, VECTORS, OWNER),)
    layout = KvmLayout(LayoutConfig(profile=profile, cpus=CPUS, domains=domains, devices=devices))
    prepare(layout)
    return layout


def prepare(layout: KvmLayout) -> None:
    """What the code needs beyond what the simulation lays out: no CPU that unlocks something has to reschedule."""
    for cpu in range(layout.config.cpus):
        layout.put("pcpu_hot", layout.percpu(cpu, "pcpu_hot"), {"preempt_count": NO_RESCHEDULE})


@dataclass
class State:
    """One state.

    Attributes:
        layout: the machine in it.
        pages: the pages in which it differs from the machine that it was made from.
        cpu: the CPU that acts.
        in_irq: whether that CPU is handling an interrupt.
        blocked: whether the guest takes no interrupt now (`vmx_interrupt_blocked`).
        rvi: the vector that the current VMCS requests.
        scratch: a page for what arguments lead to.
        route: the vCPUs, and each one's vector, that the guest has the device's interrupts go to; none if it is no MSI.
        lists: by CPU, the vCPUs on its wakeup list, in order.
    """

    layout: KvmLayout
    pages: set[int]
    cpu: int
    in_irq: bool
    blocked: bool
    rvi: int
    scratch: int
    route: tuple[tuple[int, int], ...]
    lists: dict[int, list[int]]

    @property
    def vcpus(self) -> list[int]:
        """All of them."""
        return [vcpu for vm in self.layout.domains.values() for vcpu in vm.vcpus]


def state(base: KvmLayout, seed: str) -> State:
    """The state of that seed. A third of them are such as KVM never makes."""
    rng = Random(seed)
    layout = base.copy()
    pages: set[int] = set()
    layout.memory.observer = lambda address, size, *_: pages.update((address // PAGE, (address + size - 1) // PAGE))
    made = State(
        layout,
        pages,
        cpu=rng.randrange(CPUS),
        in_irq=rng.random() < 0.2,
        blocked=rng.random() < 0.3,
        rvi=rng.choice((0, rng.randrange(256))),
        scratch=layout.heap.pages(layout.memory, 1, PAGE),
        route=_route(layout, rng),
        lists={cpu: [] for cpu in range(CPUS)},
    )
    illegal = rng.random() < 1 / 3
    _globals(made, rng)
    for vm in layout.domains.values():
        count = rng.choice((0, 1, 1, 2))
        layout.put("kvm", vm.address, {"arch.assigned_device_count.counter": count})
    for vcpu in made.vcpus:
        _vcpu(made, vcpu, rng, illegal)
    _lists(made, rng, illegal)
    _running(made, rng)
    _interrupts(made, rng, illegal)
    layout.memory.observer = None
    return made


def _route(layout: KvmLayout, rng: Random) -> tuple[tuple[int, int], ...]:
    vcpus, vector = layout.domains[OWNER].vcpus, rng.randrange(16, 256)
    chosen = rng.choice(((), vcpus, *((vcpu,) for vcpu in vcpus)))
    return tuple((vcpu, vector) for vcpu in chosen)


def _globals(made: State, rng: Random) -> None:
    """Whether devices may post; x2APIC mode, and the CPUs' APIC IDs."""
    layout, x2apic = made.layout, rng.random() < 0.5
    apics = tuple(rng.sample(range(0xFFFF_FFFF if x2apic else 0xFF), CPUS))
    layout.config = replace(layout.config, intpost=rng.random() < 0.9, x2apic=x2apic, apic_ids=apics)
    layout.set_variable("x2apic_mode", 4, x2apic)
    for cpu, apic in enumerate(apics):
        layout.memory.set_u32(layout.percpu(cpu, "x86_cpu_to_apicid"), apic)


def _vcpu(made: State, vcpu: int, rng: Random, illegal: bool) -> None:
    layout = made.layout
    task = layout.task(vcpu)
    cpu = rng.choice((made.cpu, rng.randrange(CPUS), NEVER_LOADED))
    values = {
        "vcpu.cpu": cpu,
        "vcpu.mode": 0 if cpu == NEVER_LOADED else rng.randrange(4 if illegal else 3),
        "vcpu.requests": rng.choice((0, rng.getrandbits(12))),
        "vcpu.wait.task": rng.choice((0, layout.virtual(task))),
        "vcpu.preempted": rng.getrandbits(1),
        "vcpu.ready": rng.getrandbits(1),
        "vcpu.scheduled_out": rng.getrandbits(1),
        "vcpu.wants_to_run": rng.getrandbits(1),
        "vcpu.arch.mp_state": rng.choice((0, 3)),
    }
    layout.put("vcpu_vmx", vcpu, values)
    layout.put(
        "task_struct", task, {"__state": rng.choice((0, 1)), "on_cpu": rng.getrandbits(1), "on_rq": rng.getrandbits(1)}
    )
    apic = layout.physical(layout.get("vcpu_vmx", vcpu, "vcpu.arch.apic"))
    layout.put("kvm_lapic", apic, {"apicv_active": 1, "irr_pending": 1})
    pir = rng.choice((0, 1 << rng.randrange(256), rng.getrandbits(256) & rng.getrandbits(256), rng.getrandbits(256)))
    fields = {
        "pir": pir,
        "on": rng.getrandbits(1),
        "sn": rng.getrandbits(1),
        "nv": rng.getrandbits(8) if illegal and rng.random() < 0.2 else NOTIFICATION,
        "ndst": rng.choice((0, rng.getrandbits(32), rng.getrandbits(8) << 8)),
    }
    number = 0
    for name, value in fields.items():
        number = PI_DESC[name].insert(number, value)
    raw = bytearray(number.to_bytes(PI_DESC.size, "little"))
    if illegal and rng.random() < 0.3:
        for byte in rng.sample([32, 33, 35, *range(40, 64)], 4):
            raw[byte] |= rng.getrandbits(8) & (0xFC if byte == 32 else 0xFF)
    layout.memory.write(descriptor_of(layout, vcpu), bytes(raw))
    own = layout.virtual(node_of(layout, vcpu))
    neighbours = rng.choice((POISON, (own, own)))
    layout.memory.write(node_of(layout, vcpu), b"".join(pointer.to_bytes(8, "little") for pointer in neighbours))
    regs = layout.physical(layout.get("kvm_lapic", apic, "regs"))
    for word in range(8):
        layout.memory.set_u32(regs + IRR + 16 * word, rng.choice((0, 0, rng.getrandbits(32))))


def _lists(made: State, rng: Random, illegal: bool) -> None:
    """Lists of 0 to 4, each vCPU with the wakeup vector on the list of its CPU. Illegal: on another's list, or with
    another vector."""
    layout = made.layout
    vcpus = made.vcpus
    rng.shuffle(vcpus)
    sizes = [(made.cpu, rng.randint(0, MOST_ON_A_LIST)), *((cpu, rng.randint(0, 2)) for cpu in range(CPUS))]
    for cpu, size in sizes:
        while len(vcpus) > 1 and len(made.lists[cpu]) < size:
            vcpu = vcpus.pop()
            layout.list_add_tail(layout.percpu(cpu, "wakeup_vcpus_on_cpu"), node_of(layout, vcpu))
            made.lists[cpu].append(vcpu)
            vector = rng.choice((WAKEUP, WAKEUP, NOTIFICATION)) if illegal else WAKEUP
            own = rng.choice((cpu, rng.randrange(CPUS))) if illegal else cpu
            layout.put("vcpu_vmx", vcpu, {"vcpu.cpu": own, "pi_desc.nv": vector})


def _running(made: State, rng: Random) -> None:
    """Which vCPU each CPU runs."""
    layout = made.layout
    for cpu in range(CPUS):
        vcpu = rng.choice((None, *made.vcpus))
        layout.memory.set_u64(layout.percpu(cpu, "kvm_running_vcpu"), 0 if vcpu is None else layout.virtual(vcpu))


def _interrupts(made: State, rng: Random, illegal: bool) -> None:
    """Entries that are as the host has them on record, or post to anybody. Illegal: others than on record."""
    layout = made.layout
    for msi in layout.device(DEVICE).msis:
        place = layout.irte(msi.unit, msi.index)
        common = {"p": 1, "sid": msi.sid, "svt": 1, "sq": rng.randrange(4), "fpd": rng.getrandbits(1)}
        own = REMAPPED.build(common | {"vector": rng.getrandbits(8), "dst": rng.getrandbits(32)})
        layout.memory.write(msi.msi_desc + layout.member("intel_ir_data", "irte_entry"), own)
        pda = descriptor_of(layout, rng.choice(made.vcpus))
        posted = POSTED.build(common | {"im": 1, "vector": rng.getrandbits(8), "pda": pda})
        others = {"vector": rng.getrandbits(8), "dst": rng.getrandbits(32), "sid": rng.getrandbits(16)}
        other = REMAPPED.build(common | others)
        entry = rng.choice((own, posted, other) if illegal else (own, posted))
        layout.memory.write(place, entry)
        layout.put("intel_ir_data", msi.msi_desc, {"irq_2_iommu.posted_vcpu": entry == posted})


def descriptor_of(layout: KvmLayout, vcpu: int) -> int:
    """A vCPU's descriptor."""
    return vcpu + layout.member("vcpu_vmx", "pi_desc")


def node_of(layout: KvmLayout, vcpu: int) -> int:
    """A vCPU's node in a wakeup list."""
    return vcpu + layout.member("vcpu_vmx", "pi_wakeup_list")
