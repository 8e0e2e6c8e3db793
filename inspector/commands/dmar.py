"""The command `dmar`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

from construct import ListContainer

from inspector.base.arguments import NoArguments
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.described_dmar import described
from inspector.commands.units import why
from inspector.model.answer import Answer, Facts, Table
from inspector.vtd.acpi import parsed, unsound
from structs.acpi import checksum
from structs.bits import BitRecord
from structs.dmar import (
    ATSR_FLAGS,
    DMAR,
    DRHD_FLAGS,
    DRHD_SIZE,
    NAMES,
    SATC_FLAGS,
    SCOPE_FLAGS,
    SCOPE_NAMES,
    TABLE_FLAGS,
    window_size,
)

if TYPE_CHECKING:
    from inspector.model import documents

ACPI_DEVICE = 5
"""A scope's type: a device that an ANDD structure names."""
FLAGS: dict[str, BitRecord] = {"DRHD": DRHD_FLAGS, "ATSR": ATSR_FLAGS, "SATC": SATC_FLAGS}
FLAGS_WIDTH = 40


@command(
    NoArguments,
    Example("live", "dmar"),
)
def dmar(inspection: Inspection, arguments: NoArguments) -> Answer[documents.Dmar]:
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
        cast(
            "documents.DmarStructure",
            {"type": structure["type"], "name": NAMES.get(structure["type"]), **_named(structure["body"])},
        )
        for structure in body["structures"]
    ]
    document: documents.Dmar = {
        "address": address,
        "signature": table["signature"].decode("latin-1"),
        "revision": body["revision"],
        "oem_id": _text(body["oem_id"]),
        "oem_table_id": _text(body["oem_table_id"]),
        "oem_revision": body["oem_revision"],
        "creator_id": _text(body["creator_id"]),
        "creator_revision": body["creator_revision"],
        "host_address_width": body["haw"] + 1,
        "flags": _plain(body["flags"]),
        "reserved": int.from_bytes(body["reserved"], "little"),
        "checksum_ok": sound,
        "structures": structures,
        "rest": body["rest"].hex(),
    }
    renamed = " (so renamed by Xen, to hide the units from dom0)" if table["signature"] != b"DMAR" else ""
    names = {structure["device_number"]: structure["object_name"] for structure in structures if structure["type"] == 4}
    facts = Facts(
        [
            ("table", f"{document['signature']}{renamed} at {address:#x}, checksum {'good' if sound else 'WRONG'}"),
            ("revision", f"{body['revision']}, {_maker(document)}"),
            ("host address width", f"{body['haw'] + 1} bits"),
            ("flags", " ".join(_set(TABLE_FLAGS, body["flags"])) or "none"),
            *(("", word) for word in _reserved(body["reserved"])),
        ]
    )
    rows = [row for structure in structures for row in _rows(structure, names)]
    notes = [
        f"the RHSA of the unit at {structure['base']:#x} is {len(structure['rest']) // 2} bytes longer than it need be"
        for structure in structures
        if structure["type"] == 3 and structure["rest"]
    ]
    return Answer(
        document,
        [facts, Table(("STRUCTURE", "DETAILS", "SERVES"), rows)],
        unsound(address, table),
        notes,
        absent=inspection.deferred.absences,
    )


def _named(body: Any) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"bytes": body.hex()}
    plain: dict[str, Any] = _plain(body)
    if isinstance(body.get("reserved"), bytes):
        plain["reserved"] = int.from_bytes(body["reserved"], "little")
    for scope in plain.get("scopes", ()):
        scope["name"] = SCOPE_NAMES.get(scope["type"])
    if "object_name" in plain:
        plain["object_name"] = _text(body["object_name"])
    return plain


def _text(raw: bytes) -> str:
    """Bytes as ACPI has text: up to the first NUL."""
    return raw.split(b"\0")[0].decode("latin-1").rstrip()


