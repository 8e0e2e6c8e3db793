"""The commands. The command line, the prompt and the plugin in gdb all show this one list."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from keyword import iskeyword

from inspector.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint

    from inspector.commands.command import Command

GROUP = "vtdpi.commands"
"""The entry points by which other packages add commands: the command's name = its module and function."""


BUILT_IN: Mapping[str, str] = {
    "info": "what is this target",
    "irt": "the interrupt-remapping tables",
    "irte": "one entry of them, bit by bit",
    "vcpus": "every vCPU: run state, descriptor, blocking list, situation",
    "pi": "one posted-interrupt descriptor, and what a post does now",
    "blocked": "the per-CPU lists of blocked vCPUs",
    "irqs": "every interrupt in one table: source, irq, entry, vector, who takes it, what holds it",
    "cpus": "what each CPU does: idle, a guest, or a function of Xen",
    "route": "one interrupt end to end: entry, descriptor, vCPU, list",
    "audit": "what is wrong with it",
    "explain": "what a rule, situation, hazard, mended bug or field means",
    "save": "all of it to a file",
    "report": "one page, or a picture, about all of it",
    "snapshot": "keep all of it under a name, for `diff NAME`",
    "diff": "what changed between two",
    "regs": "the VT-d registers",
    "queue": "the invalidation queues",
    "faults": "the fault status and records",
    "dmar": "the ACPI DMAR table",
    "ioapic": "the IO-APICs' redirection tables",
    "step": "(sim) do one atomic action, or several, and say what each did",
    "run": "(sim) let it run",
    "break": "(sim) stop at a function of Xen, or when something becomes so",
    "breaks": "(sim) where it stops",
    "undo": "(sim) be as before the last command that moved it",
    "goto": "(sim) be at an earlier or later step",
    "post": "(sim) a device, or software, posts an interrupt",
    "block": "(sim) the guest halts a vCPU",
    "wake": "(sim) unpause a vCPU, or send it an event",
    "sleep": "(sim) pause a vCPU",
    "preempt": "(sim) end a vCPU's time slice",
    "migrate": "(sim) move a vCPU to another CPU",
    "offline": "(sim) a CPU goes offline, or comes back",
    "assign": "(sim) give a device to a domain",
    "deassign": "(sim) take a device away from its domain",
    "checkpoint": "(sim) the whole machine to a file, for `sim --load`",
    "core": "(sim) its memory as an ELF core",
    "stop": "stop the machine, so that it can be read",
    "cont": "let the machine run",
    "watch": "a live table: vCPUs, descriptors, lists, what changed",
    "trace": "every transition of a descriptor, as it happens",
    "expect": "fail unless a command answers as expected",
}
"""Our own commands, and what each is for, in a few words. They are loaded when they are needed."""

HOMES: Mapping[str, str] = {
    **dict.fromkeys(("step", "run", "core", "checkpoint", "post", "block", "wake", "sleep", "preempt"), "simulation"),
    **dict.fromkeys(("migrate", "offline", "assign", "deassign"), "simulation"),
    **dict.fromkeys(("undo", "goto"), "rewind"),
    "break": "breaks",
    **dict.fromkeys(("stop", "cont"), "control"),
}
"""The module of a command, where it is not the one of its name."""


@cache
def added() -> Mapping[str, EntryPoint]:
    """The commands of other packages, by name; one of our own keeps its name."""
    from inspector.base import entry_points

    return {each.name: each for each in entry_points.of_group(GROUP) if each.name not in BUILT_IN}


def is_command(name: str) -> bool:
    """Whether there is such a command."""
    return name in BUILT_IN or name in added()


def names() -> Iterator[str]:
    """All commands' names: ours, then those of other packages."""
    yield from BUILT_IN
    yield from added()


def summaries() -> dict[str, str]:
    """What each command is for, in a few words. Those of other packages are loaded for it."""
    return {**BUILT_IN, **{name: _summary(name) for name in added()}}


@cache
def load(name: str) -> Command:
    """A command.

    Raises:
        UsageError: there is none of that name, or what another package names so is none.
    """
    if name in BUILT_IN:
        module = import_module(f"inspector.commands.{HOMES.get(name, name)}")
        found: Command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return found
    if name in added():
        return _loaded(added()[name])
    from difflib import get_close_matches

    known = tuple(names())
    near = get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]}?" if near else None
    said = f"{advice} No command is called {name!r}" if advice else f"no command {name!r}"
    raise UsageError(f"{said}; `help` lists them", expected=known, found=name, advice=advice)


def _loaded(entry: EntryPoint) -> Command:
    from inspector.commands.command import Command

    try:
        found = entry.load()
    except Exception as error:
        raise UsageError(f"the command {entry.name} of {entry.value} cannot be loaded: {error!r}") from None
    if not isinstance(found, Command):
        raise UsageError(f"{entry.value} is no command; expected a function with @vtdpi.command, found {found!r}")
    return found


def _summary(name: str) -> str:
    try:
        return load(name).summary
    except UsageError as error:
        return f"({error})"
