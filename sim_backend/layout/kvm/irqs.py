"""MSIs of PCI devices as Linux sets them up: an entry, `struct irq_desc` and its chain of controllers; posted ones.

Sources: drivers/iommu/intel/irq_remapping.c (intel_ir_set_vcpu_affinity, prepare_irte), kernel/irq/irqdesc.c,
lib/maple_tree.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.devices import Msi
from sim_backend.layout.interrupts import destination, vector_of
from sim_backend.layout.kvm.builder import LinuxBuilder
from sim_backend.layout.kvm.units import give
from sim_backend.layout.vtd import ENTRIES, VtdUnit, irte
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.bits import packed, packed_bytes
from structs.irte import POSTED, REMAPPED
from structs.msi import REMAPPABLE_ADDRESS

FIRST_IRQ, FIRST_INDEX = 24, 0x10
LEAF_SLOTS, ARANGE_SLOTS, NODE_SIZE = 15, 10, 256
LEAF, ARANGE = 1, 3
ROOT, NODE = 2, 4
"""What else an entry of a maple tree says: it is a node; below the root, that too (MA_NODE_ENODE)."""
SVT_SID = 1


class Irqs:
    """The irqs that were given, by number their `struct irq_desc`, and the controllers' `struct irq_chip` by name."""

    def __init__(self) -> None:
        self.chips: dict[str, int] = {}
        self.descs: dict[int, int] = {}
        self.first_free: list[int] = []

    def copy(self) -> Irqs:
        """One of the same state that goes its own way."""
        other = Irqs()
        other.chips, other.descs, other.first_free = self.chips.copy(), self.descs.copy(), self.first_free.copy()
        return other


def add_msi(
    ground: LinuxBuilder, irqs: Irqs, unit: VtdUnit, unit_number: int, config: LayoutConfig, sid: int, number: int
) -> Msi:
    """The MSI-X vector `number` of a device that vfio has, remapped to CPU 0, with a new irq and a new entry.

    Raises:
        SimError: there are no more entries.
    """
    irq = FIRST_IRQ + len(irqs.descs)
    index, vector = irqs.first_free[unit_number], vector_of(irq)
    if index == ENTRIES:
        raise SimError(f"VT-d unit {unit_number}'s interrupt-remapping table has no more free entries")
    irqs.first_free[unit_number] += 1
    give(ground, unit, index)
    entry = {"p": 1, "vector": vector, "dst": destination(config, 0), "svt": SVT_SID, "sid": sid}
    raw = packed_bytes(REMAPPED, entry)
    ground.memory.write(irte(unit, index), raw)
    remapping = ground.made(
        "intel_ir_data", {"irq_2_iommu.iommu": ground.virtual(unit.iommu), "irq_2_iommu.irte_index": index}
    )
    ground.memory.write(remapping + ground.member("intel_ir_data", "irte_entry"), raw)
    name = f"0000:{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"
    irqs.descs[irq] = _desc(ground, irqs, irq, name, number, remapping, vector)
    sent = packed(REMAPPABLE_ADDRESS, {"prefix": 0xFEE, "format": 1, "shv": 1, "handle": index})
    return Msi(sid, number, unit_number, index, irq, vector, remapping, 0, sent, 0)


def _desc(ground: LinuxBuilder, irqs: Irqs, irq: int, device: str, number: int, remapping: int, vector: int) -> int:
    apic_data = ground.made("apic_chip_data", {"vector": vector, "cpu": 0})
    top = _chip_data(ground, irqs, irq, "APIC", apic_data, 0)
    middle = _chip_data(ground, irqs, irq, "INTEL-IR", remapping, top)
    kernel_device = ground.made("device", {"kobj.name": ground.text(device)})
    msi = ground.made(
        "msi_desc",
        {
            "irq": irq,
            "dev": ground.virtual(kernel_device),
            "msi_index": number,
            "pci.msi_attrib.is_msix": 1,
        },
    )
    handler = ground.made("irqaction", {"irq": irq, "name": ground.text(f"vfio-msix[{number}]({device})")})
    mask = ground.heap.small(ground.memory, 8)
    ground.memory.set_u64(mask, 1)
    return ground.made(
        "irq_desc",
        {
            "irq_data.irq": irq,
            "irq_data.hwirq": number,
            "irq_data.chip": _chip(ground, irqs, f"IR-PCI-MSIX-{device}"),
            "irq_data.parent_data": ground.virtual(middle),
            "irq_common_data.msi_desc": ground.virtual(msi),
            "irq_common_data.affinity": ground.virtual(mask),
            "irq_common_data.effective_affinity": ground.virtual(mask),
            "action": ground.virtual(handler),
            "name": ground.text("edge"),
        },
    )


