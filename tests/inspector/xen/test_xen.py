"""What of reading Xen is its own."""

from __future__ import annotations

from inspector.xen.xen import image_base


def test_the_image_has_its_own_gibibyte():
    assert image_base(0xFFFF82D0402301B2) == 0xFFFF82D040000000
