"""What the page of the lost wakeup shows of each command; the page itself is made in tests/live."""

from __future__ import annotations

import pytest

from inspector.frontends import lost_wakeup_demo as demo
from inspector.frontends.cli import main
from inspector.lab import LabError


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    main(words)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.thorough
def test_the_history_is_that_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "explore", "h-a", "--show", demo.PROPERTY)
    shown = demo._history(lines)
    assert set(shown) <= {*lines, demo.LEFT_OUT}
    steps = [line for line in shown if demo.STEP.match(line)]
    wanted = ["preempt d1v0", "sn 0 -> 1", "post 00:03.0", "pir +0x30, on stays 0", "sn 1 -> 0", "in guest 0 -> 1"]
    for words in wanted:
        steps = steps[next(at for at, line in enumerate(steps) if words in line) + 1 :]
    assert any(line.startswith("bug       D5    d1v0") for line in shown)


@pytest.mark.thorough
def test_a_verdict_that_is_another_one_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "explore", "h-a")
    assert any(demo.PROPERTY in line for line in demo._rows("broken")(lines))
    with pytest.raises(LabError, match="no stranded interrupt': holds"):
        demo._rows("holds")(lines)
    with pytest.raises(LabError, match="every other property: broken"):
        demo._rows("broken", every=True)(lines)
    with pytest.raises(LabError):
        demo._rows("holds")([])


def test_a_command_is_printed_as_it_would_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    demo._do("explain", "H-A", show=lambda lines: lines[:1])
    assert capsys.readouterr().out.startswith("\n$ vtdpi explain H-A\nH-A")
    with pytest.raises(LabError, match="`vtdpi explain H-A` ended with status 0, not 1"):
        demo._do("explain", "H-A", status=1)
    words = ["coverage", f"{demo.TEMPORARY}/x/trace.jsonl", "--show", "no stranded interrupt"]
    assert demo._command(words) == "vtdpi coverage trace.jsonl --show 'no stranded interrupt'"
