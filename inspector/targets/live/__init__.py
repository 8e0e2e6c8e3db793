"""Machines that run."""
