"""What Bochs shows of a local APIC, as it was seen. That a post arrives is in tests/live."""

from __future__ import annotations

import pytest

from inspector.lab import LabError
from inspector.lab.hvm import post

SHOWN = "local_apic = {\n" + "".join(
    f"  {name}{number} = 0x{0x04000000 if (name, number) == ('isr', 7) else 0:08x}\n"
    for number in range(8)
    for name in ("isr", "tmr", "irr")
)


def test_isr_tmr_and_irr_are_put_in_the_order_of_memory() -> None:
    assert post._lapic(SHOWN) == [*[0] * 7, 0x04000000, *[0] * 16]


def test_another_build_is_one_line() -> None:
    with pytest.raises(LabError, match="another build"):
        post._lapic(SHOWN.replace("irr3", "other"))
