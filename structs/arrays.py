"""NumPy, loaded when something of it is first used: a third of a command that reads a snapshot without tables.

>>> np.arange(3).tolist()
[0, 1, 2]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _NumPy:
        def __getattr__(self, name: str) -> Any:
            import numpy

            # Kept: it is looked up once.
            found = self.__dict__[name] = getattr(numpy, name)
            return found

    np = _NumPy()
