"""Machines without a gdb stub of their own behind one of ours: gdb, pygdbmi and the plugin work on them unchanged."""
