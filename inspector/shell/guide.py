"""Who looks on while lines are typed, and has a word to say between them."""

from __future__ import annotations

from typing import Protocol


class Guide(Protocol):
    """Asked before each line and told after it."""

    def takes(self, text: str) -> bool:
        """Do what the line asks of the guide; False if it asks the target. Raises Leave to end the session."""

    def after(self, text: str) -> None:
        """Be told that a line was run, whether or not it failed."""


class _Nobody:
    def takes(self, text: str) -> bool:
        """Never."""
        return False

    def after(self, text: str) -> None:
        """Say nothing."""


NOBODY: Guide = _Nobody()
"""No guide."""
