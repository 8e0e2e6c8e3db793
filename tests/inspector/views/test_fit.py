"""Tables at every width: no word and no number of any command is folded."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import VtdpiError
from inspector.commands import BUILT_IN
from inspector.commands.command import finish
from inspector.frontends.target_words import open_target, parse
from inspector.model.answer import AnyAnswer, Block, Table
from inspector.model.snapshot import dumps
from inspector.shell.opening import Opening
from inspector.shell.session import Answered, Session
from inspector.shell.words import ANSWERING
from inspector.targets.options import SimOptions
from inspector.views import text
from inspector.views.fit import fit
from inspector.views.terminal import Screen
from tests.inspector.linux.kvm_states import OneVcpu, a_layout, seen

WIDTHS = (60, 80, 120, 200)
FINDINGS = Table(("RULE", "SUBJECT", "FINDING"), [("D5", "d1v0", "is blocked with vector 0xf3 posted in PIR")])
OF_CORES = ("info", "vcpus", "vcpus d1v1", "pi d1v1 --bytes", "blocked", "blocked 3", "irqs", "cpus", "cpus 2", "audit")
OF_LOGS = ("info", "irt", "irqs", "route 0000:3b:00.0", "ioapic", "faults", "audit", "dmar")
OF_KVM = ("info", "vcpus", "vcpus vm1234v1", "pi vm1234v1", "blocked", "blocked 1", "irt", "irqs", "audit", "audit D41")
OF_MACHINES = (
    *("step 200", "info", "vcpus", "irt", "irte 0x18", "pi d1v0", "irqs", "cpus", "cpus 1", "regs", "regs ecap"),
    *("queue", "faults", "dmar", "ioapic", "audit", "blocked", "route d1v0", "explain", "explain D5", "explain ndst"),
    *("snapshot a", "snapshot", "run 30", "diff a", "break vmx_vcpu_block", "breaks", "post 00:03.0 0", "block d1v0"),
    *("wake d1v0", "sleep d1v1", "preempt d1v0", "migrate d1v0 1", "undo", "goto 100", "run until vmx_pi_switch_to"),
    *("breaks --clear", "offline 1", "trace --count 3", "expect vcpus .vcpus[0].domain == d0", "save {files}/a.json"),
    *("report {files}/a.html", "core {files}/a.core", "checkpoint {files}/a.sim"),
)
OF_IDLE = ("deassign 00:03.0", "assign 00:03.0 1", "irqs")
ELSEWHERE = {"stop", "cont", "watch"}
"""For live machines (a line each), and a screen of its own (tests/inspector/watch)."""
OF_SESSIONS = ("help", "help irt", "help set", "show", "show width", "set columns vcpus PIR", "unset keys", "history")


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


ASKED = (
    (("sim", "--scenario", "wakeup-storm"), OF_MACHINES),
    (("sim", "--scenario", "idle"), OF_IDLE),
    (("dump", "{core}"), OF_CORES),
    (("dump", "{kvm}"), OF_KVM),
    (("dump", "{logs}/c37_gpu_unit_index0_vs_ioapic_pin.log"), OF_LOGS),
    (("dump", "{logs}/c25_x2apic_cluster.log"), OF_LOGS),
    (("dump", "{logs}/c15_faults.log"), OF_LOGS),
)


def whole(answered: Answered) -> AnyAnswer:
    """An answer with all that was shown of it, in parts or not."""
    parts: list[Block] = []
    made = answered._answer
    if not isinstance(made, Generator):
        return made
    end = finish(made, parts.append)
    return replace(end, blocks=[*parts, *end.blocks])


@pytest.fixture(scope="module")
def kvm(tmp_path_factory) -> Path:
    """A Linux with two VMs, saved: one vCPU blocked, one preempted, a post lost."""
    layout = a_layout()
    OneVcpu(layout, 1).blocked(1)
    OneVcpu(layout, 0).pi(pir=(0x30, 0x41))
    path = tmp_path_factory.mktemp("kvm") / "kvm.json"
    path.write_text(dumps(seen(layout)))
    return path


@pytest.mark.parametrize(("words", "lines"), ASKED)
def test_no_command_folds_a_word(words, lines, golden, data, kvm, tmp_path):
    places = {"core": golden("xapic-4-cpus"), "logs": data / "field" / "logs", "kvm": kvm}
    asked = parse(words[0], [word.format(**places) for word in words[1:]])
    answered = 0
    with Session(Opening(lambda: open_target(asked.target))) as session:
        for line in lines:
            try:
                answer = whole(session.ask(shlex.split(line.format(files=tmp_path))))
            except VtdpiError:
                assert words[0] != "sim", line
                continue
            check(answer)
            answered += 1
    assert answered > len(lines) / 2


def test_what_is_said_of_a_session_folds_no_word():
    with Session(Opening(lambda: open_target(SimOptions()))) as session:
        session.lines.extend(("a line", "word " * 60))
        for line in OF_SESSIONS:
            name, *words = line.split()
            check(ANSWERING[name](session, words))


def test_that_was_every_command():
    names = {line.split()[0] for _, lines in ASKED for line in lines}
    assert names | ELSEWHERE == set(BUILT_IN)
    assert {line.split()[0] for line in OF_SESSIONS} | {"open"} == set(ANSWERING)


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
