"""What a lesson is made of, and the bundled ones.

>>> next(iter(lessons().values())).title
'A post'
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from inspector.targets.target import Target

LESSONS = Path(__file__).parent / "lessons"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence about the machine, and the `expect` lines that hold if it is true."""

    say: str
    holds: tuple[str, ...]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to do.

    Attributes:
        say: what it is about, and what to do.
        type: the lines that do it, one way.
        then: what is true of the machine afterwards: the step is done when all of it holds.
        look: the lines are for looking: the step is done only when a command of the last one's name was typed.
    """

    say: str
    type: tuple[str, ...]
    then: tuple[Claim, ...]
    look: bool = False

    @property
    def command(self) -> str:
        """The name of the command that the last line gives."""
        return self.type[-1].split()[0]


class Lesson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lesson.

    Attributes:
        title: what it is about.
        steps: what is to be done, in order.
        end: what to keep in mind.
        about: what has to be known before.
        scenario: the simulated machine's.
        before: lines that bring that machine to where the lesson begins.
        capture: a dump's name beside the lessons, in place of a simulated machine.
    """

    title: str
    steps: tuple[Step, ...] = msgspec.field(name="step")
    end: str
    about: str = ""
    scenario: str = "idle"
    before: tuple[str, ...] = ()
    capture: str | None = None


@cache
def lessons() -> Mapping[str, Lesson]:
    """All of them by name, in order."""
    paths = sorted(LESSONS.glob("*.toml"))
    return {path.stem: msgspec.convert(tomllib.loads(path.read_text("utf-8")), Lesson) for path in paths}


def opened(lesson: Lesson) -> Target:
    """The lesson's machine, before its first line. Raises TargetError if a capture cannot be read."""
    if lesson.capture:
        return _unpacked(LESSONS / lesson.capture)
    from inspector.targets.options import SimOptions
    from inspector.targets.sim.simulation import simulated

    return simulated(SimOptions(scenario=lesson.scenario))


def _unpacked(path: Path) -> Target:
    """A dump that is packed with zstd; its file is gone once it is open."""
    from tempfile import NamedTemporaryFile

    from backports import zstd

    from inspector.targets.open_file import open_file

    with NamedTemporaryFile(prefix="vtdpi-", suffix=".core") as plain:
        plain.write(zstd.decompress(path.read_bytes()))
        plain.flush()
        return open_file(plain.name)
