"""Run by gdb, on a lab: makes Xen believe in posting, and has Xen's own code write posted-format entries.

No QEMU's VT-d unit posts interrupts, so that Xen never gets as far by itself. This writes to the target, as vtdpi
itself never does. The environment variable VTDPI_JOB is a JSON object: `gdb`, the stub's address; `stage`, the function
to run; `indexes` of remapping-table entries; the address of the network card's registers, `nic`; the `layout` of Xen's
structures, their sizes and members' offsets; the path for the `answer`.
"""

import json
import os
import struct

import gdb

JOB = json.loads(os.environ["VTDPI_JOB"])
LAYOUT = JOB["layout"]
CAP_PI = 1 << 59
IRTE_SIZE = 16
IRTE_URG = 1 << 14
PAGE = 4096
DESCRIPTOR = 64
DIRECTMAP = 0xFFFF830000000000
ICR, ICS, IMS = 0xC0, 0xC8, 0xD0
OTHER, LSC = 1 << 24, 1 << 2


def number(expression):
    """An expression's value as an unsigned 64-bit number; it may use symbols that have no debug information."""
    return int(gdb.parse_and_eval(f"(unsigned long)({expression})")) & (1 << 64) - 1


def read(address, size=8):
    """The little-endian number at an address."""
    return int.from_bytes(bytes(gdb.selected_inferior().read_memory(address, size)), "little")


def write(address, content):
    """Put bytes at an address."""
    gdb.selected_inferior().write_memory(address, content)


def physical(mode):
    """Whether the stub takes addresses for physical ones."""
    gdb.execute(f"maintenance packet Qqemu.PhyMemMode:{int(mode)}")


def run_to(function):
    """Continue to the function's first instruction."""
    gdb.execute(f"thbreak *{number('&' + function)}")
    gdb.execute("continue")
    assert number("$pc") == number("&" + function)


def units():
    """Xen's `struct vtd_iommu`, one for each DRHD."""
    head = number("&acpi_drhd_units")
    node = read(head)
    while node != head:
        yield read(node - LAYOUT["acpi_drhd_unit"]["list"] + LAYOUT["acpi_drhd_unit"]["iommu"])
        node = read(node)


def believe():
    """Before Xen looks at what its units can do: each of them can post."""
    run_to("vtd_setup")
    for unit in units():
        cap = unit + LAYOUT["vtd_iommu"]["cap"]
        write(cap, struct.pack("<Q", read(cap) | CAP_PI))


def post():
    """In an idle moment of Xen: give some MSI-X interrupts a descriptor and a guest vector, and have Xen write them."""
    run_to("default_idle")
    page = int(gdb.parse_and_eval("((unsigned long (*)(unsigned, unsigned))&alloc_xenheap_pages)(0, 0)"))
    assert page > DIRECTMAP
    write(page, bytes(PAGE))
    written = []
    for irq in range(read(number("&nr_irqs"), 4)):
        msi = read(read(number("&irq_desc")) + irq * LAYOUT["irq_desc"]["size"] + LAYOUT["irq_desc"]["msi_desc"])
        if not msi or not read(msi + LAYOUT["msi_desc"]["dev"]):
            continue
        index = read(msi + LAYOUT["msi_desc"]["remap_index"], 4)
        if index not in JOB["indexes"]:
            continue
        given = len(written)
        descriptor = page + DESCRIPTOR * (3 * given + 1)
        vector = 0x51 + 0x11 * given
        # ON and SN count up; NV is 0xf2, NDST 0x100.
        fields = {"pir": [vector], "on": given & 1, "sn": given >> 1 & 1, "nv": 0xF2, "ndst": 0x100}
        control = fields["on"] | fields["sn"] << 1 | fields["nv"] << 16 | fields["ndst"] << 32
        write(descriptor, (1 << vector).to_bytes(32, "little") + struct.pack("<Q", control))
        write(msi + LAYOUT["msi_desc"]["pi_desc"], struct.pack("<Q", descriptor))
        write(msi + LAYOUT["msi_desc"]["gvec"], bytes([vector]))
        # Xen's callers pass a copy too: the function turns the message into a remappable one.
        message = page + PAGE - DESCRIPTOR
        original = gdb.selected_inferior().read_memory(msi + LAYOUT["msi_desc"]["msg"], LAYOUT["msi_msg"]["size"])
        write(message, bytes(original))
        result = gdb.parse_and_eval(f"((int (*)(void *, void *))&msi_msg_write_remap_rte)({msi}, {message})")
        assert int(result) == 0, result
        written.append({"index": index, "irq": irq, "vector": vector, "descriptor": descriptor - DIRECTMAP, **fields})
    assert len(written) == len(JOB["indexes"]), written
    return written


def urge():
    """Set URG in some posted entries, which Xen does not."""
    tables = [read(unit + LAYOUT["vtd_iommu"]["intremap.maddr"]) for unit in units()]
    physical(True)
    for index in JOB["indexes"]:
        entry = tables[0] + index * IRTE_SIZE
        write(entry, struct.pack("<Q", read(entry) | IRTE_URG))
    physical(False)


def interrupt():
    """Have the network card send its link-change interrupt, whatever it and its driver were at.

    The driver may never have seen the first one, that went through a posted entry: a cause that is still there sends no
    other. Registers: Intel 82574 datasheet, 10.2.4.
    """
    physical(True)
    for register, value in ((ICR, (1 << 32) - 1), (IMS, OTHER | LSC), (ICS, OTHER | LSC)):
        write(JOB["nic"] + register, struct.pack("<I", value))
    physical(False)


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set architecture i386:x86-64")
gdb.execute(f"target remote {JOB['gdb']}")
# Another session may have left the stub reading physical addresses.
physical(False)
answer = {"believe": believe, "post": post, "urge": urge, "interrupt": interrupt}[JOB["stage"]]()
gdb.execute("detach")
with open(JOB["answer"], "w") as file:
    json.dump(answer, file)
