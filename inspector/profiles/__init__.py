"""Layouts of hypervisor builds: made from DWARF, kept by build-id."""
