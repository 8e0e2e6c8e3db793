"""What goes wrong is said in one line."""

from __future__ import annotations

import pytest

from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import Memory


@pytest.mark.parametrize(
    "access", [lambda m: m.u8(-1), lambda m: m.u64(0xFFF), lambda m: m.write(0xFFFF, b"ab"), Memory]
)
def test_one_line_and_no_other_kind_of_error(access):
    with pytest.raises(SimError) as error:
        access(Memory(0x10000) if access is not Memory else 1)
    assert str(error.value)
    assert "\n" not in str(error.value)
