"""The list of commands, and those that other packages add to it by entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspector import commands
from inspector.base.arguments import arguments_of
from inspector.base.errors import UsageError
from inspector.commands.command import Command

PACKAGE = '''\
from collections.abc import Iterator
from dataclasses import dataclass

import vtdpi


@dataclass(frozen=True)
class Arguments:
    least: int = vtdpi.option("so many vectors at least", 1)


@vtdpi.command(Arguments, vtdpi.Example("sim", "pending --least 2", "the busy ones"))
def pending(inspection: vtdpi.Inspection, arguments: Arguments) -> vtdpi.Answer:
    """The vCPUs that have vectors pending."""
    found = {v.name: len(v.pi.pir) for v in inspection.snapshot.vcpus if v.pi and len(v.pi.pir) >= arguments.least}
    return vtdpi.Answer({"pending": found}, [vtdpi.Facts([(name, str(n)) for name, n in found.items()])])


@vtdpi.rule("ACME1", "few-vcpus", "fewer vCPUs than ours need", vtdpi.WARNING)
def few(snapshot: vtdpi.Snapshot) -> Iterator[vtdpi.Found]:
    """Our machines have a hundred."""
    if len(snapshot.vcpus) < 100:
        yield vtdpi.Found("machine", f"only {len(snapshot.vcpus)} vCPUs")
'''
ENTRY_POINTS = """\
[vtdpi.commands]
pending = acme:pending
irt = acme:pending
broken = acme_broken:nothing
[vtdpi.rules]
acme = acme
"""


@pytest.mark.parametrize("name", commands.BUILT_IN)
def test_each_command_is_what_its_name_says(name):
    command = commands.load(name)
    assert isinstance(command, Command)
    assert command.name == name
    assert command.help
    assert command.examples
    assert all(each.help for each in arguments_of(command.arguments))


def test_what_is_no_command():
    with pytest.raises(UsageError, match=r"did you mean irt\? No command is called 'irtt'") as caught:
        commands.load("irtt")
    assert caught.value.found == "irtt"
    assert set(caught.value.expected) >= set(commands.BUILT_IN)


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """Call it with a command line of vtdpi where a package of somebody else's is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme.py").write_text(PACKAGE)
    info = site / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)

    def run(*words):
        path = os.pathsep.join(map(str, (site, Path(__file__).parents[3])))
        command = [sys.executable, "-m", "inspector.frontends.cli", *words]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.thorough
def test_a_command_of_another_package(acme):
    done = acme("sim", "--scenario", "wakeup-storm", "--steps", "3000", "pending", "--least", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pending"]
    helped = acme("help", "pending").stdout
    assert "vtdpi sim pending --least 2   the busy ones" in helped
    assert "--least N" in helped
    listed = acme("help").stdout
    assert "The vCPUs that have vectors pending\n" in listed
    assert "ModuleNotFoundError" in listed
    # One of ours keeps its name.
    assert "the interrupt-remapping tables" in listed
    broken = acme("sim", "broken")
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "the command broken of acme_broken:nothing cannot be loaded" in broken.stderr


@pytest.mark.thorough
def test_a_rule_of_another_package(acme):
    done = acme("sim", "--scenario", "idle", "audit", "--json")
    assert [f["message"] for f in json.loads(done.stdout)["findings"] if f["rule"] == "ACME1"] == ["only 3 vCPUs"]
    assert "Our machines have a hundred." in acme("sim", "explain", "ACME1").stdout
