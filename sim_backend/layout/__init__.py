"""Writes Xen's memory."""
