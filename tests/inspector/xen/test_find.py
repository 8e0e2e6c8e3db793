"""Xen found in captures of real machines, with no help, with the right symbols and with wrong ones."""

from __future__ import annotations

import json

import pytest

from inspector.profiles import store as profiles
from inspector.targets.open_file import open_file
from inspector.xen.find import XenNotFound, find
from inspector.xen.percpu import online
from structs.columns import columns
from structs.pi_desc import PI_DESC, vectors

BUILD_4_20 = "ea92b67a6c7ec0dc9541bc73daef97756b70e672"
BUILD_4_17 = "39a640e6f1412319235087391df9f1c5e13ae920"
NAMES = [
    "blocking-in-progress",
    "cpu-offline-after-fixup",
    "cpu-offline-before-fixup",
    "hooks-not-installed",
    "linux-guest-hung",
    "lost-wakeup",
    "lost-wakeup-1s-later",
    "post-in-progress-or-stranded",
    "two-in-guest",
    "woken-still-listed",
    "xapic-4-cpus",
]


@pytest.mark.parametrize("name", NAMES)
def test_found_in_a_real_capture_and_every_descriptor_read(golden, data, name):
    expected = json.loads((data / "golden" / f"xen-4.20.3-{name}.expected.json").read_text())
    with open_file(golden(name)) as target:
        xen = find(target)
        assert xen.profile.build_id == BUILD_4_20
        assert xen.variable("posted_intr_vector", 1) == expected["posted_intr_vector"]
        assert xen.variable("pi_wakeup_vector", 1) == expected["pi_wakeup_vector"]
        online_now = {cpu["cpu"]: cpu["apic_id"] for cpu in expected["cpus"] if cpu.get("online", True)}
        assert online(xen).items() <= online_now.items()
        addresses = [vcpu["pi"]["address"] for vcpu in expected["vcpus"]]
        raw = target.read_parts([(address, PI_DESC.size) for address in addresses])
        assert None not in raw
        decoded = [dict(PI_DESC.parse(part)) for part in raw]
        for vcpu, fields in zip(expected["vcpus"], decoded, strict=True):
            ours = {"pir": vectors(fields["pir"]), **{key: fields[key] for key in ("on", "sn", "nv", "ndst")}}
            assert ours == {key: vcpu["pi"][key] for key in ours}
        assert columns(PI_DESC, b"".join(raw), ["nv"])["nv"].tolist() == [
            vcpu["pi"]["nv"] for vcpu in expected["vcpus"]
        ]


def test_the_same_descriptor_through_xens_own_page_tables(golden, data):
    expected = json.loads((data / "golden" / "xen-4.20.3-lost-wakeup.expected.json").read_text())
    with open_file(golden("lost-wakeup")) as target:
        xen = find(target)
        direct_map = 0xFFFF830000000000
        for vcpu in expected["vcpus"]:
            physical = vcpu["pi"]["address"]
            assert xen.memory.translate(direct_map + physical) == physical
            assert physical & 0xFFF == xen.profile.offset("vcpu", "arch.hvm.vmx.pi_desc")
            page = direct_map + (physical & ~0xFFF)
            assert xen.structs("vcpu", [page], "vcpu_id", "processor") == [
                {"vcpu_id": vcpu["vcpu"], "processor": vcpu["processor"]}
            ]


def test_a_profile_of_another_build_is_noticed(golden):
    with open_file(golden("lost-wakeup")) as target, pytest.raises(XenNotFound) as error:
        find(target, [profiles.by_build_id(BUILD_4_17)])
    assert f"the symbols are of Xen 4.17.5+72-g01140da4e8-1, build-id {BUILD_4_17}" in str(error.value)
    assert f"build-id {BUILD_4_20}" in str(error.value)


def test_a_build_that_no_profile_describes_is_identified_by_its_page_tables(golden, monkeypatch):
    monkeypatch.setattr(profiles, "known", lambda: iter(()))
    with open_file(golden("xapic-4-cpus")) as target, pytest.raises(XenNotFound) as error:
        find(target)
    assert f"build-id {BUILD_4_20}" in str(error.value)
    assert "--symbols" in str(error.value)


def test_memory_without_a_xen(image):
    with open_file(image.path) as target, pytest.raises(XenNotFound, match="no Xen found"):
        find(target)


def test_wrong_symbols_are_said_and_a_known_profile_serves(golden, run):
    answer = run("dump", golden("lost-wakeup"), "--profile", "4.17.5+72-g01140da4e8-1", "info", "--json")
    assert answer.status == 3
    assert "the symbols are of Xen 4.17.5" in answer.err
    assert "known profile of Xen 4.20.3" in answer.err
    assert answer.json["xen"]["build_id"] == BUILD_4_20
