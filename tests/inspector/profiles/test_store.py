"""Profiles: the bundled ones, the cache, the user's own, and damaged ones."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.base.errors import VtdpiError
from inspector.lab.xen import DEBIAN
from inspector.profiles import dwarf, layouts
from inspector.profiles import store as profiles
from inspector.profiles.store import of_symbols
from inspector.targets.dump.elf_core import ElfCore
from inspector.xen.find import find
from structs.xen import profile_contents
from structs.xen.layout import of_profile
from structs.xen.profile import Profile


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
    with pytest.raises(VtdpiError, match="no profile file and no known profile"):
        profiles.named("")
    with pytest.raises(VtdpiError, match="no profile file and no known profile"):
        profiles.named("4.2")
    assert [each.version[:6] for each in profiles.all_named("4.20")] == ["4.20.4", "4.20.3"]


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
    (profiles.cache_dir() / f"0011{profiles.SUFFIX}").write_bytes(content)
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


BUNDLED = "39a640e6f1412319235087391df9f1c5e13ae920"


def mine(build_id: str = "00ff") -> Profile:
    document = json.loads(json.dumps(profiles.named("39a640e6").document))
    document["metadata"]["xen"] |= {"build_id": build_id, "version": "4.17-mine"}
    return Profile(document)


def old(raw: bytes) -> bytes:
    """As if it were made for other structures, with the right hash of what it holds."""
    words = raw.split(b" ")
    return b" ".join([*words[:4], b"0123456789abcdef", *words[5:]])


DAMAGE = (
    ("cut", lambda raw: raw[:-1]),
    ("half", lambda raw: raw[: len(raw) // 2]),
    ("empty", lambda raw: b""),
    ("no first line", lambda raw: raw.partition(b"\n")[2]),
    ("changed", lambda raw: raw.replace(b"4.17-mine", b"4.18-mine")),
    ("longer", lambda raw: raw + b" "),
    ("another format", lambda raw: raw.replace(b"profile 1 ", b"profile 2 ")),
    ("made for other structures", old),
    ("binary", lambda raw: bytes(range(256)) * 10),
)


@pytest.mark.parametrize("damage", [change for _, change in DAMAGE], ids=[name for name, _ in DAMAGE])
def test_a_cache_entry_that_is_not_whole_and_current_is_as_if_not_there_and_is_made_again(damage):
    path = profiles.store(mine())
    assert path is not None
    raw = path.read_bytes()
    assert damage(raw) != raw
    path.write_bytes(damage(raw))
    assert profiles.by_build_id("00ff") is None
    assert [profile.version for profile in profiles.known() if profile.build_id == "00ff"] == []
    profiles.store(mine())
    assert path.read_bytes() == raw
    assert profiles.by_build_id("00ff") is not None


def test_an_entry_under_the_name_of_another_build_is_not_taken_for_it():
    path = profiles.store(mine())
    assert path is not None
    path.rename(path.with_name(f"00aa{profiles.SUFFIX}"))
    assert profiles.by_build_id("00aa") is None
    assert len(list(profiles.known())) == 3


def test_the_cache_never_comes_before_what_is_bundled():
    path = profiles.store(mine(BUNDLED))
    assert path is not None
    found = profiles.by_build_id(BUNDLED)
    assert found is not None
    assert found.version == "4.17.5+72-g01140da4e8-1"
    assert [profile.version for profile in profiles.known() if profile.build_id == BUNDLED] == [found.version]
    assert profiles.named("4.17.5+72-g01140da4e8-1") is found


def test_an_entry_of_an_older_vtdpi_is_not_looked_at():
    profiles.cache_dir().mkdir(parents=True)
    (profiles.cache_dir() / f"{BUNDLED}.json").write_text(json.dumps(mine(BUNDLED).document))
    (profiles.cache_dir() / "00ff.json").write_text(json.dumps(mine().document))
    assert profiles.by_build_id("00ff") is None
    assert len(list(profiles.known())) == 3


def test_no_place_for_a_cache_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert profiles.store(mine()) is None
    assert len(list(profiles.known())) == 3
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert profiles.store(mine()) is None
    assert len(list(profiles.known())) == 3


def test_a_full_disk_keeps_the_entry_that_was_there(small_disk, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk(128 << 10)))
    path = profiles.store(mine())
    assert path is not None
    (path.parent / "filler").write_bytes(bytes(20_000))
    assert profiles.store(mine()) is None
    assert profiles.by_build_id("00ff") is not None


def test_what_lacks_all_that_a_search_needs_does_not_end_it(golden):
    """As an entry was that an ELF file of something else had left."""
    document = json.loads(json.dumps(mine("00" * 20).document))
    document["symbols"] = {}
    assert profiles.store(Profile(document)) is not None
    with ElfCore(golden("lost-wakeup")) as target:
        assert find(target).profile.version.startswith("4.20.3")


OTHER = """
struct vcpu { int vcpu_id; struct domain *domain; };
struct vcpu idle_vcpu;
int main(void) { return idle_vcpu.vcpu_id; }
"""


def test_symbols_of_something_that_is_no_xen_are_refused_and_not_kept(golden, run, tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("gcc is missing")
    (tmp_path / "other.c").write_text(OTHER)
    words = ["gcc", "-g", "-Wl,--build-id=sha1", "-o", str(tmp_path / "other"), str(tmp_path / "other.c")]
    subprocess.run(words, check=True)
    ran = run("dump", golden("lost-wakeup"), "--symbols", tmp_path / "other", "info")
    assert ran.status == 3
    assert "is no Xen's: no symbol __note_gnu_build_id_start" in ran.err
    assert run("profile", "make", tmp_path / "other").status == 3
    assert not list(profiles.cache_dir().glob("*"))
    assert run("dump", golden("lost-wakeup"), "vcpus").status == 0


@pytest.mark.live
def test_layouts_of_another_version_are_refused(debian_xen, run):
    answer = run("profile", "make", debian_xen("4.20").symbols, "--types", "4.17.5+72-g01140da4e8-1")
    assert answer.status == 3
    assert "the layouts are of 4.17.5+72-g01140da4e8-1: members move even within a release" in answer.err


@pytest.mark.live
def test_the_maintainers_command_writes_what_dwarf_says(debian_xen, run, tmp_path):
    answer = run("profile", "bundle", tmp_path / "layouts.json", f"{debian_xen('4.20').symbols}=Debian 13")
    assert answer.status == 0
    written = layouts.loads((tmp_path / "layouts.json").read_text())
    told = of_profile(of_symbols(debian_xen("4.20").symbols))
    for struct, (only,) in written.items():
        if struct in told:
            assert told[struct].members.items() <= only.layout.members.items()
