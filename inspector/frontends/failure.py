"""Why a command line has no answer: a line on stderr, and on stdout a document if JSON is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

from inspector.base import streams
from inspector.base.arguments import wants_json
from inspector.base.errors import VtdpiError


def tell(error: VtdpiError, words: Sequence[str]) -> int:
    """Tell of an error; its exit status. `words` are the command line's."""
    if wants_json(words) and not error.shown:
        from inspector.views import json

        with suppress(OSError, ValueError):
            json.show_error(error, sys.stdout)
    return streams.complain(str(error), error.exit_status)


def tell_end(message: str, status: int, words: Sequence[str]) -> int:
    """Tell that it ended in another way; `status`."""
    error = VtdpiError(message)
    error.exit_status = status
    return tell(error, words)
