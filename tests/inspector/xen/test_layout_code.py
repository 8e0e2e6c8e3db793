"""What Xen's machine code says of its structures: it proves the right layout, and no other."""

from __future__ import annotations

import pytest
from elftools.elf.elffile import ELFFile

from inspector.profiles import layouts
from inspector.profiles.dwarf import build_id_of
from inspector.profiles.image import Image
from inspector.xen import layout_code
from structs.xen.layout import Place, StructLayout

BASE = 0xFFFF82D040000000


@pytest.fixture(scope="module", params=["4.17", "4.20"])
def build(request, debian_xen):
    """A shipped image as it lies in memory, and its build-id."""
    path = debian_xen(request.param).symbols
    with path.open("rb") as file:
        segment = next(part for part in ELFFile(file).iter_segments() if part["p_type"] == "PT_LOAD")
        return Image(BASE, ((segment["p_vaddr"], segment.data()),)), build_id_of(path)


@pytest.mark.live
def test_it_proves_its_own_layout_and_no_member_of_another_that_lies_elsewhere(build):
    image, build_id = build
    proved = 0
    for struct in layout_code.ACCESSES:
        candidates = layouts.bundled()[struct]
        own = next(one.layout for one in candidates if build_id in {known.build_id for known in one.builds})
        for candidate in candidates:
            found = {path for path, _ in layout_code.said(image, candidate.layout)}
            if candidate.layout is own:
                proved += len(found)
                assert own.members.keys() & layout_code.MAY_BE_MISSING <= found
            assert not (found - own.members.keys()) & layout_code.MAY_BE_MISSING, "the build has no such member"
            for path in found & own.members.keys():
                assert candidate.layout.members[path] == own.members[path]
    assert proved >= 20


@pytest.mark.live
def test_a_function_that_is_not_there_proves_nothing(build):
    image, _ = build
    bare = Image(BASE, ())
    layout = StructLayout("vcpu", 4096, {"poll_evtchn": Place(312, 4)})
    assert list(layout_code.said(bare, layout)) == []
    assert list(layout_code.said(None, layout)) == []
    assert layout_code.accesses(image, "no_such_function") is None
