"""How Xen keeps the interrupts of a domain, as far as no profile tells: nodes of its radix tree, and flags.

Sources: xen/lib/radix-tree.c (the same since 4.7), `struct hvm_pirq_dpci`, xen/include/xen/irq.h.
"""

NODE_COUNT, NODE_SLOTS, SLOT_COUNT = 4, 8, 64
"""`struct radix_tree_node { u32 height, count; void *slots[64]; }`: offsets, and how many slots there are."""
INDIRECT = 1
"""In the pointer to the root: it leads to a node, not to the only item."""

DPCI = "arch.hvm.dpci"
"""The path to a `struct hvm_pirq_dpci` in a `struct pirq`."""
MACH_MSI, MAPPED, GUEST_MSI = 1 << 1, 1 << 2, 1 << 5
"""Its `flags`: HVM_IRQ_DPCI_*."""
SEVERAL = -1
"""Its `gmsi.dest_vcpu_id` if the MSI goes to more than one vCPU."""
