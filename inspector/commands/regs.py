"""The command `regs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import argument, option
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import RegisterName, UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import choose, why_of_unit
from inspector.model.answer import Answer, Block, Table
from structs.frozen import frozen
from structs.registers import BY_NAME, REGISTERS

if TYPE_CHECKING:
    from inspector.model import documents


@frozen
class Arguments:
    """What it takes."""

    unit: UnitNumber | None = option("only this VT-d unit")
    name: RegisterName | None = argument("one register, by its mnemonic, such as ecap", None)


@command(
    Arguments,
    Example("live", "regs", "all of them, the fields that are set"),
    Example("live", "regs ecap", "one register, field by field"),
)
def regs(inspection: Inspection, arguments: Arguments) -> Answer[documents.Regs]:
    """The VT-d registers of each unit."""
    if arguments.name and arguments.name.upper() not in BY_NAME:
        raise UsageError(f"no register {arguments.name!r}; there are {' '.join(name.lower() for name in BY_NAME)}")
    wanted = [BY_NAME[arguments.name.upper()]] if arguments.name else REGISTERS
    units: list[documents.UnitRegisters] = []
    blocks: list[Block] = []
    problems: list[str] = []

    snapshot = inspection.deferred
    for unit in choose(snapshot, arguments.unit):
        if not unit.registers:
            problems.append(why_of_unit(snapshot, unit, "registers"))
            continue
        raw = {register.name: register.value for register in unit.registers}
        if arguments.name and wanted[0].name not in raw:
            problems.append(f"{snapshot.target} does not tell {wanted[0].name} of {unit.name}")
            continue
        told = [r for r in wanted if r.name in raw]
        values = {r.name: r.record.values(raw[r.name]) for r in told}
        registers = {r.name.lower(): {"value": raw[r.name], **r.record.visible(values[r.name])} for r in told}
        units.append({"unit": unit.index, "register_base": unit.register_base, "registers": registers})
        title = f"{unit.name} at {unit.register_base:#x}"
        if arguments.name:
            one = wanted[0]
            title = f"{title}: {one.name} at offset {one.offset:#x} is {raw[one.name]:#x} ({one.record.source})"
            blocks.append(fields.table(one.record, values[one.name], title))
        else:
            rows = [
                (
                    f"{r.offset:#04x}",
                    r.name,
                    f"{raw[r.name]:#x}",
                    fields.set_fields(r.record, values[r.name]),
                )
                for r in told
            ]
            blocks.append(
                Table(("OFFSET", "REGISTER", "VALUE", "FIELDS THAT ARE SET"), rows, title, frozenset({"VALUE"}))
            )
    return Answer({"units": units}, blocks, problems, absent=snapshot.absences)
