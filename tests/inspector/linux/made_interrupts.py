"""The interrupts of a made Linux: a VT-d unit, an IO-APIC's pins, a device's MSI-X, a unit's own MSI, a posted one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from structs.irte import POSTED, REMAPPED
from tests.inspector.linux.made_linux import DIRECT, MadeLinux

REGISTERS = 0xFED90000
TABLE_AT = 0x1400000
UNIT_SID, NIC = 0xF0F8, 0x0318
"""Of the IO-APIC, and of the device 03:03.0."""
NIC_VECTOR, PIN_VECTOR = 0x41, 0x31
MSIX = "IR-PCI-MSIX-0000:03:03.0"
CHIPS = (MSIX, "IR-IO-APIC", "INTEL-IR", "INTEL-IR-POST", "APIC", "DMAR-MSI", "xen-pirq", "XT-PIC")
CAP = 1 << 59 | 0x2000000000


@dataclass
class MadeInterrupts:
    """Adds to a MadeLinux: `irq` after `irq`, then `tree`. `descs` are the addresses of `struct irq_desc` by number."""

    linux: MadeLinux
    descs: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = self.linux
        self.chips = {name: made.put("irq_chip", name=made.text(name)) for name in CHIPS}
        table = DIRECT + TABLE_AT
        bitmap = made.allocate(bytes([0b111]).ljust(8192, b"\0"))
        self.queue = made.allocate(bytes(4096), 4096)
        self.iommu = made.put(
            "intel_iommu",
            reg_phys=REGISTERS,
            cap=CAP,
            ecap=0xF00F5A,
            ir_table=made.put("ir_table", base=table, bitmap=bitmap),
            qi=made.put("q_inval", desc=self.queue),
        )
        head = made.variable("dmar_drhd_units", bytes(16))
        links = {"list__next": head, "list__prev": head}
        self.drhd = made.put("dmar_drhd_unit", reg_base_addr=REGISTERS, iommu=self.iommu, **links)
        made.write(head, struct.pack("<QQ", self.drhd, self.drhd))
        scope = {"iommu": self.iommu, "id": 5, "bus": UNIT_SID >> 8, "devfn": UNIT_SID & 0xFF}
        made.variable("ir_ioapic", made.bytes_of("ioapic_scope", scope).ljust(24 * 128, b"\0"))
        made.variable("ir_hpet", bytes(24 * 64))
        made.variable("nr_ioapics", struct.pack("<I", 1))
        made.variable("ioapics", made.bytes_of("ioapic", {"mp_config.apicid": 5}))
        self.device = made.put("device", kobj__name=made.text("0000:03:03.0"))

    def irq(self, number: int, desc: dict[str, int], *links: tuple[str, int]) -> int:
        """An irq with these members and this chain of controllers, each a name and its `chip_data`; its address."""
        made = self.linux
        parent = 0
        for name, data in reversed(links[1:]):
            link = {"chip": self.chips[name], "parent_data": parent, "chip_data": data}
            parent = made.put("irq_data", irq=number, hwirq=number, **link)
        values = dict(desc)
        if links:
            name, data = links[0]
            values |= {"irq_data__chip": self.chips[name], "irq_data__parent_data": parent, "irq_data__chip_data": data}
        self.descs[number] = made.put("irq_desc", **{"irq_data__irq": number, **values})
        return self.descs[number]

    def cpus(self, *cpus: int) -> int:
        """A CPU mask."""
        return self.linux.allocate(struct.pack("<Q", sum(1 << cpu for cpu in cpus)))

    def action(self, *names: str) -> int:
        """Handlers that share an irq."""
        following = 0
        for name in reversed(names):
            following = self.linux.put("irqaction", name=self.linux.text(name), next=following)
        return following

    def entry(self, index: int, content: bytes) -> bytes:
        """Write an entry of the table; the same."""
        self.linux.raw[TABLE_AT + 16 * index : TABLE_AT + 16 * index + 16] = content
        return content

    def remapping(self, index: int, entry: bytes, **more: int) -> int:
        """A `struct intel_ir_data` of an entry."""
        low, high = struct.unpack("<QQ", entry)
        at = self.linux.put("intel_ir_data", irq_2_iommu__iommu=self.iommu, irq_2_iommu__irte_index=index, **more)
        self.linux.write(at + self.linux.offset("intel_ir_data", "irte_entry"), struct.pack("<QQ", low, high))
        return at

    def usual(self) -> None:
        """Irq 4 of pin 4 and irq 30 of the device, both at work; the unit's own irq 24; irq 7, which nobody has."""
        made = self.linux
        edge, both, first = made.text("edge"), self.cpus(0, 1), self.cpus(0)
        masks = {"irq_common_data__affinity": both, "irq_common_data__effective_affinity": first}
        pin_entry = self.entry(4, REMAPPED.build({"p": 1, "vector": PIN_VECTOR, "svt": 1, "sid": UNIT_SID}))
        node = made.put("irq_pin_list", apic=0, pin=4)
        head = made.put("mp_chip_data", irq_2_pin__next=node, irq_2_pin__prev=node)
        self.irq(
            4,
            {"action": self.action("ttyS0", "shared"), "name": edge, "irq_data__hwirq": 4, **masks},
            ("IR-IO-APIC", head),
            ("INTEL-IR", self.remapping(4, pin_entry)),
            ("APIC", made.put("apic_chip_data", vector=PIN_VECTOR)),
        )
        self.irq(7, {"irq_common_data__state_use_accessors": 1 << 16, **masks}, ("XT-PIC", 0))
        self.irq(24, {"action": self.action("dmar0"), "name": edge, **masks}, ("DMAR-MSI", 0), ("APIC", 0))
        nic_entry = self.entry(0x30, REMAPPED.build({"p": 1, "vector": NIC_VECTOR, "svt": 1, "sid": NIC}))
        desc = made.put("msi_desc", dev=self.device, pci__msi_attrib__is_msix=1, pci__msi_attrib__multiple=3)
        self.irq(
            30,
            {
                "action": self.action("eth0-rx-0"),
                "name": edge,
                "irq_common_data__msi_desc": desc,
                "irq_data__hwirq": 2,
                **masks,
            },
            (MSIX, 0),
            ("INTEL-IR", self.remapping(0x2E, nic_entry, irq_2_iommu__sub_handle=2)),
            ("APIC", made.put("apic_chip_data", vector=NIC_VECTOR)),
        )

    def posted(self, number: int, index: int, descriptor: int, own: bool) -> None:
        """An irq of the device whose entry posts: to a CPU's `own` descriptor, or to a guest's."""
        made = self.linux
        raw = POSTED.build({"p": 1, "im": 1, "vector": 0x55, "pda": descriptor, "svt": 1, "sid": NIC})
        desc = made.put("msi_desc", dev=self.device, pci__msi_attrib__is_msix=1)
        self.irq(
            number,
            {"action": self.action("vfio-msix[0]"), "irq_common_data__msi_desc": desc},
            (MSIX, 0),
            ("INTEL-IR-POST", self.remapping(index, self.entry(index, raw), irq_2_iommu__posted_msi=int(own))),
            ("APIC", made.put("apic_chip_data", vector=0x55)),
        )

    def tree(self, kind: str = "maple") -> None:
        """The tree of all irqs: `maple` (`sparse_irqs`), or `xarray` (`irq_desc_tree`)."""
        made = self.linux
        if kind == "maple":
            made.variable("sparse_irqs", made.bytes_of("maple_tree", {"ma_root": maple(made, self.descs)}))
        else:
            made.variable("irq_desc_tree", made.bytes_of("xarray", {"xa_head": xarray(made, self.descs)}))


