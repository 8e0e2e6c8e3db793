"""Tables at every width: no word and no number of any command is folded."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import VtdpiError
from inspector.frontends.target_words import open_target, parse
from inspector.model.answer import AnyAnswer, Table
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.views import text
from inspector.views.fit import fit
from inspector.views.terminal import Screen

WIDTHS = (60, 80, 120, 200)
FINDINGS = Table(("RULE", "SUBJECT", "FINDING"), [("D5", "d1v0", "is blocked with vector 0xf3 posted in PIR")])
OF_CORES = ("info", "vcpus", "vcpus d1v1", "pi d1v1 --bytes", "blocked", "blocked 3", "irqs", "cpus", "cpus 2", "audit")
OF_LOGS = ("info", "irt", "irqs", "route 0000:3b:00.0", "ioapic", "faults", "audit", "dmar")
OF_MACHINES = (
    *("info", "vcpus", "irt", "irte 0x18", "irqs", "cpus", "regs", "regs ecap", "queue", "faults", "dmar", "ioapic"),
    *("audit", "blocked", "route d1v0", "explain", "explain D5", "explain ndst", "step 200"),
)


def at(answer: AnyAnswer, width: int | None) -> str:
    out = io.StringIO()
    text.show(answer, out, Screen(width))
    return out.getvalue()


def check(answer: AnyAnswer) -> None:
    """No line is wider than the terminal, unless it is one word; and each word is one that was there."""
    known = {
        *at(answer, None).split(),
        *["(not", "shown", "for", "want", "of", "width:", "--format", "vertical", "shows", "all)"],
    }
    for block in answer.blocks:
        if isinstance(block, Table):
            known |= {word for cells in block.short.values() for cell in cells for word in cell.split()}
    for width in WIDTHS:
        for line in at(answer, width).splitlines():
            assert len(line) <= width or len(line.split()) <= 2, (width, line)
            folded = {word for word in line.split() if word not in known and not re.search(r"[,;)]$", word)}
            assert not folded, (width, line)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("sim", "--scenario", "wakeup-storm"), OF_MACHINES),
        (("dump", "{core}"), OF_CORES),
        (("dump", "{logs}/c37_gpu_unit_index0_vs_ioapic_pin.log"), OF_LOGS),
        (("dump", "{logs}/c25_x2apic_cluster.log"), OF_LOGS),
        (("dump", "{logs}/c15_faults.log"), OF_LOGS),
    ],
)
def test_no_command_folds_a_word(words, lines, golden, data):
    places = {"core": golden("xapic-4-cpus"), "logs": data / "field" / "logs"}
    asked = parse(words[0], [word.format(**places) for word in words[1:]])
    answered = 0
    with Session(Opening(lambda: open_target(asked.target))) as session:
        for line in lines:
            try:
                answer = session.ask(line.split()).answer
            except VtdpiError:
                continue
            check(answer)
            answered += 1
    assert answered > len(lines) / 2


def test_one_line_a_vcpu_at_80_columns(golden):
    asked = parse("dump", [str(golden("xapic-4-cpus"))])
    with Session(Opening(lambda: open_target(asked.target))) as session:
        answer = session.ask(["vcpus"]).answer
    lines = at(answer, 80).splitlines()
    assert len(lines) == 1 + len(answer.document["vcpus"]) + 1
    assert "S11" in lines[3]
    assert "woken" not in lines[3]
    assert lines[-1] == "(not shown for want of width: DESCRIPTOR; --format vertical shows all)"


def test_short_forms_come_first_then_fewer_columns_then_records():
    wide = "x" * 30
    table = Table(("A", "B", "C"), [(wide, "1", wide)] * 2, short={"A": ["x"] * 2}, spare=("C",))
    assert [column.width for column in fit(table, 70).columns] == [30, 1, 30]
    assert [column.width for column in fit(table, 40).columns] == [1, 1, 30]
    assert fit(table, 20).left_out == ["C"]
    assert fit(Table(("A", "C"), [(wide, wide)] * 2), 40).records


def test_sentences_are_broken_between_words():
    shown = fit(FINDINGS, 40).columns[-1]
    assert shown.cells[0].replace("\n", " ") == FINDINGS.rows[0][2]
    assert max(map(len, shown.cells[0].split("\n"))) <= shown.width <= 26


def test_whoever_scrolls_sideways_sees_all_columns():
    table = Table(("A", "B"), [("x" * 90, "y" * 90)] * 2, spare=("B",))
    assert fit(table, 80, sideways=True).left_out == ()
    assert not fit(table, 80, sideways=True).records


cells = st.text("abc 0x", max_size=40)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_whatever_is_in_it_all_words_are_there(rows):
    heads = [f"H{n}" for n in range(len(rows[0]))]
    shown = fit(Table(heads, rows), 60)
    for column, before in zip(shown.columns, zip(*rows, strict=True), strict=True):
        assert [cell.split() for cell in column.cells] == [cell.split() for cell in before]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_real_terminal_folds_nothing(terminal, golden, width):
    shown = terminal("dump", golden("xapic-4-cpus"), "vcpus", width=width, height=40)
    screen = shown.until(lambda text: "ended with status 0" in text, "it has not ended")
    rows = [line for line in screen.splitlines() if line.startswith(("VCPU", "d0v", "d1v"))]
    assert len(rows) == 8
    assert {len(row.split()) for row in rows[3:4]} != {1}
    assert all(row.split()[-1] in ("VERDICT", "ok", "-") for row in rows)
