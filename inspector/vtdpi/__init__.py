"""The name under which Python programs import vtdpi; everything is in `inspector.api`."""

from __future__ import annotations

from inspector.api import __all__ as __all__
from inspector.api import __dir__ as __dir__
from inspector.api import __doc__ as __doc__
from inspector.api import __getattr__ as __getattr__
from inspector.api import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inspector.api import *  # noqa: F403
