"""The commands. The command line, the prompt and the plugin in gdb all show this one list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from inspector.base.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from inspector.commands.command import Command

GROUP = "vtdpi.commands"
"""The entry points by which other packages add commands: the command's name = its module and function."""


@dataclass(frozen=True)
class Listed:
    """A command that is not loaded yet: its summary, and the module that has it, if not the one of its name."""

    summary: str
    module: str = ""


BUILT_IN: Mapping[str, Listed] = {
    "info": Listed("what is this target"),
    "irt": Listed("the interrupt-remapping tables"),
    "irte": Listed("one entry of them, bit by bit"),
    "vcpus": Listed("every vCPU: run state, descriptor, blocking list, situation"),
    "pi": Listed("one posted-interrupt descriptor, and what a post does now"),
    "blocked": Listed("the per-CPU lists of blocked vCPUs"),
    "irqs": Listed("every interrupt in one table: source, irq, entry, vector, who takes it, what holds it"),
    "cpus": Listed("what each CPU does: idle, a guest, or a function of Xen"),
    "route": Listed("one interrupt end to end: entry, descriptor, vCPU, list"),
    "audit": Listed("what is wrong with it"),
    "explain": Listed("what a rule of the audit means"),
    "save": Listed("all of it to a file"),
    "report": Listed("one page, or a picture, about all of it"),
    "diff": Listed("what changed between two"),
    "regs": Listed("the VT-d registers"),
    "queue": Listed("the invalidation queues"),
    "faults": Listed("the fault status and records"),
    "dmar": Listed("the ACPI DMAR table"),
    "ioapic": Listed("the IO-APICs' redirection tables"),
    "step": Listed("(sim) do one atomic action, or several, and say what each did", "simulation"),
    "run": Listed("(sim) let it run", "simulation"),
    "post": Listed("(sim) a device, or software, posts an interrupt", "orders"),
    "block": Listed("(sim) the guest halts a vCPU", "orders"),
    "wake": Listed("(sim) unpause a vCPU, or send it an event", "orders"),
    "sleep": Listed("(sim) pause a vCPU", "orders"),
    "preempt": Listed("(sim) end a vCPU's time slice", "orders"),
    "migrate": Listed("(sim) move a vCPU to another CPU", "orders"),
    "offline": Listed("(sim) a CPU goes offline, or comes back", "orders"),
    "assign": Listed("(sim) give a device to a domain", "orders"),
    "deassign": Listed("(sim) take a device away from its domain", "orders"),
    "core": Listed("(sim) its memory as an ELF core", "simulation"),
    "stop": Listed("stop the machine, so that it can be read", "control"),
    "cont": Listed("let the machine run", "control"),
    "watch": Listed("a live table: vCPUs, descriptors, lists, what changed"),
    "trace": Listed("every transition of a descriptor, as it happens"),
    "expect": Listed("fail unless a command answers as expected"),
}


@cache
def added() -> Mapping[str, EntryPoint]:
    """The commands of other packages, by name; one of our own keeps its name."""
    from importlib.metadata import entry_points

    return {each.name: each for each in entry_points(group=GROUP) if each.name not in BUILT_IN}


def is_command(name: str) -> bool:
    """Whether there is such a command."""
    return name in BUILT_IN or name in added()


def names() -> Iterator[str]:
    """All commands' names: ours, then those of other packages."""
    yield from BUILT_IN
    yield from added()


def summaries() -> dict[str, str]:
    """What each command is for, in a few words. Those of other packages are loaded for it."""
    return {name: listed.summary for name, listed in BUILT_IN.items()} | {name: _summary(name) for name in added()}


@cache
def load(name: str) -> Command:
    """A command.

    Raises:
        UsageError: there is none of that name, or what another package names so is none.
    """
    if name in BUILT_IN:
        module = import_module(f"inspector.commands.{BUILT_IN[name].module or name}")
        found: Command = getattr(module, name)
        return found
    if name in added():
        return _loaded(added()[name])
    near = get_close_matches(name, names(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no command {name!r}; there are {', '.join(names())}{hint}")


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
