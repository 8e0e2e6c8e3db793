"""Every irq that a Linux has set up, and the chain of controllers behind it: MSI or IO-APIC, VT-d, local APIC.

    irq_desc -> irq_data (IR-PCI-MSI) -> irq_data (INTEL-IR: intel_ir_data) -> irq_data (APIC: apic_chip_data)

Each irq_data names its controller's `struct irq_chip`, whose name tells what `chip_data` points to.

Sources: kernel/irq/irqdesc.c (`sparse_irqs`; `irq_desc_tree` before 6.5), include/linux/irq.h, kernel/irq/proc.c
(show_interrupts); drivers/iommu/intel/irq_remapping.c (`struct intel_ir_data`); arch/x86/kernel/apic/vector.c,
io_apic.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inspector.linux.linux import Linux
from inspector.linux.trees import BrokenTree, maple_tree, xarray
from inspector.model.absence import Absence, unreadable
from structs.xen.errors import ProfileError

IRQS_LIMIT = 1 << 16
CHAIN_LIMIT = 8
ACTIONS_LIMIT = 64

REMAPPING, LOCAL_APIC = "INTEL-IR", "APIC"
IO_APIC, HPET, OF_UNIT, OF_XEN = "IO-APIC", "HPET", "DMAR-MSI", "xen-pirq"
"""What the names of controllers begin with, after `IR-` where they are remapped."""


@dataclass
class Link:
    """A controller in the chain of an irq: its name, its `chip_data`, and the number that it has there."""

    chip: str
    data: int
    hwirq: int


@dataclass
class LinuxIrq:
    """An irq of Linux's: `struct irq_desc`, what it points to, and its chain, the device's controller first.

    `flow` is how it is handled (`edge`, `fasteoi`), `state` is `irq_data`'s state, `pending` whether it waits to be
    sent again; `actions` are the names of who handles it.
    """

    irq: int
    address: int
    flow: str = ""
    state: int = 0
    pending: bool = False
    handler_data: int = 0
    msi_desc: int = 0
    affinity: tuple[int, ...] | None = None
    effective: tuple[int, ...] | None = None
    actions: tuple[str, ...] = ()
    chain: list[Link] = field(default_factory=list)

    def link(self, name: str) -> Link | None:
        """The controller in the chain whose name begins so, `IR-` left out; None if there is none."""
        return next((each for each in self.chain if each.chip.removeprefix("IR-").startswith(name)), None)

    @property
    def chip(self) -> str:
        """The first controller's name, as /proc/interrupts has it."""
        return self.chain[0].chip if self.chain else ""

    @property
    def label(self) -> str:
        """Controller, number and flow, as /proc/interrupts has them."""
        if not self.chain:
            return ""
        return f"{self.chip} {self.chain[0].hwirq}{self.flow and '-'}{self.flow}"


COMMON = "irq_common_data"
STATE = f"{COMMON}.state_use_accessors"
ISTATE = "core_internal_state__do_not_mess_with_it"
LINKS = ("hwirq", "chip", "parent_data", "chip_data")
IRQS_PENDING = 1 << 9
"""Of `irq_desc.istate` (kernel/irq/internals.h)."""


