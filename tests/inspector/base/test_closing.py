"""`with` closes it, whatever happens within."""

from __future__ import annotations

import pytest

from inspector.base.closing import Closing


class Door(Closing):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_it_is_closed_once_and_is_what_with_names() -> None:
    door = Door()
    with door as named:
        assert named is door
        assert door.closed == 0
    assert door.closed == 1


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_goes_on_after_it_was_closed(kind: type[BaseException]) -> None:
    door = Door()
    with pytest.raises(kind), door:
        raise kind
    assert door.closed == 1


def test_one_that_cannot_close_is_none() -> None:
    class Open(Closing):
        pass

    with pytest.raises(TypeError, match="close"):
        Open()  # type: ignore[abstract]
