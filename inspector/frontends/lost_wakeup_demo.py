"""A lost wakeup on one page: it happens in a real Xen, is named, traced store by store, and found again in the model;
what mends it there; and that it never happens without posting. All by the commands that a user would give."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inspector.lab import LabError

LAB, CONTROL = "demo", "demo-control"
SLEEPER = "d1v2"
"""The vCPU of the guest `ipi` that an IPI wakes, and nothing else."""
LOST = "an IPI is lost"
"""What the guest says then."""
TRACES, TRACE_SECONDS, STILL = 10, 120, 4
"""How often it is traced at most, for how long, and until nothing changes for how long: nobody stores to a vCPU that
sleeps for ever."""
CONTROL_SECONDS = 20
"""So long the control runs: undisturbed, hundreds of times what the traced machine gets done until one is lost."""
CONTROL_STORES = 6
"""So many stores tell that the vCPU of the control is still woken."""
PROPERTY = "no stranded interrupt"
REPAIRS = ("repair-linux-sn", "repair-wake-all", "repair-wakeup-kicks")
LEFT_OUT = "..."

Choose = Callable[[list[str]], list[str]]
"""Which lines of a command's output are shown."""


def demonstrate() -> None:
    """Print the page, in two to three minutes. Nothing is left running.

    Raises:
        LabError: something was not as it has to be; the line says what.
        VtdpiError: a lab cannot be started or read.
    """
    with _ends(LAB, CONTROL), tempfile.TemporaryDirectory() as directory:
        print(f"# A vCPU sleeps for ever on an interrupt that was posted to it (hazard H-A)\n\n{WHAT}")
        trace = str(Path(directory) / "trace.jsonl")
        _do("lab", "up", "--hvm", "--guest", "ipi", "--stopped", "--name", LAB)
        _trace_until_lost(trace)
        _do("live", f"bochs:{LAB}", "audit", "D5", status=1)
        _say("The stores that led to it, and whether the model can make each of them:")
        said = _do("coverage", trace, "--stores", SLEEPER, show=_from(r"changes are such as"))
        if "are not" in said:
            raise LabError("the model cannot make each of the stores that were seen")
        _say("The same in the model, where a device posts:")
        _do("explore", "h-a", "--show", PROPERTY, status=1, show=_history)
        _do("explore", "h-a", "--repair", REPAIRS[0], status=1, show=_rows("holds"))
        _say("What Linux does holds for this one. The scenario has another hazard (H-O); with all three repairs:")
        words = [word for repair in REPAIRS for word in ("--repair", repair)]
        _do("explore", "h-a", *words, show=_rows("holds", every=True))
        _do("lab", "down", LAB, quiet=True)
        _say("The control: the same guest on the same Xen, posting as Xen has it where there is no VT-d unit, off:")
        _control()


WHAT = """\
Real: Debian's Xen 4.20, VMX, APICv and posts by software. Not real: there is no VT-d unit, so posting was switched on
by hand in memory. Not confirmed by the Xen project, and not seen on real hardware."""
STEP = re.compile(r" *\d+ .*(d1v0 (sn|pir|on) |post |preempt |d1v0 in guest 0 -> 1)")
"""A step of a history that somebody outside Xen does, or that changes what a post to the vCPU meets."""
TEMPORARY = tempfile.gettempdir()


def _trace_until_lost(trace: str) -> None:
    words = ["live", f"bochs:{LAB}", "trace", SLEEPER, "--seconds", str(TRACE_SECONDS), "--still", str(STILL)]
    words += ["--count", "100000", "--output"]
    seen = None
    for number in range(TRACES):
        path = f"{trace}.{number}"
        said, _ = _quietly([*words, path])
        # It may be lost, and a CPU where that cannot be told for certain: then it runs on, and nothing more is seen.
        if not said.startswith("0 transitions"):
            seen = said
            Path(path).replace(trace)
        if seen and _quietly(["live", f"bochs:{LAB}", "audit", "D5"])[1] == 1:
            _print([*words, trace], seen, lambda lines: [*lines[:3], LEFT_OUT, *lines[-4:]])
            return
    raise LabError(f"no wakeup was lost in {TRACES} traces")


def _control() -> None:
    from inspector.lab import labs

    _do("lab", "up", "--hvm", "--guest", "ipi", "--no-posting", "--name", CONTROL)
    lab = labs.find_hvm(CONTROL)
    end = time.monotonic() + CONTROL_SECONDS
    while time.monotonic() < end:
        if LOST in lab.console.read_text(errors="replace"):
            raise LabError(f"the control lost one too: {lab.console}")
        time.sleep(0.2)
    _do("live", f"bochs:{CONTROL}", "audit", "D5", show=lambda lines: lines[:1])
    said = _do("live", f"bochs:{CONTROL}", "trace", SLEEPER, "--count", str(CONTROL_STORES), "--seconds", "60")
    if f"{CONTROL_STORES} transitions" not in said:
        raise LabError("the vCPU of the control is not woken any more")
    _say(f"That was {CONTROL_SECONDS} s later: it is still woken.")


def _do(*words: str, status: int = 0, show: Choose = list, quiet: bool = False) -> str:
    """Give a command and print it with what it prints; that. Raises LabError if its exit status is another one."""
    said, found = _quietly(words)
    if found != status:
        raise LabError(f"`{_command(words)}` ended with status {found}, not {status}: {said.strip()[-200:]}")
    if not quiet:
        _print(words, said, show)
    return said


def _quietly(words: Sequence[str]) -> tuple[str, int]:
    """What a command prints, and its exit status."""
    from inspector.frontends.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main(words)
    return said.getvalue(), status


def _print(words: Sequence[str], said: str, show: Choose) -> None:
    lines = show([line.rstrip() for line in said.rstrip().splitlines()])
    print(f"\n$ {_command(words)}", *lines, sep="\n", flush=True)


def _command(words: Sequence[str]) -> str:
    return "vtdpi " + shlex.join(Path(word).name if word.startswith(TEMPORARY) else word for word in words)


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def _from(pattern: str) -> Choose:
    """From the line on that has this."""

    def chosen(lines: list[str]) -> list[str]:
        first = next((at for at, line in enumerate(lines) if re.search(pattern, line)), 0)
        return [LEFT_OUT, *lines[first:]] if first else lines

    return chosen


def _rows(verdict: str, every: bool = False) -> Choose:
    """The rows of properties: that of ours, or every one; all of them have to have this verdict."""

    def chosen(lines: list[str]) -> list[str]:
        rows = [line for line in lines if re.match(r"(always|eventually|at rest) ", line)]
        mine = [row for row in rows if every or PROPERTY in row]
        if not mine or not all(re.search(rf"  {verdict}", row) for row in mine):
            raise LabError(f"expected {PROPERTY!r}{' and every other property' if every else ''}: {verdict}")
        return [LEFT_OUT, *mine, LEFT_OUT]

    return chosen


def _history(lines: list[str]) -> list[str]:
    """That it is broken, and the steps that change the descriptor of the vCPU that suffers, with what comes of it."""
    kept = _rows("broken")(lines)
    end = next(at for at, line in enumerate(lines) if line == "after the last step")
    return [*kept, *(line for line in lines[:end] if STEP.match(line)), LEFT_OUT, *lines[end:]]


@contextmanager
def _ends(*names: str) -> Iterator[None]:
    """Take these labs down at the end, whatever comes."""
    from inspector.lab import labs

    try:
        yield
    finally:
        for lab in labs.running():
            if lab.name in names:
                lab.down()
        sys.stdout.flush()
