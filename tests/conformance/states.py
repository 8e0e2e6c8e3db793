"""Random states of a machine, legal and illegal ones: what a call of Xen's code and of the model starts from."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.memory.memory import PAGE
from structs.irte import POSTED
from structs.pi_desc import PI_DESC
from structs.xen.profile import Profile

CPUS = 4
ONE_VCPU, VCPUS, PARAVIRTUAL = 2, 1, 0
DOMAINS = {PARAVIRTUAL: 2, VCPUS: 7, ONE_VCPU: 1}
MOST_ON_A_LIST = 5
DEVICE = 0x0308
ON, SN = 1, 2
VPF_BLOCKED = 1
POISON = 0x0100_1001_0010_0100, 0x0200_2002_0020_0200


def machine(profile: Profile) -> Layout:
    """The machine that all states are states of."""
    domains = tuple(DomainConfig(number, vcpus, number != PARAVIRTUAL) for number, vcpus in DOMAINS.items())
    devices = (DeviceConfig(DEVICE, 3, VCPUS),)
    return Layout(LayoutConfig(cpus=CPUS, domains=domains, devices=devices), profile)


@dataclass
class State:
    """One state.

    Attributes:
        layout: the machine in it.
        pages: the pages in which it differs from the machine that it was made from.
        cpu: the CPU that acts, and `current` the vCPU that it runs.
        dead: a CPU that is offline.
        in_irq: whether that CPU is handling an interrupt.
        random: what `get_random` will say.
        lists: by CPU, the vCPUs on its blocking list, in order.
    """

    layout: Layout
    pages: set[int]
    cpu: int
    dead: int
    current: int
    in_irq: bool
    random: int
    lists: dict[int, list[int]]

    @property
    def vcpus(self) -> list[int]:
        """Those that may have descriptors in use."""
        return [vcpu for domain in (VCPUS, ONE_VCPU) for vcpu in self.layout.domains[domain].vcpus]


def state(base: Layout, seed: str) -> State:
    """The state of that seed. A third of them are such as Xen never makes."""
    rng = Random(seed)
    layout = base.copy()
    pages: set[int] = set()
    layout.memory.observer = lambda address, size, *_: pages.update((address // PAGE, (address + size - 1) // PAGE))
    cpu, dead = rng.sample(range(CPUS), 2)
    made = State(layout, pages, cpu, dead, 0, rng.random() < 0.2, rng.getrandbits(32), {})
    illegal = rng.random() < 1 / 3
    _globals(made, rng, illegal)
    for vcpu in made.vcpus + list(layout.domains[PARAVIRTUAL].vcpus):
        _vcpu(made, vcpu, rng, illegal)
    for number in DOMAINS:
        _domain(made, number, rng, illegal)
    _lists(made, rng, illegal)
    _interrupts(made, rng, illegal)
    layout.memory.observer = None
    return made


def _globals(made: State, rng: Random, illegal: bool) -> None:
    layout = made.layout
    x2apic = rng.random() < 0.5
    layout.set_variable("x2apic_enabled", 1, x2apic)
    layout.set_variable("iommu_intpost", 1, rng.random() < 0.9)
    for name in ("posted_intr_vector", "pi_wakeup_vector"):
        layout.set_variable(name, 1, rng.randrange(256))
    bits = 32 if x2apic or illegal else 8
    made.current = rng.choice(made.vcpus)
    for cpu in range(CPUS):
        layout.memory.set_u32(layout.symbol("x86_cpu_to_apicid") + cpu * 4, rng.getrandbits(bits))
        layout.memory.set_u32(layout.irq_stat(cpu), rng.choice((0, 0, 0, 1 << rng.randrange(12))))
        layout.memory.set_u32(layout.irq_stat(cpu) + 8, rng.randrange(1, 3) if cpu == made.cpu and made.in_irq else 0)
        layout.memory.set_u32(layout.percpu(cpu, "irq_count"), rng.choice((0, 1, 7, (1 << 32) - 1)))
        tickets = rng.choice((0, 1, 0x7FFF, 0xFFFF, rng.getrandbits(16)))
        layout.memory.set_u32(lock(layout, cpu), tickets << 16 | tickets)
        if cpu == made.dead or (cpu != made.cpu and rng.random() < 0.3):
            layout.offline(cpu)
        vcpu = made.current if cpu == made.cpu else rng.choice((*made.vcpus, layout.idle_vcpu(cpu)))
        layout.put("cpu_info", layout.cpu_info(cpu), {"current_vcpu": layout.virtual(vcpu)})


def _vcpu(made: State, vcpu: int, rng: Random, illegal: bool) -> None:
    layout = made.layout
    flags = rng.choice((0, VPF_BLOCKED, rng.getrandbits(8)))
    values = {
        "processor": rng.choice((made.cpu, rng.randrange(CPUS))),
        "pause_flags": flags,
        "is_running": vcpu == made.current or rng.random() < 0.6,
        "poll_evtchn": rng.choice((0, 0, 0, 1, (1 << 32) - 1)),
        "runstate.state": rng.randrange(4),
        "arch.hvm.vmx.eoi_exitmap_changed": rng.choice((0, 0, 0, 1 << rng.randrange(64))),
    }
    layout.put("vcpu", vcpu, {path: int(value) for path, value in values.items()})
    vectors = {
        "posted_intr_vector": layout.memory.u8(layout.symbol("posted_intr_vector")),
        "pi_wakeup_vector": layout.memory.u8(layout.symbol("pi_wakeup_vector")),
    }
    pir = rng.choice((0, 1 << rng.randrange(256), rng.getrandbits(256) & rng.getrandbits(256), rng.getrandbits(256)))
    descriptor = {
        "pir": pir,
        "on": rng.getrandbits(1),
        "sn": rng.getrandbits(1),
        "nv": rng.choice((*vectors.values(), rng.getrandbits(8))),
        "ndst": rng.choice(((1 << 32) - 1, rng.getrandbits(32), rng.getrandbits(8) << 8)),
    }
    number = 0
    for name, value in descriptor.items():
        number = PI_DESC[name].insert(number, value)
    raw = bytearray(number.to_bytes(PI_DESC.size, "little"))
    if illegal and rng.random() < 0.3:
        for byte in rng.sample([32, 33, 35, *range(40, 64)], 4):
            raw[byte] |= rng.getrandbits(8) & (0xFC if byte == 32 else 0xFF)
    layout.memory.write(descriptor_of(layout, vcpu), bytes(raw))
    node = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    own = layout.virtual(node)
    neighbours = rng.choice(((0, 0), POISON, (own, own)))
    layout.memory.write(node, b"".join(pointer.to_bytes(8, "little") for pointer in neighbours))
    if regs := layout.get("vcpu", vcpu, "arch.hvm.vlapic.regs"):
        for number in range(8):
            pending = rng.choice((0, rng.getrandbits(32)))
            layout.memory.set_u32(layout.physical(regs) + 0x200 + 16 * number, pending)


def _domain(made: State, number: int, rng: Random, illegal: bool) -> None:
    layout = made.layout
    domain = layout.domain(number)
    values = {"arch.hvm.pi_ops.flags": rng.choice((0, 2, 3, 3, rng.randrange(8) if illegal else 3))}
    values["arch.hvm.pi_ops.vcpu_block"] = rng.choice((0, layout.profile.symbol("vmx_vcpu_block")))
    if illegal and rng.random() < 0.1:
        values["vcpu"] = 0
    if rng.random() < 0.8:
        mask = layout.heap.small(layout.memory, 8)
        layout.memory.set_u64(mask, rng.getrandbits(64))
        values["poll_mask"] = layout.virtual(mask)
    else:
        values["poll_mask"] = layout.virtual(layout.new_pages())
    layout.put("domain", domain, values)


def _lists(made: State, rng: Random, illegal: bool) -> None:
    """Lists of 0 to 5. Illegal: a lock pointer that is missing, another list's, without a list; wrong pointers back."""
    layout = made.layout
    vcpus = made.vcpus
    rng.shuffle(vcpus)
    made.lists = {cpu: [] for cpu in range(CPUS)}
    first = rng.choice((made.cpu, made.dead))
    for cpu, size in [(first, rng.randint(0, MOST_ON_A_LIST)), *((c, rng.randint(0, 2)) for c in range(CPUS))]:
        while vcpus and len(made.lists[cpu]) < size:
            vcpu = vcpus.pop()
            node = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
            layout.list_add_tail(blocking(layout, cpu), node)
            made.lists[cpu].append(vcpu)
            owner = rng.choice((cpu, cpu, cpu, None, rng.randrange(CPUS))) if illegal else cpu
            pointer = 0 if owner is None else layout.virtual(lock(layout, owner))
            layout.put("vcpu", vcpu, {"arch.hvm.vmx.pi_blocking.lock": pointer})
    if illegal and vcpus and rng.random() < 0.2:
        pointer = layout.virtual(lock(layout, rng.randrange(CPUS)))
        layout.put("vcpu", rng.choice(vcpus), {"arch.hvm.vmx.pi_blocking.lock": pointer})
    if illegal and rng.random() < 0.3:
        prev = layout.member("list_head", "prev")
        places = [blocking(layout, cpu) + prev for cpu in range(CPUS)]
        places += [v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list") + prev for v in made.vcpus]
        values = [layout.memory.u64(place) for place in places if layout.memory.u64(place) >> 56 == 0xFF]
        place = rng.choice([place for place in places if layout.memory.u64(place) >> 56 == 0xFF])
        layout.memory.set_u64(place, rng.choice(values))


def _interrupts(made: State, rng: Random, illegal: bool) -> None:
    layout = made.layout
    device = layout.device(DEVICE)
    about = {"type": rng.choice((1, 2, 3, 6)), "phantom_stride": rng.choice((0, 0, 1, 2, 4))}
    layout.put("pci_dev", device.address, about)
    place = layout.units[layout.unit_of(DEVICE)].iommu + layout.member("vtd_iommu", "intremap.lock")
    tickets = rng.getrandbits(16)
    layout.memory.set_u32(place, tickets << 16 | tickets)
    for msi in layout.device(DEVICE).msis:
        entry = layout.irte(msi.unit, msi.index)
        pda = descriptor_of(layout, rng.choice(made.vcpus))
        posted = POSTED.build({"p": 1, "im": 1, "vector": rng.getrandbits(8), "pda": pda, "sid": msi.sid, "svt": 1})
        layout.memory.write(entry, rng.choice((layout.memory.read(entry, 16), posted)))
        vcpu = rng.choice((None, *made.vcpus))
        pointer = 0 if vcpu is None else layout.virtual(descriptor_of(layout, vcpu))
        destination = rng.getrandbits(32)
        address = 0xFEE0_0000 | (destination & 0xFF) << 12 | rng.getrandbits(12)
        message = {"address_lo": address, "address_hi": destination & -0x100, "data": rng.getrandbits(16)}
        layout.put("msi_msg", message_of(layout, msi.msi_desc), message | {"dest32": destination})
        values = {"pi_desc": pointer, "gvec": rng.getrandbits(8), "irte_initialized": rng.getrandbits(1)}
        if illegal and rng.random() < 0.2:
            values["remap_index"] = rng.getrandbits(31)
        layout.put("msi_desc", msi.msi_desc, values)


def descriptor_of(layout: Layout, vcpu: int) -> int:
    """A vCPU's descriptor."""
    return vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_desc")


def message_of(layout: Layout, msi_desc: int) -> int:
    """The message of an MSI, as it was before remapping."""
    return msi_desc + layout.member("msi_desc", "msg")


def blocking(layout: Layout, cpu: int) -> int:
    """The head of a CPU's blocking list."""
    return layout.percpu(cpu, "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "list")


def lock(layout: Layout, cpu: int) -> int:
    """The lock of a CPU's blocking list."""
    return layout.percpu(cpu, "vmx_pi_blocking") + layout.member("vmx_pi_blocking_vcpu", "lock")
