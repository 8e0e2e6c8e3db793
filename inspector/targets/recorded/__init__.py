"""Targets without memory: what somebody saw, in a file."""
