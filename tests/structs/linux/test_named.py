"""The profiles of Linux builds."""

from __future__ import annotations

import json

import pytest

from structs.linux.named import module_contents, of_release
from structs.xen.errors import ProfileError


def test_a_release_or_its_beginning():
    assert of_release("6.12") is of_release("6.12")
    assert of_release("6.12").version.startswith("6.12.")
    assert of_release(of_release("6.12").version).offset("kvm_vcpu", "vcpu_id") == 36


@pytest.mark.parametrize("name", ["6.1", "", "4.20", "6.12.1"])
def test_none_of_that_name(name):
    with pytest.raises(ProfileError, match="no bundled profile of a Linux"):
        of_release(name)


def test_a_file(tmp_path):
    with pytest.raises(ProfileError, match="cannot be read"):
        of_release(str(tmp_path / "none.json"))
    known = of_release("6.12")
    path = tmp_path / "own.json"
    path.write_text(json.dumps(known.document))
    assert of_release(str(path)).document == known.document
    other = tmp_path / "xen.json"
    other.write_text(json.dumps({**known.document, "metadata": {"xen": known.document["metadata"]["linux"]}}))
    with pytest.raises(ProfileError, match="not a profile: Object missing required field `linux`"):
        of_release(str(other))


def test_what_is_a_modules_own():
    profile = of_release("6.12")
    assert {"kvm", "kvm_vcpu"} <= module_contents(profile, "kvm").types
    assert module_contents(profile, "kvm_intel").per_cpu["wakeup_vcpus_on_cpu"] == 0x30
    with pytest.raises(ProfileError, match="nothing of a module kvm_amd"):
        module_contents(profile, "kvm_amd")
