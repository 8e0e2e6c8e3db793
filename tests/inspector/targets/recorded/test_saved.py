"""Saved snapshots: what was saved, and one line about what is none."""

from __future__ import annotations

import pytest

from inspector.base.errors import TargetError
from inspector.model.snapshot import SCHEMA, Cpu, Snapshot, Vcpu, dumps
from inspector.targets.recorded.saved import saved

SNAPSHOT = Snapshot("a machine", version="4.20.3", vcpus=(Vcpu(1, 0), Vcpu(1, 1)), cpus=(Cpu(0, 3),))


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "now.json"
    made.write_text(dumps(SNAPSHOT))
    return made


def test_it_is_what_was_saved(path):
    with saved(path) as target:
        assert target.snapshot == SNAPSHOT
        assert target.description == f"snapshot {path}"
        assert list(target.files) == [str(path)]


def test_a_newer_one_asks_for_a_newer_program(path):
    path.write_text(path.read_text().replace(f'"schema":{SCHEMA}', '"schema":99'))
    with pytest.raises(TargetError, match="use a newer vtdpi"):
        saved(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_one_that_is_cut_is_told(path, part):
    text = path.read_text()
    path.write_text(text[: int(len(text) * part)])
    with pytest.raises(TargetError) as error:
        saved(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"format": "other"}', "[" * 5000])
def test_other_documents_are_none(path, text):
    path.write_text(text)
    with pytest.raises(TargetError):
        saved(path)


def test_what_cannot_be_read(tmp_path):
    for make in (lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe")):
        path = tmp_path / "file"
        make(path)
        with pytest.raises(TargetError, match="cannot be read"):
            saved(path)
        if path.is_dir():
            path.rmdir()
