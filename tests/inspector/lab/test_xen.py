"""Which Xen a recipe means, from files that are here or from packages; no network."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from inspector.lab import LabError, silent, xen
from inspector.lab.machine import Recipe
from inspector.lab.packages import NotOffered
from inspector.lab.xen import DEBIAN, Build, chosen, debian, loadable, own

ELF = b"\x7fELF and what follows"


class Mirror:
    """Debian's mirrors, with packages of these versions."""

    def __init__(self, place: Path, *offered: str) -> None:
        self.place, self.offered = place, offered
        self.asked: list[tuple[str, str, list[str]]] = []

    def tree(self, name, release, packages, say, finish):
        self.asked.append((name, release, packages))
        version = packages[0].partition("=")[2]
        if version not in self.offered:
            raise NotOffered(f"no {packages[0]}")
        root = self.place / name
        kind = "efi" if "efi" in name else "gz"
        boot, symbols = root / "boot", root / "usr/lib/debug/boot"
        boot.mkdir(parents=True)
        symbols.mkdir(parents=True)
        number = packages[0].split("-")[2]
        image = boot / f"xen-{number}-amd64.{kind}"
        image.write_bytes(gzip.compress(ELF, mtime=0) if kind == "gz" else b"MZ an image")
        (boot / f"xen.{kind}").symlink_to(image)
        (symbols / f"xen-syms-{number}-amd64").write_bytes(b"symbols")
        if number != "4.17":
            (symbols / f"xen-{number}-amd64.efi.elf").write_bytes(b"efi symbols")
        finish(root)
        return root


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Call it with the versions that are offered."""

    def set_up(*offered):
        made = Mirror(tmp_path / "cache", *offered)
        monkeypatch.setattr(xen, "tree", made.tree)
        return made

    return set_up


@pytest.mark.parametrize("number", DEBIAN)
def test_debians_build_of_the_version_that_is_known(mirror, number):
    release, version = DEBIAN[number]
    asked = mirror(version)
    build = debian(number, silent)
    assert build == Build(f"xen-{number}", build.image, build.symbols)
    assert (build.image.read_bytes(), build.symbols.read_bytes()) == (ELF, b"symbols")
    words = [f"xen-hypervisor-{number}-amd64={version}", f"xen-hypervisor-{number}-amd64-dbg={version}"]
    assert asked.asked == [(f"xen-{version}", release, words)]
    left = {path.name for path in build.image.parent.iterdir()}
    assert left == {"xen", "xen-syms", "usr"}, "what is kept is what is needed"


def test_the_newest_where_that_version_has_gone_and_it_is_said(mirror):
    asked, said = mirror(""), []
    build = debian("4.20", said.append)
    assert build.image.read_bytes() == ELF
    assert [name for name, *_ in asked.asked] == [f"xen-{DEBIAN['4.20'][1]}", "xen-4.20-newest"]
    assert said == [
        f"Debian trixie no longer has Xen {DEBIAN['4.20'][1]}: taking its newest 4.20, whose layout may differ"
    ]


@pytest.mark.parametrize(("number", "symbols"), [("4.20", b"efi symbols"), ("4.17", None)])
def test_as_an_efi_image_with_the_symbols_that_there_are(mirror, number, symbols):
    mirror(DEBIAN[number][1])
    build = xen.debian_efi(number, silent)
    assert (build.name, build.image.read_bytes()) == (f"xen-{number}-efi", b"MZ an image")
    assert (build.symbols and build.symbols.read_bytes()) == symbols


def test_packages_that_are_not_as_they_were(mirror, monkeypatch):
    made = mirror(DEBIAN["4.20"][1])
    whole = made.tree

    def other(name, release, packages, say, finish):
        def broken(root):
            for path in (root / "boot").iterdir():
                path.unlink()
            finish(root)

        return whole(name, release, packages, say, broken)

    monkeypatch.setattr(xen, "tree", other)
    with pytest.raises(LabError, match=r"do not hold one boot/xen-\*.gz and one xen-syms"):
        debian("4.20", silent)
    with pytest.raises(LabError, match=r"does not hold one boot/xen-\*.efi"):
        xen.debian_efi("4.20", silent)


def test_a_number_that_debian_has_not():
    with pytest.raises(LabError, match=r"no Xen 4\.99: the lab knows 4.17 and 4.20, or your own with --xen-image"):
        debian("4.99", silent)


def test_what_a_recipe_means(mirror, tmp_path, monkeypatch):
    mirror(DEBIAN["4.20"][1])
    monkeypatch.chdir(tmp_path)
    for name in ("xen.gz", "xen-syms"):
        (tmp_path / name).touch()
    paths = Path("xen.gz"), Path("xen-syms")
    absolute = Build("own-xen", tmp_path / "xen.gz", tmp_path / "xen-syms")
    assert chosen(Recipe(image=paths[0], symbols=paths[1]), silent) == own(*paths) == absolute
    assert own(paths[0], None).symbols is None
    assert chosen(Recipe(capture=Path("a.core")), silent) == Build("capture", tmp_path / "a.core", None)
    assert chosen(Recipe(uefi=True), silent).name == "xen-4.20-efi"
    assert chosen(Recipe(uefi=True, image=paths[0]), silent).name == "own-xen"


def test_grub_starts_the_image_that_a_bios_would(mirror):
    mirror(DEBIAN["4.20"][1])
    assert chosen(Recipe(uefi=True, grub=True), silent).name == "xen-4.20"


@pytest.mark.parametrize("missing", ["image", "symbols"])
def test_an_own_file_that_is_not_there(tmp_path, missing):
    paths = {name: tmp_path / name for name in ("image", "symbols")}
    for name, path in paths.items():
        if name != missing:
            path.touch()
    with pytest.raises(LabError, match=f"{tmp_path}/{missing}: no such file"):
        own(**paths)
    with pytest.raises(LabError, match="no such file"):
        own(tmp_path, None)


class TestLoadable:
    def test_an_elf_file_stays_where_it_is(self, tmp_path):
        image = tmp_path / "xen-elf"
        image.write_bytes(ELF)
        assert loadable(image, tmp_path) == image

    def test_a_packed_one_is_unpacked_into_the_lab(self, tmp_path):
        (tmp_path / "xen.gz").write_bytes(gzip.compress(ELF * 1000, mtime=0))
        assert loadable(tmp_path / "xen.gz", tmp_path).read_bytes() == ELF * 1000
        assert (tmp_path / "xen.gz").read_bytes() == gzip.compress(ELF * 1000, mtime=0), "it is the user's"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is no Xen that QEMU can start: not an ELF file, gzipped or not"),
            (b"MZ an EFI image", "is no Xen that QEMU can start"),
            (gzip.compress(b"text", mtime=0), "is no Xen that QEMU can start"),
            (gzip.compress(ELF * 1000, mtime=0)[:-9], "cannot be read: Compressed file ended"),
            (b"\x1f\x8b" + bytes(30), "cannot be read: "),
            (gzip.compress(ELF, mtime=0)[:12] + b"\xff" * 40, "cannot be read: "),
            (None, "cannot be read: .*No such file"),
        ],
    )
    def test_what_qemu_could_not_start(self, tmp_path, content, said):
        image = tmp_path / "image"
        if content is not None:
            image.write_bytes(content)
        with pytest.raises(LabError, match=said) as caught:
            loadable(image, tmp_path)
        assert "\n" not in str(caught.value)
