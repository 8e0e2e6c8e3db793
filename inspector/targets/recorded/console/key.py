"""What a debug key's answer is: which lines belong to it, where one begins, what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

T = TypeVar("T")


@frozen
class Key(Generic[T]):
    """A debug key, or another kind of message that Xen prints.

    Attributes:
        name: the key, `V`; or what the messages are about, in a word.
        belongs: a line that is part of an answer, the first one included. Loose: a damaged row must be recognised.
        begins: whether a line that belongs starts a new answer after these lines.
        read: what an answer says; pure.
        cut: why an answer is not whole, given an earlier one if there is one; None if nothing shows that it is not.
    """

    name: str
    belongs: re.Pattern[str]
    begins: Callable[[str, Sequence[Line]], object]
    read: Callable[[Sequence[Line]], T]
    cut: Callable[[T, T | None], str | None]


def at(pattern: str) -> Callable[[str, Sequence[Line]], object]:
    """`begins` of a key whose answer starts with a line of its own."""
    compiled = re.compile(pattern)
    return lambda text, before: compiled.match(text)


def never(text: str, before: Sequence[Line]) -> bool:
    """`begins` of messages that come one by one: all of them are one answer."""
    return False


def always_whole(facts: object, earlier: object | None) -> None:
    """`cut` of messages that come one by one."""
