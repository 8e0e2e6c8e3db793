"""Which profiles a name means."""

from __future__ import annotations

import pytest

from structs.xen.errors import ProfileError
from structs.xen.named import age, bundled, is_file_name, matching, of_file


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("4.20", ["4.20.4", "4.20.3"]),
        ("4.20.3", ["4.20.3"]),
        ("4.20.3+127-gc42374a105-0+deb13u1", ["4.20.3"]),
        ("4.2", []),
        ("4", ["4.20.4", "4.20.3", "4.17.5"]),
        ("ea92", ["4.20.3"]),
        ("EA92", ["4.20.3"]),
        ("", []),
    ],
)
def test_a_beginning_means_all_that_begin_so_the_newest_first(name, versions):
    assert [profile.version.partition("+")[0] for profile in matching(name, bundled())] == versions


def test_versions_are_compared_by_numbers():
    newest, *_ = matching("4.20", bundled())
    assert age(newest)[:3] == [4, 20, 4]


def test_a_file_is_told_by_its_name(tmp_path):
    assert is_file_name("mine.json")
    assert is_file_name("./4.20")
    assert not is_file_name("4.20")
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        of_file(tmp_path / "mine.json")
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(ProfileError, match="not a profile"):
        of_file(tmp_path / "mine.json")
