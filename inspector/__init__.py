"""Where bytes come from, and what they say about a Xen's interrupts."""
