"""The command `dmar`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from construct import ListContainer

from inspector.base.arguments import NoArguments
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.described_dmar import described
from inspector.commands.units import why
from inspector.model.answer import Answer, Facts, Table
from inspector.vtd.acpi import parsed
from structs.acpi import checksum
from structs.dmar import DMAR, NAMES, SCOPE_NAMES

HEX = frozenset({"base", "limit"})


@command(
    NoArguments,
    Example("live", "dmar"),
)
def dmar(inspection: Inspection, arguments: NoArguments) -> Answer:
    """The ACPI DMAR table: which VT-d units there are, which devices each serves, and what the firmware reserved."""
    found = inspection.deferred.dmar
    if found is None and inspection.deferred.described:
        return described(inspection.deferred)
    if found is None:
        raise NotHere(why(inspection.deferred, "dmar", f"{inspection.deferred.target} holds no ACPI DMAR table"))
    address, table = found.address, parsed(found)
    body = table["body"]
    sound = checksum(DMAR.build(table)) == 0
    structures = [
        {"type": structure["type"], "name": NAMES.get(structure["type"]), **_named(structure["body"])}
        for structure in body["structures"]
    ]
    document = {
        "address": address,
        "signature": table["signature"].decode("latin-1"),
        "host_address_width": body["haw"] + 1,
        "flags": _plain(body["flags"]),
        "checksum_ok": sound,
        "structures": structures,
        "undecoded": body["rest"].hex(),
    }
    flags = [name for name, value in body["flags"].items() if value]
    renamed = " (so renamed by Xen, to hide the units from dom0)" if table["signature"] != b"DMAR" else ""
    facts = Facts(
        [
            ("table", f"{document['signature']}{renamed} at {address:#x}, checksum {'good' if sound else 'WRONG'}"),
            ("host address width", f"{body['haw'] + 1} bits"),
            ("flags", ", ".join(flags) or "none"),
        ]
    )
    rows = [
        (structure["name"] or f"type {structure['type']}", _details(structure), _scopes(structure.get("scopes", ())))
        for structure in structures
    ]
    problems = []
    if body["rest"]:
        problems.append(f"the DMAR table at {address:#x} ends in {len(body['rest'])} bytes that are no sound structure")
    return Answer(
        document,
        [facts, Table(("STRUCTURE", "DETAILS", "SERVES"), rows)],
        problems,
        absent=inspection.deferred.absences,
    )


def _named(body: Any) -> dict[str, Any]:
    return {"bytes": body.hex()} if isinstance(body, bytes) else _plain(body)


def _plain(value: Any) -> Any:
    """Construct's containers as JSON has them: bytes in hex, and nothing of its own bookkeeping."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if not key.startswith("_")}
    if isinstance(value, list | ListContainer):
        return [_plain(part) for part in value]
    return value.hex() if isinstance(value, bytes) else value


def _details(structure: Mapping[str, Any]) -> str:
    words = []
    for name, value in structure.items():
        match value:
            case {}:
                words += [flag for flag, on in value.items() if on]
            case bool() | list() | None:
                continue
            case int() if name not in ("type", "reserved"):
                words.append(f"{name} {value:#x}" if name in HEX else f"{name} {value}")
            case str() if value and name not in ("name", "reserved"):
                words.append(f"{name} {value}")
    return ", ".join(words)


def _scopes(scopes: Any) -> str:
    return ", ".join(map(_scope, scopes))


def _scope(scope: Mapping[str, Any]) -> str:
    kind = SCOPE_NAMES.get(scope["type"], f"scope type {scope['type']}")
    path = "/".join(f"{hop['device']:02x}.{hop['function']}" for hop in scope["path"])
    number = f" {scope['enumeration_id']}" if scope["type"] > 2 else ""
    return f"{kind}{number} {scope['start_bus']:02x}:{path}"
