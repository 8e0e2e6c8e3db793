"""Real descriptors, of a real Xen with HVM vCPUs, read through a real QEMU and a real gdb: a capture as the RAM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.lab import LabError
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.gdb_mi import GdbMi
from inspector.targets.qmp import Qmp
from inspector.xen.find import find
from structs.pi_desc import PI_DESC, vectors

pytestmark = pytest.mark.live


@pytest.fixture(params=["lost-wakeup", "xapic-4-cpus", "linux-guest-hung"])
def staged(
    request: pytest.FixtureRequest, labs: object, golden: Callable[[str], Path], data: Path
) -> Iterator[tuple[Lab, dict]]:
    expected = json.loads((data / "golden" / f"xen-4.20.3-{request.param}.expected.json").read_text())
    with Lab.up(Recipe(capture=golden(request.param), name=request.param)) as lab:
        yield lab, expected


@pytest.mark.parametrize("with_qmp", [False, True])
def test_xen_and_its_descriptors_through_gdb(staged: tuple[Lab, dict], with_qmp: bool) -> None:
    lab, expected = staged
    with GdbMi(lab.gdb, qmp=str(lab.qmp) if with_qmp else None) as target:
        assert target.found_running is False
        xen = find(target)
        assert xen.variable("posted_intr_vector", 1) == expected["posted_intr_vector"]
        for vcpu in expected["vcpus"]:
            fields = PI_DESC.parse(target.read(vcpu["pi"]["address"], PI_DESC.size))
            assert {**{name: fields[name] for name in ("on", "sn", "nv", "ndst")}, "pir": vectors(fields["pir"])} == {
                name: value for name, value in vcpu["pi"].items() if name != "address"
            }
    with Qmp(lab.control) as qmp:
        assert not qmp.execute("query-status")["running"]


def test_what_is_no_capture_is_refused(labs: object, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no memory at all\n")
    with pytest.raises(LabError, match="text file"):
        Lab.up(Recipe(capture=tmp_path / "notes.txt", name="none"))
    assert "none" not in [lab.name for lab in Lab.all()]
