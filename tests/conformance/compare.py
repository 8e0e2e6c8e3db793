"""Where two runs of one call differ, in words."""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.layout.layout import Layout
from sim_backend.memory.memory import PAGE

from .sides import Run, percpu
from .states import message_of
from .xen_code import Event


class Names:
    """What lies at an address, for messages and to choose what is compared in order."""

    def __init__(self, layout: Layout, code_symbol: Callable[[str], int]) -> None:
        self._parts: list[tuple[int, int, str]] = []
        for cpu in range(layout.config.cpus):
            preempt = percpu(layout, cpu, code_symbol("per_cpu____preempt_count"))
            self._parts += [
                (preempt, 4, "preempt_count"),
                (layout.percpu(cpu, "vmx_pi_blocking"), 16, f"list of CPU {cpu}"),
                (layout.percpu(cpu, "vmx_pi_blocking") + 16, 8, f"list lock of CPU {cpu}"),
                (layout.percpu(cpu, "irq_count"), 4, f"irq_count of CPU {cpu}"),
                (layout.irq_stat(cpu), 4, f"softirqs of CPU {cpu}"),
            ]
        for number, domain in layout.domains.items():
            hooks = domain.address + layout.member("domain", "arch.hvm.pi_ops.flags")
            self._parts.append((hooks, 16, f"d{number} pi_ops"))
            for index, vcpu in enumerate(domain.vcpus):
                place = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_desc")
                node = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
                fields = [(0, 32, "PIR"), (32, 1, "ON SN"), (34, 1, "NV"), (36, 4, "NDST"), (32, 32, "reserved")]
                self._parts += [(place + at, size, f"d{number}v{index} {name}") for at, size, name in fields]
                self._parts += [(node, 16, f"d{number}v{index} node"), (node + 16, 8, f"d{number}v{index} node's lock")]
                flags = vcpu + layout.member("vcpu", "pause_flags")
                self._parts.append((flags, 4, f"d{number}v{index} pause_flags"))
                if regs := layout.get("vcpu", vcpu, "arch.hvm.vlapic.regs"):
                    self._parts.append((layout.physical(regs), PAGE, f"d{number}v{index} vLAPIC"))
                self._parts.append((vcpu, PAGE, f"d{number}v{index} struct vcpu"))
        for unit in layout.units:
            self._parts.append((unit.iommu + layout.member("vtd_iommu", "intremap.lock"), 4, "table lock"))
        for msi in [msi for device in layout.devices.values() for msi in device.msis]:
            self._parts.append((message_of(layout, msi.msi_desc), layout.size("msi_msg"), "MSI message"))
            self._parts.append((layout.irte(msi.unit, msi.index), 16, f"IRTE {msi.index}"))
            self._parts.append((msi.msi_desc, layout.size("msi_desc"), "msi_desc"))
        self._cache: dict[int, str] = {}

    def __call__(self, address: int) -> str:
        if address not in self._cache:
            fits = (name for start, size, name in self._parts if start <= address < start + size)
            self._cache[address] = next(fits, "memory")
        return self._cache[address]

    def in_order(self, event: Event, stack: range) -> bool:
        """Whether it matters when this happens.

        Not so: the count that is up while a lock is held; IRR, of which Xen sets one bit after the other; the message
        that becomes remappable, which nobody else sees.
        """
        if event[0] != "store":
            return True
        return event[1] not in stack and not self(event[1]).endswith(("preempt_count", "vLAPIC", "MSI message"))

    def say(self, event: Event) -> str:
        """One line."""
        if event[0] != "store":
            return f"{event[0]}({', '.join(map(hex, event[1:]))})"
        _, address, old, new = event
        return f"{self(address)} [{address:#x}]: {old[::-1].hex()} -> {new[::-1].hex()}"


def differences(xen: Run | None, model: Run | None, names: Names, stack: range) -> list[str]:
    """What Xen's code did otherwise than the model, one line each; none if they agree."""
    if xen is None or model is None:
        one = "Xen's code" if xen is None else "the model"
        return [] if xen is model else [f"{one} alone faults or does not end"]
    found = []
    if xen.value != model.value:
        found.append(f"value: {xen.value:#x}, model {model.value:#x}")
    sides = [[event for event in run.events if names.in_order(event, stack)] for run in (xen, model)]
    if sides[0] != sides[1]:
        place = next(
            n for n, pair in enumerate(zip([*sides[0], None], [*sides[1], None], strict=False)) if pair[0] != pair[1]
        )
        said = [names.say(side[place]) if place < len(side) else "nothing more" for side in sides]
        found.append(f"event {place}: {said[0]}; model: {said[1]}")
    for page in sorted(xen.pages | model.pages):
        ours, theirs = xen.page(page), model.page(page)
        if ours != theirs:
            start = page * PAGE
            for at in (at for at in range(PAGE) if ours[at] != theirs[at] and start + at not in stack):
                found.append(f"memory: {names(start + at)} [{start + at:#x}] {ours[at]:02x}; model: {theirs[at]:02x}")
    return found
