"""Starting a lab for a test that is not about the start."""

from __future__ import annotations

import warnings

from inspector.lab import LabError, Say, silent
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe


def started(recipe: Recipe, say: Say = silent) -> Lab:
    """A lab that is up.

    A dom0 in an emulated machine may stand still as it boots (seen once in some hundred starts, after its PCI devices):
    then the lab is started anew, once, with a warning that has the first one's last words.

    Raises:
        LabError: it cannot be started, or did not come up twice.
    """
    try:
        return Lab.up(recipe, say)
    except LabError as error:
        if not (recipe.dom0 and "is not up after" in str(error)):
            raise
        warnings.warn(f"started a second time: {error}", stacklevel=2)
    return Lab.up(recipe, say)
