"""A Sphinx extension: the pages that are made from the code, so that they cannot say anything else than it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inspector import commands
from inspector.analysis import glossary
from inspector.audit import rules
from inspector.commands import schemas
from inspector.learn.lesson import lessons
from inspector.learn.page import page


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
                parts.append(f"({each.name.lower()})=\n### {each.name}: {each.title}{versions}\n\n{each.text}\n")
    for kind, title in (("word", "Words"), ("letter", "Letters"), ("run state", "Run states"), ("column", "Columns")):
        parts.append(f"## {title}\n")
        parts += [
            f"**{each.name}**: {each.title}. {each.text}\n" for each in glossary.words().values() if each.kind == kind
        ]
    parts.append("## Rules of the audit\n")
    for rule in rules():
        parts.append(
            f"({rule.id.lower()})=\n### {rule.id} {rule.name}: {rule.title}\n\n```text\n{rule.explanation}\n```\n"
        )
    return "\n".join(parts)


def schema_page() -> str:
    """The documents that `--json` prints, key by key."""
    parts = [
        "# JSON answers\n\nEach answer names its schema and version, such as `vtdpi/irt/2`. The JSON Schemas are"
        " shipped; `vtdpi schema NAME` prints one. What is not in an answer though it could be is in `absent`, with the"
        ' reason. Addresses, registers and all numbers that may exceed 2^53 are strings such as `"0xfed90000"`, for'
        " many readers of JSON would round them. `vtdpi` tells version, time and target. With `--json` an error is a"
        " document too.\n"
    ]
    for name in schemas.names():
        schema = json.loads(schemas.shipped(name))
        keys = "\n".join(f"* `{key}`" for key in schema["properties"] if key not in ("schema", "absent"))
        parts.append(f"## {name}\n\n{keys or 'nothing else'}\n")
    return "\n".join(parts)


def lesson_pages() -> dict[str, str]:
    """Each lesson as it goes when its lines are typed, and their list."""
    pages = {f"learn/{name}.md": page(at, lesson) for at, (name, lesson) in enumerate(lessons().items(), 1)}
    listed = "\n".join(lessons())
    pages["learn/index.md"] = (
        "# Learning posted interrupts\n\nTen short lessons, half an hour in all, for who knows no more than the words."
        " `vtdpi learn` gives them at the prompt, each on a simulated machine of its own (the last on the memory of a"
        " real one): you type vtdpi's own commands, and each step is done when the machine is in the state that the"
        " lesson speaks of. Here is what there is to see.\n\n```{toctree}\n:maxdepth: 1\n\n" + listed + "\n```\n"
    )
    return pages


def pages() -> dict[str, str]:
    """All that is made, by place below docs/."""
    return {
        "commands.md": command_page(),
        "glossary.md": glossary_page(),
        "schemas.md": schema_page(),
        **lesson_pages(),
    }


def write_pages(app: Any) -> None:
    """Write the pages that differ from what is there."""
    for name, text in pages().items():
        path = Path(app.srcdir) / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """As Sphinx asks of an extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
