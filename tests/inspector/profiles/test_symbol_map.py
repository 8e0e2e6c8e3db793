"""Maps of symbols: read, and held against the functions that an image tells itself."""

from __future__ import annotations

import pytest

from inspector.base.errors import VtdpiError
from inspector.profiles import symbol_map
from inspector.targets.open_file import open_file
from inspector.xen.locate import locate


@pytest.fixture
def image(golden):
    """A real image."""
    with open_file(golden("lost-wakeup")) as target:
        yield locate(target).image


@pytest.fixture
def own(image, tmp_path):
    """Its map, as Xen's build writes it."""
    path = tmp_path / "xen-syms.map"
    files = (f"{symbol.file}#" if symbol.file else "" for symbol in image.symbols.symbols)
    lines = (
        f"{symbol.address:#x} {symbol.kind} {file}{symbol.name}\n"
        for symbol, file in zip(image.symbols.symbols, files, strict=True)
        if symbol.name
    )
    path.write_text("".join(lines))
    return path


def test_what_a_map_tells_is_what_the_image_tells(image, own):
    assert symbol_map.of_image(own, image) == image.symbols.addresses


def test_both_forms_and_names_that_stand_for_several(tmp_path):
    path = tmp_path / "xen.map"
    path.write_text(
        "0xffff82d040200000 T _start\nffff82d040200100 t head.o#twice\nffff82d040200200 t tail.o#twice\n"
        "                 U elsewhere\nffff82d040440790 D acpi_drhd_units\n"
    )
    assert symbol_map.addresses(path) == {"_start": 0xFFFF82D040200000, "acpi_drhd_units": 0xFFFF82D040440790}


def test_the_map_of_another_build_is_refused(image, own):
    own.write_text(own.read_text().replace(f"{image.symbols.addresses['vcpu_block']:#x} T", "0xffff82d040200001 T"))
    with pytest.raises(VtdpiError, match=r"of another build than Xen 4\.20\.3.*: it has vcpu_block at another address"):
        symbol_map.of_image(own, image)


def test_too_little_to_tell_by(image, tmp_path):
    path = tmp_path / "xen.map"
    path.write_text(f"{image.symbols.addresses['vcpu_block']:#x} T vcpu_block\n")
    with pytest.raises(VtdpiError, match="it shares 1 symbols with it"):
        symbol_map.of_image(path, image)


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(100), b"no map at all\n", b"\xff" * 1000])
def test_what_is_no_map(tmp_path, content):
    path = tmp_path / "xen.map"
    path.write_bytes(content)
    with pytest.raises(VtdpiError, match="no symbols in it"):
        symbol_map.addresses(path)
    with pytest.raises(VtdpiError, match="cannot be read"):
        symbol_map.addresses(tmp_path)
