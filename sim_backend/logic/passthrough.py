"""Devices that guests have: who owns one, and which vCPU and vector each of its MSIs goes to."""

from __future__ import annotations

from sim_backend.layout import pirqs
from sim_backend.layout.devices import Msi, directed
from sim_backend.layout.interrupts import irq_desc
from sim_backend.logic.context import LogicContext, msi_key
from sim_backend.logic.guests import FIRST_GUEST_VECTOR, GUEST_VECTORS
from structs.bits import packed
from structs.msi import COMPATIBILITY_DATA
from structs.xen.pirq import SEVERAL

FIXED = COMPATIBILITY_DATA["vector"].mask
"""In fixed delivery mode there is nothing but a vector in what a guest's message says."""
NMI = packed(COMPATIBILITY_DATA, {"dlm": 4})
"""Above the vector, what else a guest's message says: its delivery mode."""


class Passthrough:
    """What Xen keeps of passed-through devices, and does with them."""

    __slots__ = ("w",)

    def __init__(self, w: LogicContext) -> None:
        self.w = w

    def posting(self) -> bool:
        """`iommu_intpost`."""
        return bool(self.w.memory.u8(self.w.iommu_intpost))

    def owner(self, sid: int) -> int | None:
        """The domain that a device is assigned to."""
        return self.w.state.owners.get(sid)

    def devices_of(self, domain: int) -> list[int]:
        """The devices that a domain has."""
        return [sid for sid, owner in self.w.state.owners.items() if owner == domain]

    def give(self, sid: int, domain: int | None) -> None:
        """Make a domain a device's owner."""
        self.w.layout.give_device(sid, domain)
        if domain is None:
            self.w.state.owners.pop(sid, None)
        else:
            self.w.state.owners[sid] = domain

    def reset(self, sid: int) -> None:
        """A device stops sending."""
        self.w.devices[sid].queue.clear()

    def msi_key(self, msi: Msi) -> int:
        """A number for an MSI."""
        return msi_key(msi)

    def binding_in(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Which vCPU and vector an MSI becomes in a guest: spread over the vCPUs."""
        vcpus = self.w.layout.domains[domain].vcpus
        vector = FIRST_GUEST_VECTOR + (msi.number * 8 + msi.number // 24) % GUEST_VECTORS
        return vcpus[msi.number % len(vcpus)], vector

    def bind(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Make an MSI a guest's; its vCPU and vector."""
        v, vector = self.binding_in(msi, domain)
        self.w.state.bindings[self.msi_key(msi)] = ((v, vector),)
        pirqs.bind(self.w.layout, msi.pirq, vector, self.w.addresses.names[v][1], self.posting())
        return v, vector

    def rebind(self, msi: Msi, domain: int, vcpu_id: int, nmi: bool) -> int:
        """Have an MSI that is a guest's go to one of its vCPUs or all (SEVERAL), as an NMI or not; its vector."""
        bindings, key = self.w.state.bindings, self.msi_key(msi)
        vector = bindings[key][0][1] & FIXED
        vcpus, several = self.w.layout.domains[domain].vcpus, vcpu_id == SEVERAL
        to = vcpus if several else (vcpus[vcpu_id],)
        bindings[key] = tuple((v, vector | NMI * nmi) for v in to)
        pirqs.bind(self.w.layout, msi.pirq, vector, vcpu_id, self.posting() and not several)
        return vector

    def unbind(self, msi: Msi) -> None:
        """An MSI is no longer a guest's."""
        self.w.state.bindings.pop(self.msi_key(msi), None)
        pirqs.unbind(self.w.layout, msi.pirq)

    def binding_of(self, key: int) -> tuple[tuple[int, int], ...]:
        """The vCPUs and vectors that an MSI is bound to."""
        return self.w.state.bindings.get(key, ())

    def remapped_to_guest(self, vector: int) -> int | None:
        """The MSI that has this physical vector and is bound to a guest."""
        bindings = self.w.state.bindings
        for device in self.w.layout.devices.values():
            for msi in device.msis:
                if msi.vector == vector and self.msi_key(msi) in bindings:
                    return self.msi_key(msi)
        return None

    def own_irq(self, vector: int) -> int | None:
        """The irq that has this physical vector, if Xen itself handles it."""
        actions = self.w.state.actions
        msis = (msi for device in self.w.layout.devices.values() for msi in device.msis) if actions else ()
        return next((msi.irq for msi in msis if msi.vector == vector and msi.irq in actions), None)

    def irq_status(self, irq: int) -> int:
        """Where an irq's `status` is."""
        return irq_desc(self.w.layout, irq) + self.w.o.irq_status

    def goes_to(self, msi: Msi, cpu: int) -> bool:
        """Whether the host's own message for an MSI names that CPU."""
        layout = self.w.layout
        return layout.get("msi_desc", msi.msi_desc, "msg.dest32") == layout.config.apics[cpu]

    def direct(self, msi: Msi, cpu: int) -> None:
        """Have the host's own message for an MSI name that CPU. Source: `set_msi_affinity`."""
        layout, desc = self.w.layout, msi.msi_desc
        address, data = (layout.get("msi_desc", desc, f"msg.{name}") for name in ("address_lo", "data"))
        layout.put("msi_desc", desc, directed(address, data, layout.config.apics[cpu], msi.vector))

    def copied_message(self, msi: Msi) -> int:
        """Where a copy of the host's own message for an MSI is, for whoever writes the entry changes it."""
        w = self.w
        kept = w.memory.read(msi.msi_desc + w.o.msi_msg, w.o.msg_size)
        w.memory.write(w.state.message_buffer, kept)
        return w.state.message_buffer

    def message_to_update(self, msi: Msi) -> int:
        """Where the message is that an update of a guest's interrupt works on. Source: `vmx_pi_update_irte`."""
        return self.copied_message(msi) if self.w.version.copies_message else msi.msi_desc + self.w.o.msi_msg
