"""Targets that can run: what stops them and lets them go on, or has them move."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Control(Protocol):
    """A target that runs or stands still. It can be read while it stands still."""

    @property
    def running(self) -> bool:
        """Whether it runs now."""

    def stop(self) -> None:
        """Stop it, if it runs. Raises TargetError if it was lost."""

    def cont(self) -> None:
        """Let it run, if it stands still. Raises TargetError if it was lost."""


@runtime_checkable
class Driven(Protocol):
    """A simulated machine: it moves when it is told to."""

    def drive(self, order: str, *arguments: object) -> object:
        """Do what a method of the machine does (`run`). Raises UsageError."""


@runtime_checkable
class Held(Protocol):
    """A target that can be read while it runs."""

    def held(self) -> AbstractContextManager[None]:
        """While this lasts, what is read is of one moment. The machine does not notice."""


def is_running(target: object) -> bool:
    """Whether a target runs now; one that cannot does not."""
    return isinstance(target, Control) and target.running
