"""Entry points of other packages: found as importlib.metadata finds them, wherever they are installed."""

from __future__ import annotations

import sys
import zipfile

import pytest

from inspector.base import entry_points

GROUP = "vtdpi.commands"


def named(group):
    return [(each.name, each.value) for each in entry_points.of_group(group)]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def install(folder, name, text):
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if text is not None:
        (info / "entry_points.txt").write_text(text)


def test_without_such_a_package_the_library_is_not_asked(site, monkeypatch):
    install(site, "other", "[console_scripts]\nvtdpi.commands = other:main\n")
    install(site, "bare", None)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **given: pytest.fail("it was asked"))
    monkeypatch.setattr(sys, "path", [str(site), str(site / "none")])
    assert named(GROUP) == []


def test_a_package_in_a_folder(site):
    install(site, "acme", f"[{GROUP}]\npending = acme:pending\n")
    assert ("pending", "acme:pending") in named(GROUP)
    assert ("pending", "acme:pending") not in named("vtdpi.rules")


def test_a_package_in_the_folder_where_one_stands(site, monkeypatch):
    install(site, "acme", f"[{GROUP}]\npending = acme:pending\n")
    monkeypatch.chdir(site)
    monkeypatch.setattr(sys, "path", [""])
    assert named(GROUP) == [("pending", "acme:pending")]


def test_a_package_in_an_archive(tmp_path, monkeypatch):
    archive = tmp_path / "acme.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        file.writestr("acme-1.0.dist-info/entry_points.txt", f"[{GROUP}]\npending = acme:pending\n")
    monkeypatch.setattr(sys, "path", [str(archive)])
    assert named(GROUP) == [("pending", "acme:pending")]