def maple(made: MadeLinux, entries: dict[int, int]) -> int:
    """A maple tree of two levels, as its root has it."""
    runs: list[tuple[int, int]] = []
    after = 0
    for number, at in sorted(entries.items()):
        if number > after:
            runs.append((number - 1, 0))
        runs.append((number, at))
        after = number + 1
    leaves = [runs[start : start + 15] for start in range(0, len(runs), 15)]
    children: list[tuple[int, int]] = []
    for leaf in leaves:
        last = leaf is leaves[-1]
        node = bytearray(made.layouts["maple_range_64"][0])
        for slot, (pivot, at) in enumerate(leaf):
            struct.pack_into("<Q", node, 8 + 8 * slot, pivot)
            struct.pack_into("<Q", node, 128 + 8 * slot, at)
        children.append(((1 << 64) - 1 if last else leaf[-1][0], made.allocate(bytes(node)) | 1 << 3 | 4))
    if len(children) == 1:
        return children[0][1] & ~7 | 1 << 3 | 2
    top = bytearray(made.layouts["maple_arange_64"][0])
    for slot, (pivot, at) in enumerate(children):
        if slot < 9 and slot < len(children) - 1:
            struct.pack_into("<Q", top, 8 + 8 * slot, pivot)
        struct.pack_into("<Q", top, 80 + 8 * slot, at)
    return made.allocate(bytes(top)) | 3 << 3 | 2


def xarray(made: MadeLinux, entries: dict[int, int]) -> int:
    """An XArray of two levels, as its head has it."""
    children: dict[int, dict[int, int]] = {}
    for number, at in entries.items():
        children.setdefault(number >> 6, {})[number & 63] = at

    def node(shift: int, slots: dict[int, int]) -> int:
        raw = bytearray(made.layouts["xa_node"][0])
        raw[made.offset("xa_node", "shift")] = shift
        for slot, value in slots.items():
            struct.pack_into("<Q", raw, made.offset("xa_node", "slots") + 8 * slot, value)
        return made.allocate(bytes(raw)) | 2

    return node(6, {slot: node(0, slots) for slot, slots in children.items()})
