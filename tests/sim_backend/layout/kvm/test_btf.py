"""BTF that is written is read by the inspector's own reader."""

from __future__ import annotations

import pytest

from inspector.linux.btf import Btf
from inspector.linux.layouts import Types
from sim_backend.layout.kvm.btf import BtfWriter, of_types
from structs.linux.named import module_contents, of_release
from structs.xen.profile import Profile

PROFILE = of_release("6.12")
TYPES = PROFILE.document["user_types"]


def paths(name: str, prefix: str = "") -> list[str]:
    found = []
    for member, field in TYPES[name]["fields"].items():
        inner = field["type"]
        if inner["kind"] in ("struct", "union"):
            found += paths(inner["name"], prefix if field.get("anonymous") else f"{prefix}{member}.")
        if not field.get("anonymous"):
            found.append(prefix + member)
    return found


def test_every_member_is_where_the_profile_has_it():
    kvm, intel = (module_contents(PROFILE, name).types for name in ("kvm", "kvm_intel"))
    base = of_types(TYPES, [name for name in TYPES if name not in kvm | intel])
    module = of_types(TYPES, [name for name in TYPES if name in kvm | intel], base)
    read = Types(Btf(module.raw(), Btf(base.raw())))
    again = Profile({**PROFILE.document, "user_types": read})
    checked = 0
    for name in (name for name in TYPES if not name.startswith("#")):
        assert again.size(name) == PROFILE.size(name)
        for path in paths(name):
            before, after = PROFILE.member(name, path), again.member(name, path)
            assert (after.offset, after.size) == (before.offset, before.size), (name, path)
            bits = [kind.get("bit_position") for kind in (before.type, after.type)]
            assert bits[0] == bits[1]
            checked += 1
    assert checked > 200


def test_a_variable():
    writer = BtfWriter()
    writer.add_variable("nr", {"kind": "array", "count": 3, "subtype": {"kind": "base", "name": "u4"}})
    btf = Btf(writer.raw())
    (found,) = btf.all_named("nr", (14,))
    element, count = btf.array(btf.plain(found.size))
    assert (btf.plain(element).size, count) == (4, 3)


def test_a_type_that_is_not_there():
    with pytest.raises(KeyError):
        of_types(
            {
                "a": {
                    "kind": "struct",
                    "size": 4,
                    "fields": {"b": {"offset": 0, "type": {"kind": "struct", "name": "c"}}},
                }
            },
            ["a"],
        )
