"""What differs between Xen's versions, asked of profiles."""

from __future__ import annotations

import pytest

from structs.xen import variants
from structs.xen.named import bundled
from structs.xen.profile import Profile


def profile(struct: str, *paths: str) -> Profile:
    """A profile that knows these members only."""
    types: dict[str, dict] = {}

    def place(name: str, path: str) -> None:
        first, _, rest = path.partition(".")
        fields = types.setdefault(name, {"kind": "struct", "size": 64, "fields": {}})["fields"]
        kind = {"kind": "struct", "name": f"{name}_{first}"} if rest else {"kind": "base", "name": "long"}
        fields[first] = {"offset": 8 * len(fields), "type": kind}
        if rest:
            place(f"{name}_{first}", rest)

    for path in paths:
        place(struct, path)
    base = {"long": {"size": 8, "signed": False, "kind": "int", "endian": "little"}}
    about = {"xen": {"build_id": "00", "version": "made up"}}
    return Profile({"metadata": about, "base_types": base, "user_types": types, "symbols": {}})


@pytest.mark.parametrize("path", variants.VMX)
def test_the_vmx_part_is_where_the_profile_has_it(path):
    assert variants.vmx(profile("vcpu", f"{path}.pi_desc")) == path


@pytest.mark.parametrize("path", variants.VLAPIC)
def test_the_local_apic_is_where_the_profile_has_it(path):
    assert variants.vlapic(profile("vcpu", f"{path}.regs")) == path


@pytest.mark.parametrize("form", variants.HOOKS)
def test_the_hooks_of_each_age(form):
    assert variants.hooks(profile("domain", *form)) == form


@pytest.mark.parametrize("path", variants.GUEST_VECTOR)
def test_the_guest_vector_of_an_msi_in_either_form(path):
    assert variants.guest_vector(profile("pirq", path)) == path


def test_what_no_profile_tells_is_nothing():
    empty = profile("vcpu", "processor")
    assert (variants.vmx(empty), variants.vlapic(empty), variants.hooks(empty)) == (None, None, {})
    assert variants.optional(empty, "vcpu") == ()
    assert variants.guest_vector(profile("pirq", "pirq")) is None


def test_the_bundled_builds_have_the_newest_forms():
    for known in bundled():
        assert (variants.vmx(known), variants.vlapic(known)) == (variants.VMX[0], variants.VLAPIC[0])
        assert variants.hooks(known) == variants.HOOKS[0]
        assert "dirty_cpu" in variants.optional(known, "vcpu")
        assert variants.guest_vector(known) in (variants.GUEST_VECTOR[0], None), "4.17's does not tell of pirqs"
        assert (variants.RUNSTATE_SEQ in variants.optional(known, "vcpu")) == (not known.version.startswith("4.17.5"))
