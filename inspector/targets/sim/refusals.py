"""What the simulation refuses, as the inspector tells it: a word is wrong, or a file cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inspector.base.errors import TargetError, UsageError
from sim_backend.memory.errors import FileError, SimError
from sim_backend.scenario.scenario import is_bundled


@contextmanager
def refusals(scenario: str | None = None) -> Iterator[None]:
    """Tell what is refused in this block.

    Args:
        scenario: the word that names it, where nothing else can be refused than what it says.

    Raises:
        TargetError: a file cannot be used: it cannot be read, is damaged, or describes no machine.
        UsageError: something else.
    """
    try:
        yield
    except FileError as error:
        raise TargetError(str(error)) from None
    except SimError as error:
        of_file = scenario is not None and not is_bundled(scenario)
        raise (TargetError if of_file else UsageError)(str(error)) from None
