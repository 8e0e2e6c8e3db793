"""Symbols that are installed on this machine are found by build-id."""

from __future__ import annotations

import pytest
from elftools.elf.elffile import ELFFile

from inspector.profiles import dwarf, places, symbol_map
from inspector.profiles import store as profiles
from inspector.profiles.image import Image
from inspector.targets.open_file import open_file
from inspector.xen.locate import locate


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A machine's files."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def put(root, name, content=b"no ELF"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_file_that_is_named_by_the_build_id_comes_first_and_maps_are_none(root):
    build_id = "ab" + "cd" * 19
    by_id = put(root, f"usr/lib/debug/.build-id/ab/{'cd' * 19}.debug")
    debian = put(root, "usr/lib/debug/boot/xen-syms-4.20-amd64")
    put(root, "usr/lib/debug/boot/xen-syms-4.20-amd64.map")
    fedora = put(root, "boot/xen-syms-4.21.0-1.fc43")
    assert list(places.files(build_id)) == [by_id, debian, fedora]
    assert list(places.files("00" * 20)) == [debian, fedora]


def test_files_of_others_and_damaged_ones_are_passed_over(root):
    put(root, "boot/xen-syms-broken", b"\x7fELF and no more")
    assert places.installed("ab" * 20) is None


@pytest.mark.live
def test_an_installed_xen_syms_makes_the_profile(root, debian_xen):
    symbols = debian_xen("4.20").symbols
    (root / "boot").mkdir()
    (root / "boot/xen-syms-4.20-amd64").symlink_to(symbols)
    build_id = dwarf.build_id_of(symbols)
    profile = places.installed(build_id)
    assert profile is not None
    assert profile.offset("vcpu", "arch.hvm.vmx.pi_desc") % 64 == 0
    assert build_id in profiles._cached_ids()
    assert places.installed("00" * 20) is None


XEN_SYMS = {
    "Debian": "usr/lib/debug/boot/xen-syms-4.20-amd64",
    "Fedora": "boot/xen-syms-4.21.0-1.fc43",
    "Qubes OS": "usr/lib/debug/xen-syms-4.19.5",
    "Qubes OS, debug": "usr/lib/debug/xen-syms-4.19.5~debug",
    "XCP-ng, debuginfo": "boot/xen-syms-4.17.6-2",
    "XCP-ng, lp-devel": "usr/src/xen-4.17.6-2.1.xcpng8.3/xen-syms",
    "XCP-ng, lp-devel, debug": "usr/src/xen-4.17.6-2.1.xcpng8.3/xen-syms-d",
}
"""By distribution, where its packages put it."""


@pytest.mark.live
@pytest.mark.parametrize("name", XEN_SYMS.values(), ids=XEN_SYMS)
def test_where_distributions_put_it(root, debian_xen, name):
    symbols = debian_xen("4.20").symbols
    build_id = dwarf.build_id_of(symbols)
    put(root, f"{name}.old", b"no ELF")
    path = root / name
    path.symlink_to(symbols)
    assert path in places.files(build_id)
    found = places.installed(build_id)
    assert found is not None
    assert found.build_id == build_id


MAPS = {
    "XCP-ng": ("boot/xen-4.17.6-2.map", "{:016x} {} {}"),
    "Qubes OS": ("usr/lib/debug/xen-syms-4.19.5.map", "0x{:016x} {} {}"),
    "Debian": ("usr/lib/debug/boot/xen-syms-4.20-amd64.map", "0x{:016x} {} {}"),
}
"""XCP-ng's is Xen's System.map, as nm writes it; the others are of Xen's tools/symbols --map."""


@pytest.mark.live
@pytest.mark.parametrize(("name", "line"), MAPS.values(), ids=MAPS)
def test_a_map_beside_another_builds(root, debian_xen, name, line):
    with debian_xen("4.20").symbols.open("rb") as file:
        elf = ELFFile(file)
        segment = next(part for part in elf.iter_segments() if part["p_type"] == "PT_LOAD")
        image = Image(0xFFFF82D040000000, ((segment["p_vaddr"], segment.data()),))
        symbols = [(each["st_value"], each.name) for each in elf.get_section_by_name(".symtab").iter_symbols()]
    kept = [(address, name) for address, name in symbols if address >> 47 == 0x1FFFF and name]
    put(root, "boot/xen-4.0.map", b"ffff82d040200000 T start\n")
    path = put(root, name, "\n".join(line.format(address, "T", name) for address, name in kept).encode())
    assert places.map_of(image) == path
    assert symbol_map.of_image(path, image)["irq_desc"] == {name: at for at, name in kept}["irq_desc"]


@pytest.fixture
def image(golden):
    """A real image."""
    with open_file(golden("lost-wakeup")) as target:
        yield locate(target).image


def test_a_map_that_is_installed_is_found_by_what_the_image_tells(root, image):
    symbols = [symbol for symbol in image.symbols.symbols if symbol.name]
    put(root, "boot/xen-4.19.map", b"0xffff82d040200000 T _start\n")
    put(root, "boot/xen-damaged.map", b"\xff" * 100)
    assert places.map_of(image) is None
    own = "".join(f"{symbol.address:#x} {symbol.kind} {symbol.name}\n" for symbol in symbols)
    found = put(root, "usr/lib/debug/boot/xen-syms-4.20-amd64.map", own.encode())
    assert places.map_of(image) == found


def test_without_any_file_nothing_is_found(root, image):
    assert places.map_of(image) is None
    assert places.installed("ab" * 20) is None