def irqs(linux: Linux, absent: list[Absence]) -> list[LinuxIrq]:
    """The irqs by number; what is wrong with their tree is told in `absent`.

    Raises:
        NotMapped, NotReadable, ProfileError: the tree cannot be read.
    """
    descs = _descs(linux, absent)
    masks = linux.optional("irq_desc", f"{COMMON}.affinity", f"{COMMON}.effective_affinity")
    more = linux.optional("irq_desc", f"{COMMON}.handler_data", f"{COMMON}.msi_desc", ISTATE, "name")
    own = [f"irq_data.{name}" for name in LINKS]
    addresses = list(descs.values())
    rows = linux.structs("irq_desc", addresses, "irq_data.irq", STATE, "action", *own, *masks, *more)
    lost = [number for number, row in zip(descs, rows, strict=True) if row is None or row["irq_data.irq"] != number]
    if lost:
        listed = ", ".join(map(str, lost[:8])) + (", ..." if len(lost) > 8 else "")
        why = f"{len(lost)} of Linux's irq_desc cannot be read or are of another irq: {listed}"
        absent.append(unreadable("Linux's irqs", why, "irqs"))
    found = [
        (number, at, row)
        for (number, at), row in zip(descs.items(), rows, strict=True)
        if row is not None and number not in lost
    ]
    every = [row for _, _, row in found]
    names = _names(linux, [row.get("name", 0) for row in every])
    columns: dict[str, Sequence[tuple[int, ...] | None]] = {
        mask: linux.masks("irq_desc", mask, every) for mask in masks
    }
    actions = _actions(linux, [row["action"] for row in every])
    chains = _chains(linux, [{name: row[f"irq_data.{name}"] for name in LINKS} for row in every])
    nothing: Sequence[None] = [None] * len(every)
    affinity = columns.get(f"{COMMON}.affinity", nothing)
    effective = columns.get(f"{COMMON}.effective_affinity", nothing)
    return [
        LinuxIrq(
            irq=number,
            address=address,
            flow=names.get(row.get("name", 0), ""),
            state=row[STATE],
            pending=bool(row.get(ISTATE, 0) & IRQS_PENDING),
            handler_data=row.get(f"{COMMON}.handler_data", 0),
            msi_desc=row.get(f"{COMMON}.msi_desc", 0),
            affinity=affinity[at],
            effective=effective[at],
            actions=actions[at],
            chain=chains[at],
        )
        for at, (number, address, row) in enumerate(found)
    ]


def _descs(linux: Linux, absent: list[Absence]) -> dict[int, int]:
    """The address of each `struct irq_desc`, by irq."""
    try:
        if linux.profile.has_symbol("sparse_irqs"):
            found = maple_tree(linux, linux.profile.symbol("sparse_irqs"))
        elif linux.profile.has_symbol("irq_desc_tree"):
            found = xarray(linux, linux.profile.symbol("irq_desc_tree"))
        else:
            raise ProfileError(f"{linux.profile.name} has no symbol sparse_irqs or irq_desc_tree (CONFIG_KALLSYMS_ALL)")
    except BrokenTree as error:
        absent.append(unreadable("Linux's irqs", error, "irqs"))
        found = error.entries
    return {number: at for number, at in found.items() if number < IRQS_LIMIT}


def _names(linux: Linux, addresses: Sequence[int]) -> dict[int, str]:
    wanted = sorted({at for at in addresses if at})
    return {at: text for at, text in zip(wanted, linux.strings(wanted), strict=True) if text}


def _actions(linux: Linux, heads: Sequence[int]) -> list[tuple[str, ...]]:
    """The names of who handles each irq, by its `struct irqaction`, those that share it in order."""
    lists: list[list[int]] = [[] for _ in heads]
    pointers: dict[int, int] = {}
    at = dict(enumerate(heads))
    for _ in range(ACTIONS_LIMIT):
        at = {place: action for place, action in at.items() if action and action not in pointers}
        if not at:
            break
        rows = linux.structs("irqaction", list(at.values()), "name", "next")
        following = {}
        for (place, action), row in zip(at.items(), rows, strict=True):
            if row is not None:
                pointers[action] = row["name"]
                lists[place].append(row["name"])
                following[place] = row["next"]
        at = following
    names = _names(linux, [name for actions in lists for name in actions])
    return [tuple(names.get(name, "?") for name in actions) for actions in lists]


def _chains(linux: Linux, firsts: Sequence[Mapping[str, int]]) -> list[list[Link]]:
    """The controllers of each irq, from its own `struct irq_data` through their parents."""
    rows: dict[int, Mapping[str, int]] = dict(enumerate(firsts))
    levels: list[tuple[int, Mapping[str, int]]] = []
    for _ in range(CHAIN_LIMIT):
        levels += rows.items()
        parents = {place: row["parent_data"] for place, row in rows.items() if row["parent_data"]}
        read = linux.structs("irq_data", list(parents.values()), *LINKS)
        rows = {place: row for place, row in zip(parents, read, strict=True) if row is not None}
        if not rows:
            break
    chips = sorted({row["chip"] for _, row in levels if row["chip"]})
    named = linux.structs("irq_chip", chips, "name")
    texts = _names(linux, [row["name"] for row in named if row])
    names = {at: texts.get(row["name"], "") for at, row in zip(chips, named, strict=True) if row}
    chains: list[list[Link]] = [[] for _ in firsts]
    for place, row in levels:
        chains[place].append(Link(names.get(row["chip"], ""), row["chip_data"], row["hwirq"]))
    return chains
