"""Which profile a name means."""

from __future__ import annotations

import json

import pytest

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.layout.profiles import named
from sim_backend.memory.errors import SimError


def test_a_name_means_the_newest_that_it_fits():
    assert named("4.20.3").version.startswith("4.20.3+127")
    assert named("4.20").version.startswith("4.20.4+63")
    assert named().version.startswith("4.20.4+63")
    assert named("ea92b6") is named("4.20.3")
    with pytest.raises(SimError, match=r"no bundled profile is called '4\.99'; there are 4\.17\.5.*ends in \.json"):
        named("4.99")


def test_a_file_is_the_users_own(tmp_path):
    document = json.loads(json.dumps(named("4.17").document))
    document["metadata"]["xen"] |= {"build_id": "00ff", "version": "4.17-mine"}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    layout = Layout(LayoutConfig(str(path)))
    assert layout.memory.read(layout.symbol("__note_gnu_build_id_start") + 16, 2) == b"\0\xff"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"metadata": {"xen": 3}}'])
def test_a_file_that_is_none_is_told(content, tmp_path):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SimError, match=r"bad\.json: cannot be read: No such file|bad\.json: not a profile"):
        named(str(path))
