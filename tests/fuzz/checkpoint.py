"""A saved machine whose document is changed, with a checksum that is right again."""

from __future__ import annotations

import json
import random
import zlib

from sim_backend.machine.checkpoint import CHECKSUM, LENGTH, _checksum
from tests.fuzz.harness import changed, text_of


def with_changed_document(raw: bytes, luck: random.Random) -> bytes:
    """The file with a few parts of its document changed."""
    line, _, rest = raw.partition(b"\n")
    content = zlib.decompress(rest[CHECKSUM:])
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    text = text_of(changed(json.loads(content[LENGTH:end]), luck)).encode()
    body = zlib.compress(len(text).to_bytes(LENGTH, "little") + text + content[end:], 1)
    return line + b"\n" + _checksum(body) + body
