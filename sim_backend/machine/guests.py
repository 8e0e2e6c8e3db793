"""Guests and their devices: what a guest does next, and which of its vCPUs a device interrupts."""

from __future__ import annotations

from sim_backend.layout import pirqs
from sim_backend.layout.devices import Msi, directed
from sim_backend.logic.context import INCREMENT, MULTIPLIER, U64
from sim_backend.logic.cpu import FIXED, HALT, HYPERCALL, SEND_IPI
from sim_backend.machine.services import Services
from sim_backend.memory.naming import device_name
from sim_backend.memory.packing import packed
from sim_backend.scenario.scenario import OUT_OF
from structs.msi import COMPATIBILITY_DATA
from structs.xen.pirq import SEVERAL

FIRST_GUEST_VECTOR, GUEST_VECTORS = 0x30, 192
NMI = packed(COMPATIBILITY_DATA, {"dlm": 4})
"""Above the vector, what else a guest's message says: its delivery mode."""


class Guests(Services):
    """The guests' side of a machine."""

    def virtual_irr(self, v: int) -> int:
        """Where a vCPU's virtual IRR begins."""
        return self.irrs[v]

    def highest_virtual(self, v: int) -> int:
        """The highest vector in a vCPU's virtual IRR, or -1."""
        raw = int.from_bytes(self.memory.read(self.irrs[v], 0x80), "little")
        if not raw:
            return -1
        top = raw.bit_length() - 1
        return top // 128 * 32 + top % 128

    def posted(self, v: int, vector: int) -> None:
        """A device's interrupt is posted to a vCPU, by the unit or by Xen: whoever counts overrides this."""

    def take_virtual(self, v: int, vector: int) -> None:
        """The guest takes a virtual interrupt and handles it."""
        place = self.irrs[v] + 16 * (vector >> 5)
        self.memory.set_u32(place, self.memory.u32(place) & ~(1 << (vector & 31)))

    def guest_action(self, v: int) -> int:
        """What the guest does next on a vCPU that makes it leave non-root mode; 0: nothing."""
        orders = self.orders.get(v)
        if orders:
            order = orders.pop(0)
            if len(order) > 1:
                self.ipi_order = order[1:]
            if not orders:
                del self.orders[v]
            return order[0]
        load = self.workload
        if not load.busy:
            return 0
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        draw = (self.random >> 40) % OUT_OF
        if draw < load.halt:
            return HALT
        draw -= load.halt
        if draw < load.hypercall:
            return HYPERCALL
        return SEND_IPI if draw - load.hypercall < load.ipi else 0

    def ipi_target(self, v: int) -> list[int]:
        """Whom the guest sends an interrupt, and which."""
        if self.ipi_order:
            target, self.ipi_order = self.ipi_order, []
            return target
        domain = self.names[v][0]
        others = [other for other, (number, _) in self.names.items() if number == domain]
        return [others[self.below(len(others))], FIRST_GUEST_VECTOR + self.below(GUEST_VECTORS)]

    def random_vcpu(self) -> int:
        """Any guest's vCPU; 0 if there is none."""
        return self.schedulable[self.below(len(self.schedulable))] if self.schedulable else 0

    def guests(self) -> list[int]:
        """The `struct domain` of every guest."""
        return [self.layout.domain(number) for number in sorted({number for number, _ in self.names.values()})]

    def posting(self) -> bool:
        """`iommu_intpost`."""
        return bool(self.memory.u8(self.iommu_intpost))

    def device_name(self, sid: int) -> str:
        """`00:03.0`."""
        return device_name(sid)

    def owner(self, sid: int) -> int | None:
        """The domain that a device is assigned to."""
        return self.owners.get(sid)

    def devices_of(self, domain: int) -> list[int]:
        """The devices that a domain has."""
        return [sid for sid, owner in self.owners.items() if owner == domain]

    def give(self, sid: int, domain: int | None) -> None:
        """Make a domain a device's owner."""
        self.layout.give_device(sid, domain)
        if domain is None:
            self.owners.pop(sid, None)
        else:
            self.owners[sid] = domain

    def reset_device(self, sid: int) -> None:
        """A device stops sending."""
        self.devices[sid].queue.clear()

    def msi_key(self, msi: Msi) -> int:
        """A number for an MSI."""
        return msi.sid << 16 | msi.number

    def binding_in(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Which vCPU and vector an MSI becomes in a guest: spread over the vCPUs."""
        vcpus = self.layout.domains[domain].vcpus
        vector = FIRST_GUEST_VECTOR + (msi.number * 8 + msi.number // 24) % GUEST_VECTORS
        return vcpus[msi.number % len(vcpus)], vector

    def bind(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Make an MSI a guest's; its vCPU and vector."""
        v, vector = self.binding_in(msi, domain)
        self.bindings[self.msi_key(msi)] = ((v, vector),)
        pirqs.bind(self.layout, msi.pirq, vector, self.names[v][1], self.posting())
        return v, vector

    def rebind(self, msi: Msi, domain: int, vcpu_id: int, nmi: bool) -> int:
        """Have an MSI that is a guest's go to one of its vCPUs or all (SEVERAL), as an NMI or not; its vector."""
        vector = self.bindings[self.msi_key(msi)][0][1] & FIXED
        vcpus, several = self.layout.domains[domain].vcpus, vcpu_id == SEVERAL
        to = vcpus if several else (vcpus[vcpu_id],)
        self.bindings[self.msi_key(msi)] = tuple((v, vector | NMI * nmi) for v in to)
        pirqs.bind(self.layout, msi.pirq, vector, vcpu_id, self.posting() and not several)
        return vector

    def unbind(self, msi: Msi) -> None:
        """An MSI is no longer a guest's."""
        self.bindings.pop(self.msi_key(msi), None)
        pirqs.unbind(self.layout, msi.pirq)

    def binding_of(self, key: int) -> tuple[tuple[int, int], ...]:
        """The vCPUs and vectors that an MSI is bound to."""
        return self.bindings.get(key, ())

    def remapped_to_guest(self, vector: int) -> int | None:
        """The MSI that has this physical vector and is bound to a guest."""
        for device in self.layout.devices.values():
            for msi in device.msis:
                if msi.vector == vector and self.msi_key(msi) in self.bindings:
                    return self.msi_key(msi)
        return None

    def goes_to(self, msi: Msi, cpu: int) -> bool:
        """Whether the host's own message for an MSI names that CPU."""
        return self.layout.get("msi_desc", msi.msi_desc, "msg.dest32") == self.layout.config.apics[cpu]

    def direct(self, msi: Msi, cpu: int) -> None:
        """Have the host's own message for an MSI name that CPU. Source: `set_msi_affinity`."""
        layout, desc = self.layout, msi.msi_desc
        address, data = (layout.get("msi_desc", desc, f"msg.{name}") for name in ("address_lo", "data"))
        layout.put("msi_desc", desc, directed(address, data, layout.config.apics[cpu], msi.vector))

    def copied_message(self, msi: Msi) -> int:
        """Where a copy of the host's own message for an MSI is, for whoever writes the entry changes it."""
        kept = self.memory.read(msi.msi_desc + self.o.msi_msg, self.o.msg_size)
        self.memory.write(self.message_buffer, kept)
        return self.message_buffer

    def message_to_update(self, msi: Msi) -> int:
        """Where the message is that an update of a guest's interrupt works on. Source: `vmx_pi_update_irte`."""
        return self.copied_message(msi) if self.version.copies_message else msi.msi_desc + self.o.msi_msg

    def forget_domain(self, domain: int) -> None:
        """A domain's pages are freed."""
        for v in self.layout.domains[domain].vcpus:
            for table in (self.events, self.migrating, self.orders):
                table.pop(v, None)
        self.layout.destroy_domain(domain)
        self.refresh()
