"""One run of a campaign: a simulated machine moves at random, and is audited after each step."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from inspector.audit import BUG, audit
from inspector.audit.rule import Finding
from inspector.capture.inspection import Inspection
from inspector.targets.sim.refusals import refusals
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.boot import AnyMachine, switched_on
from sim_backend.machine.checkpoint import read
from sim_backend.memory.errors import SimError
from sim_backend.scenario.bugs import version
from sim_backend.scenario.scenario import load
from structs.frozen import frozen

LASTS = 1000
"""Steps after which a suspicion is no transient: more than any message or procedure takes."""
BEFORE = 64
"""A failure's file is of the machine at most so many steps earlier, or of when the suspicion began."""


@frozen
class Run:
    """What is to be run: which scenario, from which seed on, how many steps, and where failures are kept."""

    scenario: str
    version: str
    build: str | None
    seed: int
    steps: int
    folder: str


@frozen
class RunFailure:
    """What went wrong in a run.

    Attributes:
        step: after how many steps it was seen.
        rule: of the audit; None if the simulated Xen crashed.
        file: the machine shortly before, and `replay`, the command that shows it again; None if it does not.
        unkept: why there is no file.
    """

    step: int
    rule: str | None
    subject: str
    message: str
    file: str | None = None
    replay: str | None = None
    unkept: str | None = None


@frozen
class RunResult:
    """What became of a run.

    Attributes:
        step_count: how many there were; fewer than asked for if nothing could happen any more, or at a failure.
        suspicion_counts: findings that did not last, by rule: how often each began.
    """

    scenario: str
    seed: int
    step_count: int
    suspicion_counts: dict[str, int]
    failure: RunFailure | None = None


class _Seen(NamedTuple):
    step: int
    machine: AnyMachine


def run(asked: Run) -> RunResult:
    """Run until a bug is found, a suspicion lasts, Xen crashes, or the steps are over. A failure leaves a file.

    Raises:
        UsageError, TargetError: there is no such machine.
    """
    with refusals():
        logic, scenario = version(asked.version), load(asked.scenario)
    if asked.build:
        scenario = replace(scenario, layout=replace(scenario.layout, profile=asked.build))
    with refusals(None if asked.build else asked.scenario):
        machine = switched_on(scenario, logic, asked.seed)
    with refusals():
        return _Running(asked, machine).result()


class _Running:
    def __init__(self, asked: Run, machine: AnyMachine) -> None:
        self.asked, self.machine = asked, machine
        self.simulation = Simulation(machine)
        self.inspection = Inspection(self.simulation)
        self.since: dict[tuple[object, ...], _Seen] = {}
        self.began: Counter[str] = Counter()
        self.last = _Seen(0, machine.copy())

    def result(self) -> RunResult:
        step, failure = 0, self._look(0)
        while failure is None and step < self.asked.steps:
            if step % BEFORE == 0:
                self.last = _Seen(step, self.machine.copy())
            if self.machine.step() is None:
                break
            step += 1
            failure = self._look(step)
        return RunResult(self.asked.scenario, self.asked.seed, step, dict(self.began), failure)

    def _look(self, step: int) -> RunFailure | None:
        if self.machine.crashed is not None:
            return self._kept(step, None, "Xen", self.machine.crashed, self.last)
        self.simulation.touched()
        self.inspection = self.inspection.again()
        findings = audit(self.inspection.snapshot)
        self._note(findings, step)
        for finding in findings:
            if finding.severity == BUG:
                return self._kept(step, finding.rule, finding.subject, finding.message, self.last)
        for finding in findings:
            seen = self.since.get(_key(finding))
            if seen is not None and step - seen.step >= LASTS:
                words = f"{finding.message}; the same for {step - seen.step} steps"
                return self._kept(step, finding.rule, finding.subject, words, seen)
        return None

    def _note(self, findings: list[Finding], step: int) -> None:
        """Which suspicions there are since when."""
        there = {_key(finding): finding for finding in findings if finding.suspicion}
        self.since = {key: seen for key, seen in self.since.items() if key in there}
        for key, finding in there.items():
            if key not in self.since:
                self.since[key] = _Seen(step, self.machine.copy())
                self.began[finding.rule] += 1

    def _kept(self, step: int, rule: str | None, subject: str, message: str, seen: _Seen) -> RunFailure:
        scenario = Path(self.asked.scenario)
        # Files of one name in several folders are several scenarios.
        folder = f"-{crc32(os.fsencode(scenario.parent)):08x}" if scenario.parent.parts else ""
        name = f"{scenario.stem}{folder}-seed{self.asked.seed}-{rule or 'crash'}.machine"
        file = os.path.join(self.asked.folder, re.sub(r"[^\w.-]", "_", name))
        try:
            os.makedirs(self.asked.folder, exist_ok=True)
            seen.machine.save(file)
        except (OSError, SimError) as error:
            # The failure itself is not lost: its seed tells it.
            why = f"{self.asked.folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
            return RunFailure(step, rule, subject, message, unkept=why)
        return RunFailure(step, rule, subject, message, file, self._replay(file, rule, step - seen.step))

    def _replay(self, file: str, rule: str | None, steps: int) -> str | None:
        again = read(Path(file))
        again.run(steps)
        if again.digest() != self.machine.digest():
            return None
        command = "info" if rule is None else f"audit {rule}"
        return f"vtdpi sim --load {shlex.quote(file)} --steps {steps} {command}"


def _key(finding: Finding) -> tuple[object, ...]:
    return finding.rule, finding.subject, finding.state
