"""Which files a survey looks at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inspector.base.errors import TargetError, UsageError
from inspector.batch.evidence import Evidence, at_hand, found


@pytest.fixture
def folder(tmp_path):
    for name in ("b.log", "a.core", "sub/c.log"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_files_folders_and_globs_each_once_and_in_order(folder):
    names = [str(folder / name) for name in ("a.core", "b.log", "sub/c.log")]
    assert [each.path for each in found([str(folder)])] == names
    assert [each.path for each in found([str(folder / "*.log"), names[1], names[0]])] == [names[1], names[0]]
    assert [each.path for each in found([str(folder / "**" / "*.log")])] == names[1:]
    status = os.stat(names[0])
    assert found([names[0]]) == [Evidence(names[0], 6, str(status.st_mtime_ns))]


def test_a_name_with_a_globs_letters_is_a_name(folder):
    (folder / "what[1]?").write_bytes(b"x")
    assert [each.path for each in found([str(folder / "what[1]?")])] == [str(folder / "what[1]?")]


def test_a_dangling_link_is_a_file_that_cannot_be_read(folder):
    (folder / "sub" / "link").symlink_to("nowhere")
    assert Evidence(str(folder / "sub" / "link"), None, "") in found([str(folder)])


@pytest.mark.parametrize("word", ["nothing-here", "*.nothing", "nonsense://x/y", "memory://not/there"])
def test_nothing_of_that_name(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no file there|no URL that can be read here"):
        found([word])


def test_urls():
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/kept/one.log": b"1", "/kept/sub/two.log": b"22"})
    names = ["memory:///kept/one.log", "memory:///kept/sub/two.log"]
    assert [(each.path, each.size) for each in found(["memory://kept"])] == [(names[0], 1), (names[1], 2)]
    assert all(each.modified for each in found(["memory://kept"]))
    assert [each.path for each in found(["memory://kept/*.log"])] == names[:1]
    with at_hand(names[1]) as path:
        assert Path(path).read_bytes() == b"22"
    assert not os.path.exists(path)
    memory.rm("/kept/one.log")
    with pytest.raises(TargetError, match=r"memory:///kept/one.log cannot be fetched"), at_hand(names[0]):
        pass


def test_a_file_of_this_machine_is_at_hand_as_it_is(folder):
    with at_hand(str(folder / "b.log")) as path:
        assert path == str(folder / "b.log")


def test_a_link_to_a_folder_elsewhere_is_told_and_one_within_is_not(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "far.log").write_bytes(b"x")
    before = [each.path for each in found([str(folder)])]
    (folder / "sub" / "loop").symlink_to("..")
    (folder / "far").symlink_to(outside)
    assert {each.path for each in found([str(folder)])} - set(before) == {str(folder / "far")}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_told(folder):
    (folder / "sub").chmod(0)
    try:
        assert str(folder / "sub") in [each.path for each in found([str(folder)])]
    finally:
        (folder / "sub").chmod(0o700)


def test_a_folder_that_went_away_is_told(folder, monkeypatch):
    def walk(top, onerror):
        yield top, ["gone"], ["a.core"]
        onerror(FileNotFoundError(2, "No such file or directory", os.path.join(top, "gone")))

    (folder / "gone").symlink_to("nowhere")
    monkeypatch.setattr(os, "walk", walk)
    assert [each.path for each in found([str(folder)])] == [str(folder / "a.core"), str(folder / "gone")]


def test_a_file_that_is_left_out(folder):
    (folder / "link").symlink_to("b.log")
    assert [each.path for each in found([str(folder)], but=str(folder / "b.log"))] == [
        str(folder / "a.core"),
        str(folder / "sub" / "c.log"),
    ]


def test_a_glob_of_all_below_does_not_go_through_links(tmp_path):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    for folder in (elsewhere / "deep", here / "sub"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    (here / "link").symlink_to(elsewhere)
    (here / "alias").symlink_to(elsewhere / "deep" / "file")
    names = [os.path.relpath(each.path, here) for each in found([f"{here}/**"])]
    assert sorted(names) == ["alias", "link", "sub/file"]
    by_name = found([f"{here}/*/deep/*"])
    assert [os.path.relpath(each.path, here) for each in by_name] == ["link/deep/file"]
