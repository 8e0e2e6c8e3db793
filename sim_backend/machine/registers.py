"""A CPU's registers, by gdb's names, as far as its place in Xen tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sim_backend.layout.layout import Layout

if TYPE_CHECKING:
    from sim_backend.layout.kvm.layout import KvmLayout

GUEST, IDLE = "guest", "idle"

CR0 = 0x8005003B
CR4 = 0x003526E0
EFER = 0xD01
RFLAGS = 0x46
HYPERVISOR_CS, LINUX_CS = 0xE008, 0x10

HOSTS = {
    "vmx_pi_switch_from": "vmx_ctxt_switch_from",
    "vmx_pi_switch_to": "vmx_ctxt_switch_to",
    "vmx_pi_do_resume": "vmx_vmenter_helper",
    "__vmx_deliver_posted_interrupt": "vmx_deliver_posted_intr",
}
"""Functions that the compiler put into another one, so that they have no address of their own."""


class Placed(Protocol):
    """A machine that tells what each CPU is doing."""

    @property
    def layout(self) -> Layout | KvmLayout:
        """Its memory, and where everything is in it."""

    def where(self, cpu: int) -> str:
        """`guest`, `idle`, or the function that the CPU is about to begin (`vmx_vcpu_block`) or is in, with the number
        of steps that it has done (`vmx_vcpu_block+3`)."""


class Still:
    """A layout on which nothing moves: all CPUs are idle."""

    def __init__(self, layout: Layout | KvmLayout) -> None:
        self._layout = layout

    @property
    def layout(self) -> Layout | KvmLayout:
        """What is laid out."""
        return self._layout

    def where(self, cpu: int) -> str:
        """`idle`."""
        return IDLE


def registers(machine: Placed, cpu: int) -> dict[str, int]:
    """One CPU's registers. In guest mode they are the guest's, of whose page tables nothing is known: CR3 is 0."""
    layout, place = machine.layout, machine.where(cpu)
    control = {"cr0": CR0, "cr2": 0, "cr4": CR4, "cr8": 0, "efer": EFER, "eflags": RFLAGS}
    if place == GUEST:
        return control | {"rip": 0, "rsp": 0, "cs": 0, "cr3": 0}
    if not isinstance(layout, Layout):
        return control | _of_linux(layout, cpu, place)
    info = layout.virtual(layout.cpu_info(cpu))
    return control | {
        "rip": address_of(layout, place),
        "rsp": info - 0x40,
        "cs": HYPERVISOR_CS,
        "cr3": layout.symbol("idle_pg_table"),
    }


def _of_linux(layout: KvmLayout, cpu: int, place: str) -> dict[str, int]:
    return {
        "rip": address_of(layout, place),
        "rsp": layout.virtual(layout.idle_task(cpu)),
        "cs": LINUX_CS,
        "cr3": layout.root,
        "gs_base": layout.virtual(layout.area(cpu)),
    }


def address_of(layout: Layout | KvmLayout, place: str) -> int:
    """The virtual address of a function, or of the one that the compiler put it into; else the first of the kernel.

    A step is no instruction: within a function the address tells only that its beginning has been left.
    """
    function, _, done = place.partition("+")
    name = "default_idle" if function == IDLE else function
    for candidate in (name, HOSTS.get(name, name), "_stext"):
        if layout.profile.has_symbol(candidate):
            return layout.profile.symbol(candidate) + int(done or 0)
    raise AssertionError("every profile has _stext")
