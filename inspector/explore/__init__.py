"""Exploring the simulated machine: what was found, shown."""
