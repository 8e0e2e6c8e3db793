"""Histories after which a vCPU is blocked with an interrupt in its virtual local APIC: the audit names it."""

from __future__ import annotations

import json

import pytest

from inspector.frontends.cli import main


@pytest.mark.thorough
@pytest.mark.parametrize("scenario", ["h-o", "h-m"])
def test_what_waits_in_the_irr_of_a_blocked_vcpu_is_named(tmp_path, capsys, scenario):
    history = tmp_path / "history.json"
    assert main(["explore", scenario, "--show", "no lost wakeup", "--save", str(history)]) == 1
    capsys.readouterr()
    assert main(["explore", "--read", str(history), "--json", "--audit-steps"]) == 1
    reading = json.loads(capsys.readouterr().out)
    (at_the_end,) = reading["findings"]
    (at_rest,) = reading["lasting"]
    assert (at_the_end["rule"], at_the_end["severity"], at_the_end["subject"]) == ("D30", "warning", "d1v0")
    assert (at_rest["rule"], at_rest["severity"], at_rest["subject"]) == ("D30", "bug", "d1v0")
    # It is named where the vCPU can no longer see it: h-o, when it is switched out; h-m, when it is no longer paused.
    (fired,) = [found for found in reading["fired"] if found["rule"] == "D30"]
    changes = reading["steps"][fired["step"] - 1]["changes"]["d1v0"]
    after = changes["is_running" if scenario == "h-o" else "pause_count"]["after"]
    assert after is False if scenario == "h-o" else after == 0


@pytest.mark.thorough
def test_with_the_repair_there_is_none(capsys):
    assert main(["explore", "h-o", "--repair", "repair-wake-all"]) == 0
    assert "broken" not in capsys.readouterr().out
