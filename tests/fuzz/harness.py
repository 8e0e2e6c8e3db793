"""Cases by the thousand: each is made of a seed, so that one that fails can be had again.

A case fails if it raises what is no sentence of ours, takes too long, or too much memory.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from inspector.base.errors import VtdpiError
from sim_backend.memory.errors import SimError
from structs.xen.errors import ProfileError

SAID = (VtdpiError, SimError, ProfileError)
SECONDS, WAITING = 5, 60
"""Of CPU time, and of any: the machine may have other work."""
GIB = 1 << 30

Case = Callable[[random.Random], None]


class TooLong(BaseException):
    """A case takes more than SECONDS, or waits for more than WAITING."""


@dataclass
class Result:
    """How the cases of an area went; `failures` are `seed: what happened`, one of each kind."""

    area: str
    cases: int = 0
    said: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def run(area: str, case: Case, seed: int, cases: int, seconds: float) -> Result:
    """Run so many cases, or so long; case n has the seed `AREA/SEED/n`."""
    result = Result(area)
    deadline = time.monotonic() + seconds
    before = {number: signal.signal(number, _too_long) for number in (signal.SIGALRM, signal.SIGPROF)}
    try:
        while result.cases < cases and time.monotonic() < deadline:
            one(result, case, f"{area}/{seed}/{result.cases}")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return result


def one(result: Result, case: Case, seed: str) -> None:
    """Run the case of one seed."""
    result.cases += 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        case(random.Random(seed))
    except SAID as error:
        result.said += 1
        if "\n" in str(error) or not str(error):
            result.failures.setdefault("not one line", f"{seed}: {str(error)!r:.300}")
    except (Exception, TooLong, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {where.filename.rpartition('/')[2]}:{where.lineno}"
        result.failures.setdefault(kind, f"{seed}: {error!s:.200}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024 > GIB:
        result.failures.setdefault("memory", f"{seed}: over 1 GiB")


def _too_long(number: int, frame: object) -> None:
    raise TooLong


ODD: tuple[Any, ...] = (
    *(None, True, False, "", "x", "\x1b[31m", "\ud800", "\0", [], {}, [[]], {"": None}, 0.5, 1e308, -0.0),
    *(0, 1, -1, 2, 255, 256, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
    *(1 << 64, 1 << 200, -(1 << 63), "0x10", "\u202e", "a" * 5000),
)


def changed(document: Any, luck: random.Random, most: int = 3) -> Any:
    """A JSON document with a few parts replaced, removed, doubled or exchanged."""
    document = copy.deepcopy(document)
    for _ in range(luck.randint(1, most)):
        _change(document, luck)
    return document


def _change(document: Any, luck: random.Random) -> None:
    at = document
    for _ in range(50):
        if not isinstance(at, dict | list) or not at:
            return
        key = luck.choice(list(at)) if isinstance(at, dict) else luck.randrange(len(at))
        inner = at[key]
        if isinstance(inner, dict | list) and inner and luck.random() < 0.8:
            at = inner
            continue
        match luck.randrange(5):
            case 0:
                del at[key]
            case 1 if isinstance(at, list):
                at.insert(key, copy.deepcopy(luck.choice(at)))
            case 2 if isinstance(at, dict):
                at[luck.choice(["", "x", "__class__", "\ud800"])] = inner
            case 3 if isinstance(inner, int):
                at[key] = inner + luck.choice([1, -1, 1 << luck.randrange(70), -(1 << luck.randrange(70))])
            case _:
                at[key] = copy.deepcopy(luck.choice(ODD))
        return


def damaged(raw: bytes, luck: random.Random, most: int = 8) -> bytes:
    """Bytes with a few of them changed, cut out, doubled or put in."""
    data = bytearray(raw)
    for _ in range(luck.randint(1, most)):
        at = luck.randrange(len(data) + 1)
        match luck.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << luck.randrange(8)
            case 1:
                data[at:at] = luck.randbytes(luck.randrange(9))
            case 2:
                del data[at : at + luck.randrange(64)]
            case 3:
                data[at : at + 8] = luck.choice(
                    [b"\xff" * 8, bytes(8), (1 << luck.randrange(64)).to_bytes(8, "little")]
                )
            case 4:
                start = luck.randrange(len(data) + 1)
                data[at:at] = data[start : start + luck.randrange(256)]
            case _:
                if luck.random() < 0.1:
                    del data[at:]
    return bytes(data)


def text_of(document: Any) -> str:
    """A JSON document's text; lone surrogates stay what they are."""
    return json.dumps(document)
