"""A guest that changes the message of an MSI: what Xen's `pt_irq_create_bind` makes of it, and what the model.

Xen finds the pirq in the tree that the simulation laid out, and the vCPUs by the IDs of their local APICs. What is run
is what comes after the first binding: the MSI is bound already, and posted. Both start from the same memory, and leave
the same, but for `gflags`, where Xen notes the message.
"""

from __future__ import annotations

import pytest

from sim_backend.layout.interrupts import irq_desc
from sim_backend.layout.layout import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.machine.environment import give
from sim_backend.machine.machine import Machine
from sim_backend.memory.memory import PAGE
from structs.irte import IRTE, POSTED
from structs.xen.pirq import DPCI

from .bench import Bench
from .functions import FUNCTIONS, IN_PLACE
from .sides import STUBS, answers, prepare, run_xen
from .states import DEVICE, descriptor_of, message_of, state
from .xen_code import XenCode

pytestmark = pytest.mark.live

NIC, NAME = 0x0018, "00:03.0"
CDF_IOMMU = 1 << 5
PT_IRQ_TYPE_MSI = 2
PI_UPDATE_IRTE, DPCI_OF_IRQ = 0x1D8, 0x38
"""Of `hvm_funcs`, which boot fills, and of `struct hvm_irq`, which no profile keeps."""
LOGICAL, NMI = 1 << 9, 4 << 12
"""Bits of `gflags`; the guest's destination is in the lowest 8."""
EVERYBODY = 0xFF
COPY = 16
APIC_ID, APIC_LDR, APIC_DFR = 0x20, 0xD0, 0xE0
FLAT = 0xFFFF_FFFF


