"""Exploring the simulated machine: what was found, shown."""

from __future__ import annotations

EVENTS = (
    *("posts", "blocks", "hypercalls", "ipis", "preemptions", "migrations", "upcalls", "emulated", "pauses"),
    *("unpauses", "attaches", "detaches", "retargets", "nmis", "swaps", "offlines", "onlines", "saves"),
    *("suspends", "rewrites", "unroutes", "loads", "timers", "broadcasts", "disables"),
)
