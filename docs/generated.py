"""A Sphinx extension: the pages that are made from the code, so that they cannot say anything else than it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inspector import commands
from inspector.analysis import glossary
from inspector.audit import rules
from inspector.commands import schemas


def command_page() -> str:
    """Every command's help, as `--help` prints it."""
    parts = ["# Commands\n\nThe same ones on the command line, at the prompt, in scripts, in gdb and from Python.\n"]
    for name, summary in commands.summaries().items():
        text = commands.load(name).parser().format_help().rstrip()
        parts.append(f"## {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def glossary_page() -> str:
    """The short names: situations, hazards, mended bugs, and the rules of the audit."""
    parts = [
        "# Glossary\n\n`vtdpi explain NAME` prints any of these. P is the notification vector"
        " (`posted_intr_vector`), W the wakeup vector (`pi_wakeup_vector`).\n"
    ]
    titles = {
        glossary.SITUATION: "Situations of a vCPU",
        glossary.HAZARD: "Hazards in the model of Xen: no confirmed defects",
        glossary.BUG: "Bugs that were mended: the zoo",
    }
    for kind, title in titles.items():
        parts.append(f"## {title}\n")
        for each in glossary.entries().values():
            if each.kind == kind:
                versions = f" ({each.versions})" if each.versions else ""
                parts.append(f"### {each.name}: {each.title}{versions}\n\n{each.text}\n")
    parts.append("## Rules of the audit\n")
    for rule in rules():
        parts.append(f"### {rule.id} {rule.name}: {rule.title}\n\n```text\n{rule.explanation}\n```\n")
    return "\n".join(parts)


def schema_page() -> str:
    """The documents that `--json` prints, key by key."""
    parts = [
        "# JSON answers\n\nEach answer names its schema and version, such as `vtdpi/irt/1`. The JSON Schemas are"
        " shipped; `vtdpi schema NAME` prints one. What is not in an answer though it could be is in `absent`, with the"
        " reason.\n"
    ]
    for name in schemas.names():
        schema = json.loads(schemas.shipped(name))
        keys = "\n".join(f"* `{key}`" for key in schema["properties"] if key not in ("schema", "absent"))
        parts.append(f"## {name}\n\n{keys or 'nothing else'}\n")
    return "\n".join(parts)


PAGES = {"commands.md": command_page, "glossary.md": glossary_page, "schemas.md": schema_page}


def write_pages(app: Any) -> None:
    """Write the pages that differ from what is there."""
    for name, page in PAGES.items():
        path, text = Path(app.srcdir) / name, page()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """As Sphinx asks of an extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
