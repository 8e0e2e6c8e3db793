"""The prompt on a live Xen: stopped between commands, left as found, whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inspector.frontends.cli import main
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live

Terminals = Callable[..., Any]


def is_running(lab: Lab) -> bool:
    with Qmp(lab.control) as qmp:
        return bool(qmp.execute("query-status")["running"])


def ready(opened: Any) -> Any:
    opened.until(lambda screen: re.search(r"stopped │ .*(bug|warning|no findings)", screen), "no prompt")
    return opened


@pytest.fixture
def one_lab(labs: Callable[[Recipe], Lab]) -> Lab:
    return labs(Recipe(xen="4.20"))


def test_it_stays_stopped_until_cont_and_is_left_running(one_lab: Lab, terminal: Terminals) -> None:
    opened = ready(terminal("live", one_lab.gdb))
    assert not is_running(one_lab)
    opened.enter("irt | head -1")
    opened.wait("24 present")
    assert not is_running(one_lab)
    opened.enter("cont")
    opened.wait("(running)>", " running │")
    opened.until(lambda _: is_running(one_lab), "it does not run")
    opened.enter("irt")
    opened.wait("note: the machine runs: it was stopped for this, and goes on")
    opened.until(lambda _: is_running(one_lab), "it does not go on")
    opened.enter("stop")
    opened.wait("is stopped")
    ready(opened)
    assert not is_running(one_lab)
    opened.enter("irt | grep -c IO-APIC")
    opened.until(lambda screen: re.search(r"^24$", screen, re.MULTILINE), "no answer after stop")
    assert opened.leave() == 0
    assert is_running(one_lab)


def test_entries_of_the_live_table_complete(one_lab: Lab, terminal: Terminals) -> None:
    opened = ready(terminal("live", one_lab.gdb))
    opened.type("irte 0x00")
    opened.wait("0x0001", "IO-APIC 0 pin 1")
    opened.press("C-c")
    opened.type("regs irt")
    opened.wait("irta", "0x")
    opened.press("C-c")
    assert opened.leave() == 0


@pytest.mark.parametrize("milliseconds", [50, 300, 700])
def test_ctrl_c_during_a_long_read(
    one_lab: Lab, terminal: Terminals, milliseconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = ready(terminal("live", one_lab.gdb))
    # Without QMP this is all 65,536 entries through gdb, and a long table of them.
    opened.enter("irt --all")
    time.sleep(milliseconds / 1000)
    opened.interrupt("interrupted; nothing of the target was changed")
    assert not is_running(one_lab)
    opened.enter(f"irt --json > {one_lab.console.with_name('irt.json')}")
    ready(opened)
    opened.enter("regs irta | head -1")
    opened.wait("IRTA at offset 0xb8")
    ready(opened)
    assert opened.leave() == 0
    assert is_running(one_lab)
    main(["live", one_lab.gdb, "irt", "--json"])
    documents = [json.loads(one_lab.console.with_name("irt.json").read_text()), json.loads(capsys.readouterr().out)]
    for document in documents:
        del document["vtdpi"]["time"]
    assert documents[0] == documents[1]


@pytest.fixture
def mortal(labs: Callable[[Recipe], Lab]) -> Iterator[Lab]:
    lab = labs(Recipe(name="mortal", xen="4.20"))
    yield lab
    lab.down()


def test_a_machine_that_dies_is_said(mortal: Lab, terminal: Terminals) -> None:
    opened = ready(terminal("live", mortal.gdb))
    os.kill(mortal.pid, signal.SIGKILL)
    opened.enter("pi 0x1000")
    screen = opened.wait("vtdpi: ", "is gone")
    assert "Traceback" not in screen
    assert opened.leave() == 0


def test_a_script_lets_it_run_and_looks_again(one_lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["expect irt .units[0].entries[#] == 24", "cont --json", "stop", "expect irt .units[0].entries[#] == 24"]
    status = main(["live", one_lab.gdb, *(word for text in lines for word in ("-c", text))])
    printed = capsys.readouterr()
    # QEMU from 8.1 on does not tell gdb whether the machine ran.
    told = [line for line in printed.err.splitlines() if "does not tell gdb whether it was running" not in line]
    assert (status, told) == (0, [])
    assert '"running": true' in printed.out
    assert is_running(one_lab)


def test_another_target_is_opened_and_this_one_left_running(one_lab: Lab, terminal: Terminals) -> None:
    opened = ready(terminal("live", one_lab.gdb, width=160))
    assert not is_running(one_lab)
    opened.enter("open dump nosuch.core")
    opened.wait("nosuch.core cannot be")
    assert not is_running(one_lab), "what cannot be opened changes nothing"
    opened.enter("snapshot live; open sim idle")
    opened.wait("left as it was found", "sim>")
    assert is_running(one_lab)
    opened.enter(f"open live {one_lab.gdb}; irt | grep -c IO-APIC")
    opened.until(lambda screen: re.search(r"^24$", screen, re.MULTILINE), "not opened")
    ready(opened)
    assert not is_running(one_lab)
    opened.enter("diff live | head -1")
    opened.until(lambda screen: re.search(r"^(SUBJECT|no difference)", screen, re.MULTILINE), "nothing compared")
    assert opened.leave() == 0
    assert is_running(one_lab)


def test_the_same_machine_is_left_and_opened_again(one_lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """gdb's stub in QEMU takes one at a time."""
    again = f"open live {one_lab.gdb}"
    assert main(["live", one_lab.gdb, "-c", "irt", "-c", f"{again} --qmp {one_lab.control}", "-c", "irt"]) == 0
    assert capfd.readouterr().out.count("24 present") == 2
    assert is_running(one_lab)
    lines = ["-c", "irt", "-c", f"{again} --qmp /nowhere/socket"]
    assert main(["live", one_lab.gdb, *lines]) == 3
    assert "/nowhere/socket" in capfd.readouterr().err
    assert is_running(one_lab)
