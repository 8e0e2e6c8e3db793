"""What Xen and the hardware do, one atomic action at a time."""
