"""Finding and walking a Linux: what owns the interrupts of most machines, and of a domain 0 above a Xen."""
