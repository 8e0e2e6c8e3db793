"""A remapping table as a map: a cell an entry, or a cell for several where the table is used far up."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from inspector.analysis.report import Entry, RemappingTable
from inspector.views.html.markup import tag

COLUMNS = 32
CELLS = 1024
CELL, GAP, LABEL = 18, 2, 34
STEP = CELL + GAP


def table_map(table: RemappingTable) -> Element:
    """The map, from entry 0 up to the last one that is present."""
    last = max((entry.index for entry in table.entries), default=0)
    each = 1
    while (last // each) >= CELLS:
        each *= 2
    buckets: dict[int, list[Entry]] = {}
    for entry in table.entries:
        buckets.setdefault(entry.index // each, []).append(entry)
    rows = last // each // COLUMNS + 1
    drawing = tag(
        "svg",
        viewBox=f"0 0 {LABEL + COLUMNS * STEP} {rows * STEP}",
        width=LABEL + COLUMNS * STEP,
        role="img",
        aria_label=f"{len(table.entries)} present entries of {table.size}",
    )
    for row in range(rows):
        drawing.append(tag("text", f"{row * COLUMNS * each:#x}", x=0, y=row * STEP + 13, class_="axis"))
        for column in range(COLUMNS):
            number = row * COLUMNS + column
            if number * each < table.size:
                drawing.append(_cell(LABEL + column * STEP, row * STEP, number * each, each, buckets.get(number, [])))
    return drawing


def key(kind: str, words: str) -> Element:
    """What a kind of cell means."""
    drawing = tag("svg", *_shape(0, 0, kind), viewBox=f"0 0 {CELL} {CELL}", aria_hidden="true")
    return tag("span", drawing, words, class_="key")


def _cell(x: int, y: int, first: int, each: int, entries: list[Entry]) -> Element:
    kinds = {entry.format for entry in entries}
    kind = "posted" if "posted" in kinds else "remapped" if kinds else "free"
    words = "\n".join(entry.words for entry in entries[:8]) or f"{first:#x}: not present"
    if len(entries) > 8:
        words += f"\nand {len(entries) - 8} more"
    if each > 1:
        words = f"entries {first:#x} to {first + each - 1:#x}, {len(entries)} present\n{words}"
    return tag("g", *_shape(x, y, kind), tag("title", words))


def _shape(x: int, y: int, kind: str) -> list[Element]:
    """A square; a dot in it tells a posted entry without colour, a bar one that is remapped."""
    shapes = [tag("rect", x=x, y=y, width=CELL, height=CELL, rx=3, class_=kind)]
    if kind == "posted":
        shapes.append(tag("circle", cx=x + CELL // 2, cy=y + CELL // 2, r=4, class_="hole"))
    elif kind == "remapped":
        shapes.append(tag("rect", x=x + 4, y=y + CELL // 2 - 1, width=CELL - 8, height=2, class_="hole"))
    return shapes
