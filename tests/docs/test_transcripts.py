"""What README and the manual show of vtdpi is what it prints: each command is run, and held against the text below it.

`...` stands for anything, and a line may be folded. What needs a lab, a live machine or a terminal is not run here: the
live tests have it. The files that the pages name are made in `files`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"
MADE = {"commands.md", "glossary.md", "schemas.md", "live-posted-interrupts.md"}
"""Made by commands: the last one by `lab demo`, which a live test runs."""
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.name not in MADE]
FENCE = re.compile(r"^ *```")
COMMENT = re.compile(r"\s{2,}#\s.*$")
ELSEWHERE = re.compile(r"vtdpi (live|lab|coverage|survey)\b|^vtdpi$|^zstd|--(dask|serve|swarm|load)\b")
"""What is not run here: it needs a live machine, a terminal, files of a lab or of many machines, or a long time."""


@dataclass(frozen=True)
class Shown:
    """A command of a page and the output that the page shows, which may be none."""

    page: str
    command: str
    output: str


def blocks(text: str) -> Iterator[str]:
    """What is between fences."""
    inside: list[str] | None = None
    for line in text.splitlines():
        if FENCE.match(line):
            if inside is not None:
                yield "\n".join(inside)
            inside = [] if inside is None else None
        elif inside is not None:
            inside.append(line.strip() if line.startswith("   ") and not inside else line)


def shown() -> Iterator[Shown]:
    """Every command of every page."""
    for page in PAGES:
        for block in blocks(page.read_text("utf-8")):
            for part in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield Shown(page.name, COMMENT.sub("", command), output.strip())


def runs_here(each: Shown) -> bool:
    """Whether it is run here."""
    return not ELSEWHERE.search(each.command)


RUN_HERE = {page: [*each] for page, each in groupby(filter(runs_here, shown()), key=lambda each: each.page)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, golden: Callable[[str], Path]) -> Path:
    """A directory with the files that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "lost-wakeup.core").symlink_to(golden("lost-wakeup"))
    for name, source in {
        "passthrough.log": ROOT / "docs/examples/passthrough.log",
        "t.jsonl": DATA / "traces/xen-4.20.4-storm.jsonl",
    }.items():
        (folder / name).symlink_to(source)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "vtdpi").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m inspector.frontends.cli "$@"\n')
    (programs / "vtdpi").chmod(0o755)
    return folder


@pytest.mark.thorough
@pytest.mark.parametrize("page", RUN_HERE)
def test_what_is_shown_is_what_is_printed(page: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(files / "bin"), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for each in RUN_HERE[page]:
        ran = subprocess.run(["bash", "-c", each.command], cwd=files, capture_output=True, text=True, check=False)
        assert "Traceback" not in ran.stderr
        assert ran.returncode in (0, 1), f"{each.command}: {ran.stderr}"
        said = [line for line in ran.stderr.splitlines() if not line.startswith("note: ") or "note: " in each.output]
        printed = "\n".join([ran.stdout, *said])
        shown = f"{each.command}\nshown:\n{each.output}\nprinted:\n{printed}"
        assert not each.output or matches(each.output, printed), shown


def matches(expected: str, printed: str) -> bool:
    """Whether the printed text is the expected one, folded or not, `...` standing for anything."""
    words = [re.escape(part) for part in " ".join(expected.split()).split("...")]
    return re.fullmatch(r"\s*" + ".*".join(words) + r"\s*", " ".join(printed.split()), re.DOTALL) is not None


def test_how_the_text_is_compared() -> None:
    assert matches("a b\n ... d", "a  b\nc c\nd\n")
    assert matches("a ...", "a b")
    assert not matches("a b", "a b c")
    assert not matches("a ... d", "a b c")
