"""The VT-d registers of each unit.

vtdpi live regs                    all of them, the fields that are set
vtdpi live regs ecap               one register, field by field
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands import record_fields as fields
from inspector.commands.arguments import add_unit, each_unit
from inspector.model.answer import Answer, Block, Table
from inspector.vtd.units import Unit
from structs.registers import BY_NAME, REGISTERS


def arguments(parser: ArgumentParser) -> None:
    add_unit(parser)
    parser.add_argument("name", nargs="?", metavar="REGISTER", help="one register, by its mnemonic, such as ecap")


def run(inspection: Inspection, options: Namespace) -> Answer:
    if options.name and options.name.upper() not in BY_NAME:
        raise UsageError(f"no register {options.name!r}; there are {' '.join(name.lower() for name in BY_NAME)}")
    wanted = [BY_NAME[options.name.upper()]] if options.name else REGISTERS
    units = []
    blocks: list[Block] = []
    problems: list[str] = []

    def read(unit: Unit) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        return {r.name: unit.register(r.name) for r in wanted}, {r.name: unit.raw_register(r.name) for r in wanted}

    for unit, (values, raw) in each_unit(inspection, options, read, problems):
        registers = {r.name.lower(): {"value": raw[r.name], **r.record.visible(values[r.name])} for r in wanted}
        units.append({"index": unit.index, "register_base": unit.register_base, "registers": registers})
        title = f"unit {unit.index} at {unit.register_base:#x}"
        if options.name:
            one = wanted[0]
            title = f"{title}: {one.name} at offset {one.offset:#x} is {raw[one.name]:#x} ({one.record.source})"
            blocks.append(fields.table(one.record, values[one.name], title))
        else:
            rows = [
                (
                    f"{r.offset:#04x}",
                    r.name,
                    f"{raw[r.name]:0{r.size * 2}x}",
                    fields.set_fields(r.record, values[r.name]),
                )
                for r in wanted
            ]
            blocks.append(
                Table(("OFFSET", "REGISTER", "VALUE", "FIELDS THAT ARE SET"), rows, title, frozenset({"VALUE"}))
            )
    return Answer({"units": units}, blocks, [*inspection.problems, *problems])
