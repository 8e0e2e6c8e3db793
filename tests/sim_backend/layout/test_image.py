"""The hypervisor image."""

from __future__ import annotations


def test_the_build_id_note_is_where_the_profile_says(layout):
    note = layout.memory.read(layout.symbol("__note_gnu_build_id_start"), 36)
    assert note[16:].hex() == layout.profile.build_id
    assert layout.symbol("__note_gnu_build_id_end") - layout.symbol("__note_gnu_build_id_start") == len(note)
