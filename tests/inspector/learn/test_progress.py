"""Which lessons are finished is kept, where it can be."""

from __future__ import annotations

import pytest

from inspector.learn.progress import finish, finished


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "vtdpi"


def test_each_is_kept_once():
    assert finished() == frozenset()
    for name in ("02-on", "01-a-post", "02-on"):
        finish(name)
    assert finished() == {"01-a-post", "02-on"}


def test_a_file_that_is_no_text_is_as_good_as_none(state):
    state.mkdir()
    (state / "lessons").write_bytes(b"\xff\xfe")
    assert finished() == frozenset()
