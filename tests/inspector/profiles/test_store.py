"""Profiles: the bundled ones, the cache, the user's own, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspector.base.errors import VtdpiError
from inspector.lab.xen import DEBIAN
from inspector.profiles import dwarf
from inspector.profiles import store as profiles
from structs.xen import profile_contents


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_bundled_ones_know_what_the_walkers_ask():
    known = {profile.version: profile for profile in profiles.known()}
    assert set(known) == {version for _, version in DEBIAN.values()} | {"4.20.3+127-gc42374a105-0+deb13u1"}
    for profile in known.values():
        assert profile.offset("vcpu", "arch.hvm.vmx.pi_desc") == 0x680
        assert profile.size("pi_desc") == 64
        assert profile.size("iremap_entry") == 16
        assert profile.offset("vcpu", "arch.hvm.vmx.pi_desc") % 64 == 0
        assert profile.symbol("posted_intr_vector") >> 30 == 0xFFFF82D040000000 >> 30
        assert {"vcpu", "domain", "vtd_iommu", "msi_desc"} <= set(profile_contents.STRUCTS)


def test_named_by_version_build_id_or_file(tmp_path):
    by_version = profiles.named("4.17.5+72-g01140da4e8-1")
    assert profiles.named("39a640e6") is by_version
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(by_version.document))
    assert profiles.named(str(path)).build_id == by_version.build_id
    with pytest.raises(VtdpiError, match="no profile file and no known profile"):
        profiles.named("4.99")
    with pytest.raises(VtdpiError, match="several profiles match"):
        profiles.named("")


def test_a_stored_profile_is_found_by_its_build_id():
    profile = profiles.named("39a640e6")
    document = json.loads(json.dumps(profile.document))
    document["metadata"]["xen"] |= {"build_id": "00ff", "version": "4.17-mine"}
    path = profiles.store(type(profile)(document))
    assert path is not None
    found = profiles.by_build_id("00ff")
    assert found is not None
    assert found.version == "4.17-mine"
    assert profiles.by_build_id("00fe") is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"metadata": {"xen": 3}}'])
def test_a_damaged_profile_is_an_error_if_named_and_passed_over_if_not(content, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(VtdpiError, match="not a profile"):
        profiles.named(str(path))
    profiles.cache_dir().mkdir(parents=True)
    (profiles.cache_dir() / "0011.json").write_bytes(content)
    assert len(list(profiles.known())) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"text", b"\x7fELF\x02\x01\x01" + bytes(100), b"\x7fELF\x02\x01\x01" + b"\xff" * 300]
)
def test_what_is_no_xen_syms_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "xen-syms"
    path.write_bytes(content)
    with pytest.raises(VtdpiError) as error:
        dwarf.make(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_xen_syms(tmp_path):
    with pytest.raises(VtdpiError, match="No such file"):
        profiles.of_symbols(tmp_path / "none")


def test_an_elf_image_without_symbols_is_refused():
    with pytest.raises(VtdpiError, match=r"no build-id note|no symbol table"):
        dwarf.make(Path("/bin/true").resolve())
