"""A target as a Python program has it: opened, looked at, audited, asked the commands."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Literal

from inspector.base.closing import Closing
from inspector.base.errors import TargetError
from inspector.frontends.target_words import look_ahead, open_target
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.options import DumpOptions, LiveOptions, Options, SimOptions
from inspector.targets.target import Control, is_running

if TYPE_CHECKING:
    from inspector.analysis.diff import Change
    from inspector.analysis.route import Route
    from inspector.api.audit import Audit
    from inspector.model.answer import AnyAnswer
    from inspector.model.snapshot import Snapshot


class Target(Closing):
    """A machine: live, dumped, logged or simulated. A context manager: leaving it leaves the machine as it was found.

    Made by `vtdpi.open`, `vtdpi.live` and `vtdpi.sim`.
    """

    def __init__(self, options: Options, *, symbols: str | None = None, profile: str | None = None) -> None:
        opened = partial(open_target, options), partial(look_ahead, options)
        self._session = Session(Opening(opened[0], symbols=symbols, profile=profile, look_ahead=opened[1]))
        self._session.target  # noqa: B018 - opened here, so that what cannot be opened is said here

    def __repr__(self) -> str:
        return f"<{self.description}>"

    def _repr_html_(self) -> str:
        """What a notebook cell prints: what `info` tells."""
        return self.run("info")._repr_html_()

    @property
    def description(self) -> str:
        """What it is, in words."""
        return self._session.target.description

    @property
    def notes(self) -> tuple[str, ...]:
        """What its reader should know, such as that a dump is cut short, a line each."""
        return (*self._session.target.warnings, *self._session.inspection.notes)

    def snapshot(self) -> Snapshot:
        """Everything that one look at the machine tells, of one moment.

        Raises:
            TargetError: it runs, or was lost.
        """
        with self._session.lock:
            self._check_stopped()
            return self._session.inspection.snapshot

    def audit(self, *, rule: str = "") -> Audit:
        """What is wrong with the machine as it stands, by every rule or by one.

        Raises:
            TargetError: it runs, or was lost.
            UsageError: there is no such rule.
        """
        from inspector.api.audit import audit

        return audit(self.snapshot(), rule=rule)

    def assert_no_bugs(self, *, rule: str = "") -> None:
        """Raises BugsFound if anything is certainly wrong with the machine as it stands; else as `audit`."""
        self.audit(rule=rule).assert_no_bugs()

    def route(self, start: str, *, unit: int | None = None) -> list[Route]:
        """Interrupts end to end, from a device (`03:00.0`), an entry (`irte 0x18`), a pin (`ioapic 4`) or a vCPU.

        Raises:
            UsageError: there is no such start.
            NotHere: this target cannot tell.
        """
        from inspector.analysis.route import routes
        from inspector.commands.route import selection

        snapshot = self.snapshot()
        return routes(snapshot, selection(snapshot, start.split())[0], unit)

    def diff(self, before: Target | Snapshot) -> list[Change]:
        """What has changed since an earlier look at the machine, field by field."""
        from inspector.analysis.diff import diff

        return diff(before.snapshot() if isinstance(before, Target) else before, self.snapshot())

    def across(self, line: int | Literal["s3"] = "s3") -> list[Change]:
        """What a console log says after a line that it did not say before, by default its last wake-up from sleep.

        Raises:
            UsageError: it is no console log, or one of a machine that did not sleep, or that ends before.
        """
        from inspector.analysis.diff import diff
        from inspector.commands.diff import WAKE_UP, parted

        return diff(*parted(self._session.target, WAKE_UP if line == "s3" else line))

    def run(self, line: str) -> AnyAnswer:
        """A command, as one types it at the prompt: `irt --posted`, or (sim) `post 00:03.0 1`.

        The answer has the `document` that `--json` prints, and prints itself in a notebook.

        Raises:
            UsageError: there is no such command, or it does not take these words.
            VtdpiError: the target could not be read.
        """
        from inspector.shell.line import parse

        return self._session.ask(parse(line).words).answer

    def stop(self) -> None:
        """Stop a live machine. Raises NotHere if this one does not run of itself."""
        self._controlled().stop()

    def cont(self) -> None:
        """Let a live machine run. Raises NotHere if this one does not run of itself."""
        self._controlled().cont()

    def close(self) -> None:
        """Leave the machine as it was found. Safe to call twice."""
        self._session.close()

    def _controlled(self) -> Control:
        from inspector.commands.control import control

        return control(self._session.inspection)

    def _check_stopped(self) -> None:
        if is_running(self._session.target):
            raise TargetError(f"{self.description} is running: stop() it to read it")


def open(
    path: str | os.PathLike[str],
    *more: str | os.PathLike[str],
    symbols: str | None = None,
    profile: str | None = None,
    boot: int | None = None,
    hole: str | None = None,
) -> Target:
    """A memory dump, a saved snapshot or a console log.

    Args:
        path: the file; what it is is told by what is in it.
        more: the other parts of a split kdump (default: found beside it).
        symbols: the xen-syms of this Xen (default: found by its build-id).
        profile: a profile: a file, a version, or the start of a build-id.
        boot: which boot of a log that holds several, from 1 (default: the last).
        hole: how much of a raw image lies below 4 GiB, such as `2G`; `0` if all does (default: found by itself).

    Raises:
        TargetError: it cannot be read, or is nothing that vtdpi knows.
    """
    options = DumpOptions(os.fspath(path), boot, hole, tuple(os.fspath(part) for part in more))
    return Target(options, symbols=symbols, profile=profile)


def live(
    address: str = "127.0.0.1:1234",
    *,
    qmp: str | None = None,
    gdb: str = "gdb",
    symbols: str | None = None,
    profile: str | None = None,
) -> Target:
    """A Xen that runs under QEMU, which is stopped while it is looked at.

    Args:
        address: of QEMU's gdb stub; `bochs:NAME` for a lab of that kind.
        qmp: QEMU's QMP unix socket, for faster bulk reads.
        gdb: the gdb to run.
        symbols, profile: as for `open`.

    Raises:
        TargetError: nobody listens there, or it is no machine.
    """
    return Target(LiveOptions(address, qmp, gdb), symbols=symbols, profile=profile)


def sim(
    scenario: str | None = None, *, seed: int = 0, version: str = "current", profile: str | None = None, steps: int = 0
) -> Target:
    """A simulated machine, on which Xen's posted-interrupt logic runs.

    Args:
        scenario: a bundled one's name, or a TOML file (default: one-device).
        seed: of the order in which things happen.
        version: whose logic: `current`, `seed` or `4.21`.
        profile: which Xen's layout: a bundled version or build-id, or a file.
        steps: so many are done first.

    Raises:
        UsageError: there is no such scenario, version or profile.
    """
    return Target(SimOptions(scenario, seed, version, profile, steps=steps))
