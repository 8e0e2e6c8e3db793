"""One posted-interrupt descriptor, bit by bit, and what hardware would do with a post now.

vtdpi live pi 0x27bd2680           the descriptor at a physical address, such as a posted entry's PDA
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from inspector import fields
from inspector.answer import Answer, Facts, Text
from inspector.commands.arguments import number
from inspector.errors import UNREADABLE, UsageError
from inspector.look import Look
from structs.pi_desc import PI_DESC, ndst_apic_id, ndst_reserved_bits, vectors


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("address", type=number, metavar="ADDRESS", help="its physical address, a multiple of 64")


def run(look: Look, options: Namespace) -> Answer:
    if options.address % PI_DESC.size:
        raise UsageError(f"{options.address:#x} is no descriptor's address: it must be a multiple of {PI_DESC.size}")
    values = dict(PI_DESC.parse(look.target.read(options.address, PI_DESC.size)))
    pending = vectors(values["pir"])
    x2apic = _x2apic(look)
    document = {
        "address": options.address,
        **PI_DESC.visible(values),
        "pir": pending,
        "apic_id": None if x2apic is None else ndst_apic_id(values["ndst"], x2apic),
    }
    facts = Facts(
        [
            ("pending", ", ".join(f"{vector:#x}" for vector in pending) or "none"),
            ("notifies", f"vector {values['nv']:#x} at {_destination(values['ndst'], x2apic)}"),
            ("a post now", after_a_post(values)),
        ]
    )
    reserved = PI_DESC.reserved(values) or (x2apic is False and ndst_reserved_bits(values["ndst"], x2apic))
    warning = (
        [Text("Reserved bits are set: hardware refuses to post here (fault 0x28). Is it a descriptor?")]
        if reserved
        else []
    )
    return Answer(
        document,
        [fields.table(PI_DESC, values, f"PI descriptor at {options.address:#x}"), facts, *warning],
        look.problems,
    )


def after_a_post(values: Mapping[str, int]) -> str:
    """What the VT-d unit would do with a non-urgent post now (VT-d 5.2.3)."""
    if values["on"]:
        return "sets its PIR bit and sends nothing, for ON says that a notification is already on its way"
    if values["sn"]:
        return "sets its PIR bit only: SN suppresses the notification, and ON stays 0 (an urgent one would notify)"
    return f"sets its PIR bit and ON, and sends vector {values['nv']:#x}"


def _x2apic(look: Look) -> bool | None:
    """Whether NDST is in x2APIC form: by the units' EIME, where any can tell."""
    try:
        modes = {unit.table.eime for unit in look.units}
    except UNREADABLE:
        modes = set()
    if not modes and look.xen:
        modes = {look.xen.variable("x2apic_enabled", 1)}
    return bool(modes.pop()) if len(modes) == 1 else None


def _destination(ndst: int, x2apic: bool | None) -> str:
    if x2apic is None:
        wide, narrow = ndst_apic_id(ndst, x2apic=True), ndst_apic_id(ndst, x2apic=False)
        return f"APIC {wide:#x} if x2APIC, {narrow:#x} if xAPIC (the mode is not known here)"
    return f"APIC {ndst_apic_id(ndst, x2apic):#x} ({'x2APIC' if x2apic else 'xAPIC'} form)"
