"""Transitions of posted-interrupt descriptors, one after the other as they happen."""
