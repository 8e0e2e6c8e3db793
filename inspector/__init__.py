"""Where bytes come from, and what they say about a Xen's interrupts."""

__version__ = "0.2.0"
