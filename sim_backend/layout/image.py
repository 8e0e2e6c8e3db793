"""Xen's image in memory: its build-id note, its page tables, and the variables that boot leaves behind."""

from __future__ import annotations

from sim_backend.layout.builder import DIRECT_MAP, IMAGE_ALIGNMENT, PHYS_START, LayoutBuilder
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.page_tables import CODE, DATA, NO_EXECUTE, TABLE, map_range, map_small
from sim_backend.memory.memory import PAGE

LINEAR_SLOT = 258
"""LINEAR_PT_VIRT_START: the level-4 slot through which each of Xen's page tables maps itself."""

NOTE_HEAD = b"\x04\0\0\0" + b"\x14\0\0\0" + b"\x03\0\0\0" + b"GNU\0"
COMMAND_LINE = b"iommu=verbose,intpost"
DIRECT_VECTORS = {"posted_intr_vector": "pi_notification_interrupt", "pi_wakeup_vector": "pi_wakeup_interrupt"}


def lay_out(ground: LayoutBuilder, config: LayoutConfig) -> None:
    """Write the image, and map it and all memory as Xen does."""
    memory, profile = ground.memory, ground.profile
    memory.write(ground.symbol("__note_gnu_build_id_start"), NOTE_HEAD + bytes.fromhex(profile.build_id))
    map_xen(ground)
    ground.set_variable("xen_phys_start", 8, PHYS_START)
    ground.set_variable("max_page", 8, sum(memory.ram()[-1]) // PAGE)
    # What is unused below 4 GiB is not left out (pfn_pdx_hole_setup): the compression of page numbers is the identity.
    for mask in ("ma_va_bottom_mask", "pfn_pdx_bottom_mask"):
        ground.set_variable(mask, 8, (1 << 64) - 1)
    for name in ("iommu_enabled", "iommu_qinval", "iommu_intremap"):
        ground.set_variable(name, 1, 1)
    ground.set_variable("iommu_intpost", 1, config.intpost)
    ground.set_variable("x2apic_enabled", 1, config.x2apic)
    for name, handler in DIRECT_VECTORS.items():
        vector = getattr(config, name)
        ground.set_variable(name, 1, vector)
        if vector:
            memory.set_u64(ground.symbol("direct_apic_vector") + vector * 8, profile.symbol(handler))
    if profile.has_symbol("saved_cmdline"):
        memory.write(ground.symbol("saved_cmdline"), COMMAND_LINE)


def map_xen(ground: LayoutBuilder) -> None:
    """Page tables at `idle_pg_table`: themselves, the image (2 MiB pages for code, 4 KiB ones for data), all memory."""
    memory, root = ground.memory, ground.symbol("idle_pg_table")
    memory.set_u64(root + LINEAR_SLOT * 8, root | TABLE | NO_EXECUTE)
    code = ground.image_start + IMAGE_ALIGNMENT
    map_range(memory, ground.new_pages, root, code, ground.physical(code), IMAGE_ALIGNMENT, CODE)
    end = ground.image_start + ground.image_size
    data = code + IMAGE_ALIGNMENT
    map_small(memory, ground.new_pages, root, data, ground.physical(data), end - data, DATA)
    for start, size in memory.ram():
        map_range(memory, ground.new_pages, root, DIRECT_MAP + start, start, size, DATA)
