"""Where bytes come from, and what they say about a Xen's interrupts."""

__version__ = "0.1.0"
