"""What these tests have in common: a small machine whose procedures run alone."""

from __future__ import annotations

from structs.pi_desc import PI_DESC

P, W = 0xF2, 0xF3


MARKER = 0xFFFF_FFFF


def descriptor(layout, vcpu=0):
    return PI_DESC.parse(layout.memory.read(layout.pi_desc(1, vcpu), 64))


def set_descriptor(layout, vcpu=0, **values):
    layout.memory.write(layout.pi_desc(1, vcpu), PI_DESC.build(dict(descriptor(layout, vcpu)) | values))


def names(layout, stores, vcpu=0):
    """Stores by the fields that they change, in order."""
    v = layout.vcpu(1, vcpu)
    area = layout.percpu(0, "vmx_pi_blocking")
    fields = {
        layout.pi_desc(1, vcpu) + 32: "on/sn",
        layout.pi_desc(1, vcpu) + 34: "nv",
        layout.pi_desc(1, vcpu) + 36: "ndst",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.lock"): "pointer",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list"): "next",
        v + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list") + 8: "prev",
        v + layout.member("vcpu", "pause_flags"): "pause_flags",
        area: "head.next",
        area + 8: "head.prev",
        area + 16: "lock",
    }
    return [fields.get(store.address, hex(store.address)) for store in stores]


def waiting(layout, cpu=0):
    node = layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    found = layout.list_nodes(layout.percpu(cpu, "vmx_pi_blocking"))
    return [vcpu for at in found for vcpu in range(3) if layout.vcpu(1, vcpu) + node == at]
