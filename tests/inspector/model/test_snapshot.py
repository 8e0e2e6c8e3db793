"""Snapshots of real captures: every descriptor, list and run state as expected; saved, loaded and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.base.errors import TargetError
from inspector.capture.inspection import Inspection
from inspector.model.hex_members import EXACT
from inspector.model.snapshot import BLOCK, SCHEMA, SWITCH_FROM, SWITCH_TO, Snapshot, dumps, loads
from inspector.targets.open_file import open_file

CAPTURES = sorted(
    path.name.removeprefix("xen-4.20.3-").removesuffix(".expected.json")
    for path in (Path(__file__).parents[2] / "data/golden").glob("*.expected.json")
)


@pytest.fixture(params=CAPTURES)
def capture(request: pytest.FixtureRequest, golden: Callable[[str], Path], data: Path) -> tuple[Snapshot, Any]:
    """A capture's snapshot, and what it must be."""
    with open_file(golden(request.param)) as target:
        snapshot = Inspection(target).snapshot
    return snapshot, json.loads((data / f"golden/xen-4.20.3-{request.param}.expected.json").read_text())


def test_all_captures_are_there() -> None:
    assert len(CAPTURES) == 11


def test_every_vcpu_is_as_expected(capture: tuple[Snapshot, Any]) -> None:
    snapshot, expected = capture
    for wanted in expected["vcpus"]:
        vcpu = snapshot.by_name[f"d{wanted['domain']}v{wanted['vcpu']}"]
        assert vcpu.pi
        pi = {
            "address": vcpu.pi.address,
            "pir": list(vcpu.pi.pir),
            "on": vcpu.pi.on,
            "sn": vcpu.pi.sn,
            "nv": vcpu.pi.nv,
            "ndst": vcpu.pi.ndst,
        }
        assert wanted == {
            "domain": vcpu.domain,
            "vcpu": vcpu.vcpu,
            "processor": vcpu.cpu,
            "runstate": vcpu.runstate,
            "blocked": vcpu.blocked,
            "in_guest_mode": vcpu.in_guest,
            "pause_flags": vcpu.pause_flags,
            "pause_count": vcpu.pause_count,
            "hooks_installed": set(vcpu.hooks) == {BLOCK, SWITCH_FROM, SWITCH_TO},
            "pi": pi,
            "blocking_list": vcpu.blocking_list,
        }
        assert vcpu.vmcs_pi in (vcpu.pi.address, None)
    assert {v.name for v in snapshot.vcpus if v.hvm} == {f"d{v['domain']}v{v['vcpu']}" for v in expected["vcpus"]}
    assert snapshot.problems == ()


def test_lists_and_cpus_are_as_expected(capture: tuple[Snapshot, Any]) -> None:
    snapshot, expected = capture
    lists = {str(of_cpu.cpu): [node.vcpu for node in of_cpu.nodes] for of_cpu in snapshot.lists}
    assert lists == expected["blocking_lists"]
    assert all(of_cpu.broken is None for of_cpu in snapshot.lists)
    wanted = {cpu["cpu"]: (cpu["apic_id"], cpu["in_guest_mode"]) for cpu in expected["cpus"]}
    assert {cpu.cpu: (cpu.apic_id, cpu.in_guest) for cpu in snapshot.cpus}.items() <= wanted.items()
    assert snapshot.online
    vectors = snapshot.posted_intr_vector, snapshot.pi_wakeup_vector
    assert vectors == (expected["posted_intr_vector"], expected["pi_wakeup_vector"])
    assert snapshot.intpost == expected["iommu_intpost"]


def test_a_cpu_in_guest_mode_runs_the_vcpu_that_runs_there(capture: tuple[Snapshot, Any]) -> None:
    snapshot, expected = capture
    for wanted in expected["vcpus"]:
        if wanted["in_guest_mode"]:
            cpu = snapshot.by_cpu[wanted["processor"]]
            assert cpu.current == cpu.loaded == f"d{wanted['domain']}v{wanted['vcpu']}"


def test_a_saved_snapshot_loads_to_an_equal_one(capture: tuple[Snapshot, Any]) -> None:
    assert loads(dumps(capture[0])) == capture[0]


@pytest.mark.parametrize("schema", [1, 2])
def test_what_an_older_version_saved_opens(schema: int, data: Path, golden: Callable[[str], Path]) -> None:
    with open_file(golden("lost-wakeup")) as target:
        now = Inspection(target).snapshot
    document = json.loads((data / "saved" / "lost-wakeup-schema-2.json").read_text()) | {"schema": schema}
    assert any("processor" in vcpu for vcpu in document["vcpus"])
    then = loads(json.dumps(document))
    assert (then.vcpus, then.cpus, then.lists, then.domains) == (now.vcpus, now.cpus, now.lists, now.domains)


def test_other_programs_keep_its_addresses(capture: tuple[Snapshot, Any]) -> None:
    largest: list[int] = []
    json.loads(dumps(capture[0]), parse_int=lambda digits: largest.append(int(digits)))
    assert max(largest) <= EXACT
    assert {vcpu["address"][:6] for vcpu in json.loads(dumps(capture[0]))["vcpus"]} == {"0xffff"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": SCHEMA + 1}, f"schema {SCHEMA + 1}.*use a newer vtdpi"),
        ({"schema": None}, "without a schema"),
        ({"format": "else"}, "no saved snapshot"),
        ({"vcpus": [{"domain": "1", "vcpu": 0}]}, r"Vcpu.domain: expected int, found str"),
        ({"vcpus": [{"domain": 1}]}, "lacks 'vcpu'"),
        ({"vcpus": 1}, "expected list, found int"),
        ({"units": [{"index": 0, "register_base": 0, "raw": "xy"}]}, "bytes in hex"),
        ({"colour": 1}, "unknown 'colour'"),
    ],
)
def test_what_is_no_snapshot_of_this_schema_is_refused(change: dict[str, Any], says: str) -> None:
    document = json.loads(dumps(Snapshot("a machine"))) | change
    with pytest.raises(TargetError, match=says):
        loads(json.dumps(document))