def _plain(value: Any) -> Any:
    """Construct's containers as JSON has them: bytes in hex, and nothing of its own bookkeeping."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if not key.startswith("_")}
    if isinstance(value, list | ListContainer):
        return [_plain(part) for part in value]
    return value.hex() if isinstance(value, bytes) else value


def _maker(header: documents.Dmar) -> str:
    return (
        f"OEM {header['oem_id'] or '-'} {header['oem_table_id'] or '-'} revision {header['oem_revision']:#x}, "
        f"made by {header['creator_id'] or '-'} {header['creator_revision']:#x}"
    )


def _rows(structure: documents.DmarStructure, names: Mapping[int, str]) -> Iterator[tuple[str, str, str]]:
    """A structure's lines: one a scope, so that they fit a terminal."""
    scopes = [line for scope in structure.get("scopes", ()) for line in _scope(scope, names)]
    if structure.get("rest") and "scopes" in structure:
        scopes.append(f"{len(structure['rest']) // 2} bytes that are no sound scope")
    kind = structure["name"] or f"type {structure['type']}"
    details = list(_details(structure))
    for at in range(max(len(scopes), len(details), 1)):
        yield (
            kind if at == 0 else "",
            details[at] if at < len(details) else "",
            scopes[at] if at < len(scopes) else "",
        )


def _details(structure: documents.DmarStructure) -> Iterator[str]:
    """What a structure says besides its scopes, a line each."""
    match structure["name"]:
        case "DRHD":
            yield f"base {structure['base']:#x}, segment {structure['segment']}"
            if size := structure["size"]["size"]:
                yield f"window of {window_size(structure['size']) >> 10} KiB (2^{size} pages)"
        case "RMRR":
            yield f"{structure['base']:#x} to {structure['limit']:#x}, segment {structure['segment']}"
        case "RHSA":
            yield f"base {structure['base']:#x}, proximity domain {structure['proximity_domain']}"
        case "ANDD":
            yield f"device {structure['device_number']}: {structure['object_name'] or 'no name'}"
        case "ATSR" | "SATC" | "SIDP":
            yield f"segment {structure['segment']}"
        case _:
            raw = structure["bytes"]
            yield f"{len(raw) // 2} bytes: {raw[:32]}{'...' if len(raw) > 32 else ''}"
    words = [*_set(FLAGS[structure["name"]], structure["flags"])] if structure["name"] in FLAGS else []
    if structure["name"] == "DRHD":
        words += [word for word in _set(DRHD_SIZE, structure["size"]) if word.endswith("!")]
    words += _reserved(structure.get("reserved", 0))
    if words:
        yield " ".join(words)


def _set(record: BitRecord, values: Mapping[str, int]) -> Iterator[str]:
    """The fields that are not zero, reserved ones with value and mark: `include_pci_all rsvd_7_1=0x78!`."""
    for f in record.fields:
        if value := values[f.name]:
            yield f"{f.name}={value:#x}!" if f.reserved else f.name if f.width == 1 else f"{f.name}={value:#x}"


def _reserved(value: int | bytes) -> list[str]:
    """A reserved field that is not zero: a number, or bytes."""
    if isinstance(value, int):
        return [f"reserved={value:#x}!"] if value else []
    return [f"reserved={value.hex()}!"] if any(value) else []


def _scope(scope: documents.DeviceScope, names: Mapping[int, str]) -> list[str]:
    """A scope's lines: the device, then its flags."""
    kind = scope["name"] or f"scope type {scope['type']}"
    path = "/".join(f"{hop['device']:02x}.{hop['function']}" for hop in scope["path"])
    number = f" {scope['enumeration_id']}" if scope["type"] > 2 else ""
    called = names.get(scope["enumeration_id"] or 0, "") if scope["type"] == ACPI_DEVICE else ""
    device = f"{kind}{number} {scope['start_bus']:02x}:{path} {called}".rstrip()
    marks = " ".join([*_set(SCOPE_FLAGS, scope["flags"]), *_reserved(scope["reserved"])])
    return [device, *wrap(marks, FLAGS_WIDTH, initial_indent="  ", subsequent_indent="  ")]
