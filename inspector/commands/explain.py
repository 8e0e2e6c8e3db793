"""The command `explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

from inspector.analysis.glossary import Entry, entries, entry, words
from inspector.audit import Rule, rules
from inspector.base.arguments import Word, argument
from inspector.base.errors import UsageError
from inspector.commands.command import Example, command
from inspector.commands.record_fields import COLUMNS, table
from inspector.model.answer import Answer, Block, Table, Text
from structs.bits import BitRecord
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model import documents

FIELD_COLUMNS = ("RECORD", "BITS", "FIELD", "MEANING")
Thing = Annotated[str, Word("THING", kinds=("RULE", "TERM"))]


@frozen
class Arguments:
    """What it takes."""

    thing: Thing | None = argument("a rule, situation, hazard, mended bug or field, by id or name", None)


@command(
    Arguments,
    Example("", "explain", "everything that has a name"),
    Example("dump FILE", "explain", "the same, where one has a target"),
    Example("", "explain D5", "a rule of the audit, by id or name"),
    Example("", "explain S8", "a situation of a vCPU"),
    Example("", "explain H-A", "a hazard, in the model"),
    Example("", "explain ZOO-03", "a bug of Xen that was mended"),
    Example("", "explain ndst", "a field, by the specification's mnemonic"),
    Example("", "explain verdict", "a column of a table, a run state, a word"),
    Example("", "explain 0x26", "a fault reason"),
)
def explain(inspection: Inspection, arguments: Arguments) -> Answer[documents.Explain]:
    """What a short name means: how it comes about, known bugs of the kind, and what to look at next."""
    return explained(arguments.thing)


def explained(thing: str | None) -> Answer[documents.Explain]:
    """What something means, or the list of all that has a name. Raises UsageError if it has none."""
    if thing is None:
        return _everything()
    for each in rules():
        if thing.lower() in (each.id.lower(), each.name):
            return _rule(each)
    found = entry(thing)
    fields = list(_fields(thing.lower()))
    if found and fields:
        said, bits = _entry(found), _field(thing.lower(), fields)
        return Answer({**said.document, **bits.document}, [*said.blocks, *bits.blocks])
    if found:
        return _entry(found)
    if fields:
        return _field(thing.lower(), fields)
    known = (*(rule.id for rule in rules()), *entries(), *words())
    close = get_close_matches(thing.upper(), known, n=3)
    raise UsageError(
        (f"nothing is called {thing!r}; " + (f"did you mean {' or '.join(close)}? " if close else ""))
        + "`explain` alone lists what has a name; fields go by their mnemonic, fault reasons by number (0x26)",
        expected=known,
        found=thing,
    )


def _everything() -> Answer[documents.Explain]:
    every = rules()
    document: documents.Explain = {
        "rules": [{"rule": r.id, "name": r.name, "severity": r.severity, "title": r.title} for r in every],
        "terms": [{"term": e.name, "kind": e.kind, "title": e.title} for e in _terms()],
    }
    named = [(r.id, r.name, r.severity, r.title) for r in every]
    terms = [(e.name, e.kind, e.title) for e in _terms()]
    return Answer(
        document, [Table(("RULE", "NAME", "SEVERITY", "WHAT"), named), Table(("TERM", "KIND", "WHAT"), terms)]
    )


def _terms() -> Sequence[Entry]:
    return (*entries().values(), *words().values())


def _rule(rule: Rule) -> Answer[documents.Explain]:
    document: documents.Explain = {
        "rule": rule.id,
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "versions": rule.versions,
        "explanation": rule.explanation,
    }
    head = f"{rule.id} {rule.name}: {rule.title} ({rule.severity}; {rule.versions})"
    paragraphs = (" ".join(paragraph.split()) for paragraph in rule.explanation.split("\n\n"))
    blocks: list[Block] = [Text(head), *map(Text, paragraphs)]
    return Answer(document, blocks)


def _entry(found: Entry) -> Answer[documents.Explain]:
    document: documents.Explain = {
        "term": found.name,
        "kind": found.kind,
        "title": found.title,
        "versions": found.versions or None,
        "explanation": found.text,
    }
    versions = f"; {found.versions}" if found.versions else ""
    return Answer(document, [Text(f"{found.name}: {found.title} ({found.kind}{versions})"), Text(found.text)])


def _fields(name: str) -> Iterator[tuple[BitRecord, str]]:
    """The records that have a field of that name."""
    from structs.faults import FRCD
    from structs.ioapic import COMPATIBILITY, REMAPPABLE
    from structs.irte import POSTED, REMAPPED
    from structs.pi_desc import PI_DESC
    from structs.registers import REGISTERS

    for record in (REMAPPED, POSTED, PI_DESC, REMAPPABLE, COMPATIBILITY, FRCD, *(each.record for each in REGISTERS)):
        if name in record.by_name and not record[name].reserved:
            yield record, f"{record.title} ({record.source})" if record.source else record.title


def _field(name: str, found: list[tuple[BitRecord, str]]) -> Answer[documents.Explain]:
    described: list[documents.FieldOfRecord] = []
    rows = []
    for record, title in found:
        shown = table(record, {each.name: 0 for each in record.fields})
        bits = next(row[COLUMNS.index("BITS")] for row in shown.rows if row[COLUMNS.index("FIELD")] == name)
        values = ", ".join(f"{value}: {word}" for value, word in record[name].meanings.items())
        meaning = "; ".join(part for part in (record[name].help, values) if part)
        described.append({"record": record.title, "source": record.source, "bits": bits, "meaning": meaning})
        rows.append((title, bits, name, meaning))
    return Answer({"field": name, "records": described}, [Table(FIELD_COLUMNS, rows)])
