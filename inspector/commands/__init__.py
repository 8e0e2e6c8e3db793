"""The commands, one a module: the CLI, the REPL and the gdb plugin all show this one table.

A command's module has `arguments(parser)`, which declares its options, and `run(look, options)`, which answers. The
module's docstring is its help. `WHILE_RUNNING = True` if it needs no machine that stands still.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model.answer import Answer

COMMANDS = {
    "info": "what is this target",
    "irt": "the interrupt-remapping tables",
    "irte": "one entry of them, bit by bit",
    "vcpus": "every vCPU: run state, descriptor, blocking list, situation",
    "pi": "one posted-interrupt descriptor, and what a post does now",
    "blocked": "the per-CPU lists of blocked vCPUs",
    "route": "one interrupt end to end: entry, descriptor, vCPU, list",
    "audit": "what is wrong with it",
    "explain": "what a rule of the audit means",
    "save": "all of it to a file",
    "report": "one page, or a picture, about all of it",
    "diff": "what changed between two",
    "regs": "the VT-d registers",
    "queue": "the invalidation queues",
    "faults": "the fault status and records",
    "dmar": "the ACPI DMAR table",
    "ioapic": "the IO-APICs' redirection tables",
    "step": "(sim) do one atomic action, or several, and say what each did",
    "run": "(sim) let it run",
    "post": "(sim) a device, or software, posts an interrupt",
    "block": "(sim) the guest halts a vCPU",
    "wake": "(sim) unpause a vCPU, or send it an event",
    "sleep": "(sim) pause a vCPU",
    "preempt": "(sim) end a vCPU's time slice",
    "migrate": "(sim) move a vCPU to another CPU",
    "offline": "(sim) a CPU goes offline, or comes back",
    "assign": "(sim) give a device to a domain",
    "deassign": "(sim) take a device away from its domain",
    "core": "(sim) its memory as an ELF core",
    "stop": "stop the machine, so that it can be read",
    "cont": "let the machine run",
    "watch": "a live table: vCPUs, descriptors, lists, what changed",
    "trace": "every transition of a descriptor, as it happens",
    "expect": "fail unless a command answers as expected",
}


class Command(Protocol):
    """What a command's module offers."""

    __doc__: str

    @staticmethod
    def arguments(parser: ArgumentParser) -> None:
        """Declare the command's options."""

    @staticmethod
    def run(inspection: Inspection, options: Namespace) -> Answer:
        """Answer, from one look at the machine. Raises VtdpiError if nothing of it could be read."""


def command(name: str) -> Command:
    """The module of a command that stands in COMMANDS."""
    return cast(Command, import_module(f"inspector.commands.{name}"))
