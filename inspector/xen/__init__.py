"""Finding Xen in physical memory, its page tables, and reading its structures by a profile."""
