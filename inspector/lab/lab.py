"""A running lab: start it, find it again, ask Xen's debug keys, take it down."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspector.base.errors import TargetError
from inspector.base.new_file import replacing
from inspector.lab import (
    LabError,
    Say,
    boot,
    capture,
    console,
    crash,
    initrd,
    kernel,
    machine,
    process,
    qemu,
    silent,
    state,
    uefi,
    xen,
)
from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp
from structs.frozen import frozen

CONSOLE = "console.log"
"""The console's file in a lab's directory. Its path, given to no other program, tells a lab's QEMU from others."""
ALONE_LIMIT = 60.0
DOM0_LIMIT = 180.0
"""Seconds after which a Xen that is not up never will be, also on a slow and busy machine."""


@frozen
class Lab:
    """A Xen in a QEMU that runs on its own. As a context manager it is taken down at the end.

    Attributes:
        name: what `find` and the command line know it by.
        pid: QEMU's.
        gdb: address of QEMU's gdb stub, `127.0.0.1:PORT`.
        qmp: QEMU's QMP socket, free for one client; the lab itself uses `control`.
        serial: the pipe (a FIFO) that Xen's console takes keys from. All that Xen printed is in the file `console`.
        image, symbols: the Xen that runs, and its xen-syms if there is one; for a capture, its file and none.
        dom0: whether it has one.
        linux: the version of the Linux that runs in place of a Xen; `image` is its bzImage. Empty if a Xen does.
    """

    name: str
    pid: int
    gdb: str
    qmp: Path
    control: Path
    serial: Path
    console: Path
    image: Path
    symbols: Path | None
    dom0: bool
    linux: str = ""

    @classmethod
    def up(cls, recipe: Recipe, say: Say = silent, timeout: float = 0.0) -> Self:
        """Start a lab and wait until Xen (and its dom0) is up. If that fails, or is interrupted, nothing stays behind.

        Args:
            say: told about each step that takes time.
            timeout: seconds to wait for Xen; 0 for what is plenty on a slow machine.

        Raises:
            LabError: something is missing, or Xen did not come up; the message ends with the console's last lines.
        """
        program = qemu.command(recipe.qemu, say)
        build = _chosen(recipe, say)
        # What a lab of that name has left, whose QEMU died, is in nobody's way.
        cls.all()
        with state.claimed(recipe.name, build.name + ("-dom0" if recipe.dom0 else "")) as directory:
            try:
                return cls._start(directory, recipe, program, build, say, timeout)
            except BaseException:
                _clear(directory)
                raise

    @classmethod
    def all(cls) -> list[Self]:
        """The running labs, by name. What dead ones, or a start that was killed, left behind is removed."""
        labs = []
        for directory in state.directories():
            if "kind" in (state.load(directory) or {}):
                continue  # of another kind
            lab = cls._load(directory)
            if lab and lab.is_running():
                labs.append(lab)
            elif not state.is_starting(directory):
                _clear(directory)
        return labs

    @classmethod
    def find(cls, name: str = "") -> Self:
        """The running lab of that name, or the only one.

        Raises:
            LabError: there is none, or no name was given and there are several.
        """
        labs = cls.all()
        names = ", ".join(lab.name for lab in labs) or "none"
        if not name and len(labs) > 1:
            raise LabError(f"several labs are running: name one of {names}")
        for lab in labs:
            if name in ("", lab.name):
                return lab
        raise LabError(f"no lab {name} is running (running: {names})" if name else "no lab is running: `vtdpi lab up`")

    def record(self) -> dict[str, Any]:
        """The attributes as JSON has them."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    def is_running(self) -> bool:
        """Whether its QEMU is alive."""
        return process.is_given(self.pid, self.console)

    def wait(self, say: Say = silent, timeout: float = 0.0) -> None:
        """Wait, as `up` does, for a lab that was started stopped and has been continued.

        Raises:
            LabError: Xen did not come up.
        """
        self._wait(self._deadline(timeout), say)

    def _wait(self, deadline: float, say: Say) -> None:
        if self.linux:
            boot.wait_until_linux_is_up(self.pid, self.console, deadline, say)
        else:
            boot.wait_until_up(self.pid, self.console, self.dom0, deadline, say)

    def keys(self, key: str, timeout: float = 10.0) -> str:
        """What Xen prints for a debug key (`V`: interrupt remapping), as whole console lines.

        Raises:
            LabError: Xen does not answer; the message says why, as far as one can tell.
        """
        if why := self._why_silent():
            raise LabError(f"Xen cannot answer: {why}")
        try:
            return console.ask(self.console, key, timeout)
        except LabError as error:
            raise LabError(f"{error}; its last lines: {console.last_lines(self.console)}") from error

    def crash(self, path: Path, form: str = "elf", say: Say = silent) -> None:
        """Crash its Xen and write what is left of it to `path`; the lab is down then.

        Args:
            form: one of `inspector.lab.crash.FORMS`.

        Raises:
            LabError: it was not started with a crash kernel, or no dump came of it.
        """
        disk = self.console.parent / crash.DISK
        if not disk.exists():
            raise LabError(f"{self.name} has no crash kernel: start it with `vtdpi lab up --crash`")
        crash.ask_for(disk, form)
        before = self.console.stat().st_size
        if why := self._why_silent():
            raise LabError(f"Xen cannot be crashed: {why}")
        say(f"crashing {self.name}")
        console.press(self.console, crash.KEY)
        size = crash.wait(self.console, before, self.is_running, say)
        with replacing(path) as file:
            crash.copy(disk, size, form, file)
        self.down()

    def down(self) -> None:
        """End its QEMU and remove what it has on disk.

        Raises:
            LabError: QEMU cannot be ended.
        """
        if self.is_running():
            with suppress(TargetError), Qmp(self.control, timeout=1.0) as qmp:
                qmp.execute("quit")
                process.end(self.pid, self.console, grace=2.0)
        _clear(self.console.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.down()

    @classmethod
    def _start(
        cls, directory: Path, recipe: Recipe, program: list[str], build: xen.Build, say: Say, timeout: float
    ) -> Self:
        sockets = state.socket_directory(directory, "control")
        lab = cls(
            name=directory.name,
            pid=0,
            gdb=str(sockets / "gdb"),
            qmp=sockets / "qmp",
            control=sockets / "control",
            serial=console.create(directory / CONSOLE),
            console=directory / CONSOLE,
            image=build.image
            if recipe.capture or recipe.uefi or recipe.linux
            else xen.loadable(build.image, directory),
            symbols=build.symbols,
            dom0=recipe.dom0,
            linux=recipe.linux,
        )
        if recipe.capture:
            memory = capture.expand(recipe.capture, directory)
            words = machine.capture_line(recipe, lab, directory / capture.RAM, memory)
        elif recipe.linux:
            words = machine.command_line(
                recipe, lab, machine.direct(recipe, initrd.write_linux(directory, recipe, say))
            )
        else:
            modules = initrd.write(directory, recipe, say)
            start = machine.multiboot(recipe, lab, modules)
            if recipe.uefi:
                start = uefi.words(uefi.write(directory, lab.image, machine.xen_options(recipe), modules, say))
            words = machine.command_line(recipe, lab, start)
        say(f"starting {lab.name}")
        deadline = lab._deadline(timeout)
        pid = boot.spawn(program + words, lab.console)
        boot.wait_for_monitor(pid, lab.control, lab.console, deadline)
        lab = replace(lab, pid=pid)
        lab._save()
        if not (recipe.stopped or recipe.capture):
            lab._wait(deadline, say)
        return lab

    @classmethod
    def _load(cls, directory: Path) -> Self | None:
        record = state.load(directory) or {}
        try:
            paths = {key: Path(record[key]) for key in ("qmp", "control", "serial", "console", "image")}
            symbols = Path(record["symbols"]) if record["symbols"] else None
            return cls(
                name=directory.name,
                pid=int(record["pid"]),
                gdb=str(record["gdb"]),
                symbols=symbols,
                dom0=bool(record["dom0"]),
                linux=str(record.get("linux", "")),
                **paths,
            )
        except (KeyError, TypeError, ValueError):
            return None

    def _deadline(self, timeout: float) -> float:
        slow = self.dom0 or self.linux or (self.console.parent / uefi.PARTITION).is_dir()
        return time.monotonic() + (timeout or (DOM0_LIMIT if slow else ALONE_LIMIT))

    def _save(self) -> None:
        state.save(self.console.parent, self.record())

    def _why_silent(self) -> str:
        """Why Xen can answer no key, if one can tell."""
        if self.linux:
            return f"a Linux {self.linux} runs here and no Xen"
        if not self.is_running():
            return "its QEMU has ended"
        with Qmp(self.control) as qmp:
            status = qmp.status().status
        if status != "running":
            return f"the machine is stopped ({status}); continue it first"
        if boot.PANIC.search(self.console.read_bytes()):
            return "it has panicked and halted" + (
                "" if self.dom0 else " for want of a dom0; use `vtdpi lab up --dom0`"
            )
        return ""


def _chosen(recipe: Recipe, say: Say) -> xen.Build:
    """What a recipe starts. Raises LabError if it cannot be had."""
    if not recipe.linux:
        return xen.chosen(recipe, say)
    return xen.Build(f"linux-{recipe.linux}", kernel.linux(recipe.linux, say) / "vmlinuz", None)


def _clear(directory: Path) -> None:
    """End what runs of a lab and remove all it has on disk."""
    mark = directory / CONSOLE
    for pid in process.given(mark):
        if not process.end(pid, mark):
            raise LabError(f"QEMU (process {pid}) of the lab {directory.name} does not end, even when killed")
    state.remove(directory)
