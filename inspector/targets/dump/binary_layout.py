"""Binary layouts as one line of text."""

from __future__ import annotations

import numpy as np


def layout(fields: str) -> np.dtype[np.void]:
    """The numpy type of a packed little-endian record, given as `name:format` words in order (`phoff:u8 magic:S4`)."""
    pairs = (word.split(":") for word in fields.split())
    return np.dtype([(name, "<" + kind) for name, kind in pairs])