class Bound:
    """A guest with a device: the model's machine, and Xen's code on a memory of its own."""

    def __init__(self, bench: Bench, vcpus: int) -> None:
        domains, devices = (DomainConfig(1, vcpus),), (DeviceConfig(NIC, 2, domain=1),)
        self.machine = Machine(LayoutConfig(bench.profile, domains=domains, devices=devices))
        self.layout = self.machine.layout
        self.msi = self.layout.device(NIC).msis[0]
        self.code = XenCode(bench.symbols, self.layout, STUBS)
        prepare(self.layout, self.code.virtual)
        self.request = self.layout.new_pages()
        self._prepare()
        self.code.start()
        desc = self.layout.virtual(irq_desc(self.layout, self.msi.irq))
        self.code.answers = {**answers(self.layout, NIC), "pirq_spin_lock_irq_desc": lambda *_: desc}

    def _prepare(self) -> None:
        layout, memory = self.layout, self.layout.memory
        domain, irq = layout.domain(1), layout.new_pages()
        memory.set_u64(irq + DPCI_OF_IRQ, layout.virtual(irq))
        options = layout.get("domain", domain, "options") | CDF_IOMMU
        nr_pirqs = self.msi.irq + 1
        layout.put("domain", domain, {"arch.hvm.irq": layout.virtual(irq), "options": options, "nr_pirqs": nr_pirqs})
        layout.put("pirq", self.msi.pirq, {f"{DPCI}.dom": layout.virtual(domain)})
        update = layout.physical(self.code.virtual("hvm_funcs")) + PI_UPDATE_IRTE
        memory.set_u64(update, self.code.virtual("vmx_pi_update_irte"))
        for number in range(len(layout.domains[1].vcpus)):
            for register, value in ((APIC_ID, 2 * number << 24), (APIC_LDR, 1 << 24 + number), (APIC_DFR, FLAT)):
                memory.set_u32(layout.vlapic(1, number) + register, value)

    def model(self, order: str, *arguments: str | int) -> None:
        """The guest's order, until the toolstack is done with it."""
        give(self.machine, order, (NAME, 0, *arguments))
        movers = [self.machine.context.toolstack, *self.machine.context.units]
        while self.machine.toolstack_busy():
            assert any(mover.turn(self.machine.context) for mover in movers)

    def xen(self, gflags: int) -> None:
        """The same asked of Xen."""
        gvec = self.layout.get("pirq", self.msi.pirq, f"{DPCI}.gmsi.gvec")
        words = (self.msi.irq, PT_IRQ_TYPE_MSI, gvec, gflags)
        self.code.write(self.request, b"".join(word.to_bytes(4, "little") for word in words))
        arguments = self.layout.virtual(self.layout.domain(1)), self.layout.virtual(self.request)
        assert self.code.call("pt_irq_create_bind", *arguments).result & 0xFFFF_FFFF == 0

    def differences(self) -> list[str]:
        """Where the two memories differ, but for `gflags` and what belongs to one of them only.

        To Xen's code belong the request and a stack, with a copy of the message; to the model its copy, and the unit's
        queue: to flush the cache is a stub there.
        """
        memory = self.layout.memory
        gflags = self.msi.pirq + self.layout.member("pirq", f"{DPCI}.gmsi.gflags")
        own = (
            *(range(at, at + PAGE) for at in (self.request, self.layout.units[0].queue)),
            *(range(at, at + COPY) for at in (self.machine.state.message_buffer, self.machine.state.status[0])),
            *(range(gflags, gflags + 4), self.code.stack(0)),
        )
        found = []
        for page in range(memory.size // PAGE):
            ours, theirs = self.code.read(page * PAGE, PAGE), memory.read(page * PAGE, PAGE)
            if ours != theirs:
                places = (page * PAGE + at for at in range(PAGE) if ours[at] != theirs[at])
                found += [hex(place) for place in places if not any(place in part for part in own)]
        return found

    @property
    def posted(self) -> bool:
        """Whether Xen's code left the MSI's entry a posted one."""
        return IRTE.record_of(self.code.read(self.layout.irte(0, self.msi.index), 16)) is POSTED


# No profile of 4.17 describes struct hvm_pirq_dpci.
described = pytest.mark.parametrize("bench", ["4.20"], indirect=True)


@described
def test_a_guest_that_changes_a_message(bench: Bench) -> None:
    guest = Bound(bench, 4)
    for (order, *arguments), gflags, posted in (
        (("retarget", "d1v1"), 2, True),
        (("retarget", "d1v3"), LOGICAL | 1 << 3, True),
        (("broadcast",), EVERYBODY, False),
        (("broadcast",), LOGICAL | 0b1111, False),
        (("retarget", "d1v2"), 4, True),
        (("make_nmi",), NMI, True),
        (("broadcast",), EVERYBODY, False),
        (("make_nmi",), NMI | LOGICAL | 1, True),
    ):
        guest.model(order, *arguments)
        guest.xen(gflags)
        assert guest.differences() == [], (order, arguments)
        assert guest.posted == posted


@described
def test_everybody_of_one(bench: Bench) -> None:
    guest = Bound(bench, 1)
    guest.model("broadcast")
    guest.xen(LOGICAL | 1)
    assert guest.differences() == []
    assert guest.posted


def test_an_entry_that_is_made_of_an_overwritten_message(bench: Bench) -> None:
    """ZOO-14: posted, and then not, it has the host's vector in 4.20, and in 4.17 none."""
    made = state(bench.base, "posted and back")
    layout = made.layout
    (update,) = (function for function in FUNCTIONS if function.name == "vmx_pi_update_irte")
    msi = layout.device(DEVICE).msis[0]
    message = bench.base.memory.read(message_of(layout, msi.msi_desc), layout.size("msi_msg"))
    layout.memory.write(message_of(layout, msi.msi_desc), message)
    made.pages.add(msi.msi_desc // PAGE)
    found = []
    for descriptor in (descriptor_of(layout, made.current), 0):
        call = msi.msi_desc, descriptor, 0x31, message_of(layout, msi.msi_desc)
        assert run_xen(bench.code, update, made, call, go_on=not descriptor)
        raw = bench.code.read(layout.irte(msi.unit, msi.index), 16)
        found.append((IRTE.record_of(raw) is POSTED, IRTE.parse(raw)["vector"]))
    in_place = layout.profile.has_symbol(IN_PLACE)
    assert found == [(True, 0x31), (False, 0 if in_place else msi.vector)]
