"""How a document names its schema: `vtdpi/irt/3`."""

from __future__ import annotations

VERSION = 3
"""Of all documents: it grows when a reader of the old ones would misread the new ones."""


def schema_name(document: str, version: int = VERSION) -> str:
    """The name of the schema of such a document, which each of them has as its first member."""
    return f"vtdpi/{document}/{version}"
