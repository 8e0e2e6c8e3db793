"""Where a simulated machine is to stop on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import argument, flag, option
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.simulation import EXAMPLE, simulation
from inspector.commands.stops import stop_at
from inspector.model.answer import Answer, Table, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents


@frozen
class Where:
    """Where to stop."""

    words: tuple[str, ...] = argument(
        "a function, or a condition", metavar="FUNCTION | COMMAND ... SIGN VALUE", rest=True
    )


@command(
    Where,
    Example("sim", "break vmx_vcpu_block\nrun\nvcpus", "where a vCPU is about to block"),
    Example("sim", f"break {EXAMPLE}\nrun\nbreaks", "when somebody posts to it"),
    name="break",
)
def break_(inspection: Inspection, arguments: Where) -> Answer[documents.Breaks]:
    """Have the simulated machine stop where a function of Xen is entered, or when something becomes so.

    The function is one that `step` prints; the condition is as `expect` has it. `step`, `run` and orders stop there,
    after the step that did it. A condition that is so already has to end first. `breaks` lists them all.
    """
    target = simulation(inspection)
    made = stop_at(inspection, target, arguments.words)
    number = target.breaks.add(made)
    now = f" (now: {made.missing})" if made.missing else " (it is so now, and has to end first)" if made.held else ""
    return Answer(_document(inspection), [Text(f"break {number}: {made.words}{now}")])


@frozen
class Which:
    """Which go."""

    delete: tuple[int, ...] = option("take away that one", (), metavar="NUMBER")
    clear: bool = flag("take away all")


@command(Which, Example("sim", "break vmx_vcpu_block\nbreaks\nbreaks --delete 1"))
def breaks(inspection: Inspection, arguments: Which) -> Answer[documents.Breaks]:
    """Where the simulated machine stops on its way, and how often it did; see `break`."""
    found = simulation(inspection).breaks
    known = [number for number, _ in found]
    for number in arguments.delete:
        if number not in known:
            raise UsageError(f"there is no break {number}; `breaks` lists them", expected=known, found=number)
    for number in dict.fromkeys(arguments.delete):
        found.delete(number)
    if arguments.clear:
        found.clear()
    if not found:
        return Answer(_document(inspection), [Text("no breaks")])
    rows = [(str(number), each.words, str(each.hits)) for number, each in found]
    return Answer(
        _document(inspection), [Table(("BREAK", "WHERE", "HITS"), rows, numeric=frozenset({"BREAK", "HITS"}))]
    )


def _document(inspection: Inspection) -> documents.Breaks:
    found = simulation(inspection).breaks
    return {
        "breaks": [
            {
                "number": number,
                "kind": "function" if each.is_function else "condition",
                "where": each.words,
                "hit_count": each.hits,
            }
            for number, each in found
        ]
    }
