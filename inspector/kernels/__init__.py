"""A kernel in a target's memory: its address space, its structures, and what it is to all that is above."""