def _chip_data(ground: LinuxBuilder, irqs: Irqs, irq: int, chip: str, data: int, parent: int) -> int:
    values = {"irq": irq, "hwirq": irq, "chip": _chip(ground, irqs, chip), "chip_data": ground.virtual(data)}
    return ground.made("irq_data", values | ({"parent_data": ground.virtual(parent)} if parent else {}))


def _chip(ground: LinuxBuilder, irqs: Irqs, name: str) -> int:
    if name not in irqs.chips:
        irqs.chips[name] = ground.made("irq_chip", {"name": ground.text(name)})
    return ground.virtual(irqs.chips[name])


def post(ground: LinuxBuilder, unit: VtdUnit, msi: Msi, descriptor: int, vector: int) -> None:
    """Let an entry post to a descriptor, as irq_set_vcpu_affinity with a vCPU does. What is kept of the entry
    (`irte_entry`) stays what it was before; `posted_vcpu` says that it posts."""
    place = irte(unit, msi.index)
    was = ground.memory.u64(place + 8)
    kept = {name: REMAPPED[name].extract(was << 64) for name in ("sid", "sq", "svt")}
    entry = {**kept, "p": 1, "im": 1, "vector": vector, "pda": descriptor}
    ground.memory.write(place, packed_bytes(POSTED, entry))
    ground.put_known("intel_ir_data", msi.msi_desc, {"irq_2_iommu.posted_vcpu": 1})


def unpost(ground: LinuxBuilder, unit: VtdUnit, msi: Msi) -> None:
    """Bring the remapped entry back, as irq_set_vcpu_affinity without a vCPU does."""
    kept = ground.memory.read(msi.msi_desc + ground.member("intel_ir_data", "irte_entry"), REMAPPED.size)
    ground.memory.write(irte(unit, msi.index), kept)
    ground.put_known("intel_ir_data", msi.msi_desc, {"irq_2_iommu.posted_vcpu": 0})


def write_tree(ground: LinuxBuilder, entries: Mapping[int, int]) -> None:
    """`sparse_irqs`: a maple tree of one level or two, made anew; the old nodes are given back."""
    root = ground.symbol("sparse_irqs")
    _release(ground, ground.get("maple_tree", root, "ma_root"))
    runs: list[tuple[int, int]] = []
    after = 0
    for number, desc in sorted(entries.items()):
        if number > after:
            runs.append((number - 1, 0))
        runs.append((number, ground.virtual(desc)))
        after = number + 1
    leaves = [_node(ground, "maple_range_64", runs[at : at + LEAF_SLOTS]) for at in range(0, len(runs), LEAF_SLOTS)]
    if len(leaves) > 1:
        ends = [runs[at + LEAF_SLOTS - 1][0] for at in range(0, len(runs) - LEAF_SLOTS, LEAF_SLOTS)]
        children = [(end, leaf | LEAF << 3 | NODE) for end, leaf in zip([*ends, 0], leaves, strict=True)]
        head = _node(ground, "maple_arange_64", children) | ARANGE << 3 | ROOT
    else:
        head = leaves[0] | LEAF << 3 | ROOT if leaves else 0
    ground.put("maple_tree", root, {"ma_root": head})


def _node(ground: LinuxBuilder, struct: str, slots: list[tuple[int, int]]) -> int:
    """A node with these pivots (0 for the last one's, which is its parent's) and entries; its virtual address."""
    place = ground.new_pages()
    pivot_at, slot_at = place + ground.member(struct, "pivot"), place + ground.member(struct, "slot")
    for at, (pivot, entry) in enumerate(slots):
        if pivot:
            ground.memory.set_u64(pivot_at + 8 * at, pivot)
        ground.memory.set_u64(slot_at + 8 * at, entry)
    return ground.virtual(place)


def _release(ground: LinuxBuilder, head: int) -> None:
    if not head:
        return
    place = ground.physical(head & -NODE_SIZE)
    if head >> 3 & 0xF == ARANGE:
        slot_at = place + ground.member("maple_arange_64", "slot")
        children = [ground.memory.u64(slot_at + 8 * at) for at in range(ARANGE_SLOTS)]
        for child in filter(None, children):
            ground.heap.release(ground.physical(child & -NODE_SIZE), PAGE)
    ground.heap.release(place, PAGE)
