"""What a profile keeps of a Linux build."""

from __future__ import annotations

import pytest

from inspector.linux import contents
from inspector.linux.btf import Btf, BtfError
from sim_backend.layout.kvm.btf import of_types
from structs.linux.named import module_contents, of_release

PROFILE = of_release("6.12")


def source() -> contents.Source:
    """The bundled profile as a kernel and modules that have no more than it tells."""
    types = PROFILE.document["user_types"]
    kvm, intel = (module_contents(PROFILE, name) for name in ("kvm", "kvm_intel"))
    base = of_types(types, [name for name in types if name not in kvm.types | intel.types])
    modules = {
        "kvm": of_types(types, [name for name in types if name in kvm.types], base),
        "kvm_intel": of_types(types, [name for name in types if name in kvm.types | intel.types], base),
    }
    btf = Btf(base.raw())
    symbols = {name: of["address"] for name, of in PROFILE.document["symbols"].items()}
    return contents.Source(
        PROFILE.version,
        PROFILE.build_id,
        {**symbols, "no_such_thing": 5},
        btf,
        {name: Btf(raw.raw(), btf) for name, raw in modules.items()},
        {"kvm": dict(kvm.per_cpu), "kvm_intel": {**intel.per_cpu, "loaded_vmcss_on_cpu": 0}},
    )


def test_a_profile_made_of_what_the_bundled_one_describes_is_that_one():
    made = contents.reduced(source())
    assert made["symbols"] == PROFILE.document["symbols"]
    for name, of_module in made["metadata"]["linux"]["modules"].items():
        kept = module_contents(PROFILE, name)
        assert {each for each in of_module["types"] if each[0] != "#"} == {
            each for each in kept.types if each[0] != "#"
        }
        assert (of_module["per_cpu"], tuple(of_module["variables"])) == (kept.per_cpu, kept.variables)
    for name, of in PROFILE.document["user_types"].items():
        if not name.startswith("#"):
            assert made["user_types"][name]["size"] == of["size"]
            assert {m: f["offset"] for m, f in made["user_types"][name]["fields"].items() if m[0] != "#"} == {
                m: f["offset"] for m, f in of["fields"].items() if m[0] != "#"
            }


def test_a_structure_or_a_member_that_is_not_there(monkeypatch):
    monkeypatch.setattr(contents, "VMLINUX", {"no_such": ("a",)})
    with pytest.raises(BtfError, match="no struct no_such"):
        contents.reduced(source())
    monkeypatch.setattr(contents, "VMLINUX", {"list_head": ("next.before",)})
    with pytest.raises(BtfError):
        contents.reduced(source())
