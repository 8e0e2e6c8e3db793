"""What can go wrong, said in one line: what was expected, what was found, what to do."""

from __future__ import annotations

from structs.xen.errors import ProfileError


class VtdpiError(Exception):
    """The target, its symbols or a part of it could not be read. The command ends with exit status 3.

    Attributes:
        expected, found, advice: what the message says, for programs; None where it does not say it apart.
        address: where it is, physical; None if it is nowhere.
        shown: whether it has been printed as a document, where JSON is wanted.
    """

    exit_status = 3
    shown = False

    def __init__(
        self,
        message: str = "",
        *,
        expected: object = None,
        found: object = None,
        advice: str | None = None,
        address: int | None = None,
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found
        self.advice = advice
        self.address = address

    def at(self, where: str) -> VtdpiError:
        """The same, in a message that begins with where it is."""
        made = VtdpiError(
            f"{where}: {self}", expected=self.expected, found=self.found, advice=self.advice, address=self.address
        )
        made.exit_status, made.shown = self.exit_status, self.shown
        return made


class UsageError(VtdpiError):
    """The command's words are wrong. Exit status 2."""

    exit_status = 2


class ExpectationFailed(VtdpiError):
    """A command answered something else than a script expects. Exit status 1."""

    exit_status = 1


class TargetError(VtdpiError):
    """A target cannot be opened, or was lost."""


class NotReadable(VtdpiError):
    """Physical memory that the target does not hold, or that it refuses to read.

    `address` is the first byte of the request that could not be read, `size` how many bytes were asked for from there.
    """

    def __init__(self, address: int, size: int, why: str) -> None:
        super().__init__(f"{size} bytes at physical address {address:#x} cannot be read: {why}", address=address)
        self.size = size
        self.why = why


class NotHere(VtdpiError):
    """This kind of target cannot tell (a dump holds no device registers, a snapshot no memory)."""


class StaleError(VtdpiError):
    """A part of a snapshot was asked for after the machine has run on: it would be of another moment."""


UNREADABLE = (VtdpiError, ProfileError)
"""What a walker may raise for memory that is not there, or for what the profile does not tell."""
