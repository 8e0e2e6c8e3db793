"""How the program ends: never with a traceback, and with 1 only by the audit's or `expect`'s word."""

from __future__ import annotations

import pytest

from inspector.base import signals
from inspector.frontends import cli, entry


@pytest.fixture
def ends(monkeypatch, capfd):
    """Has the command line end like this: the exit status, and what was printed."""

    def run(ending):
        def main():
            if isinstance(ending, BaseException):
                raise ending
            return ending

        monkeypatch.setattr(cli, "main", main)
        monkeypatch.setattr(signals, "install", lambda: None)
        monkeypatch.setattr(signals, "ignore", lambda: None)
        status = entry.main()
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        return status, printed.err

    return run


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_a_status_is_passed_on(ends, status):
    assert ends(status) == (status, "")


@pytest.mark.parametrize(
    ("ending", "status"), [(SystemExit(), 0), (SystemExit(0), 0), (SystemExit(2), 2), (SystemExit("words"), 2)]
)
def test_so_is_that_of_argparse(ends, ending, status):
    assert ends(ending)[0] == status


def test_ctrl_c_is_one_line(ends):
    status, said = ends(KeyboardInterrupt())
    assert status == 130
    assert entry.INTERRUPTED in said
    assert said.count("\n") == 1


def test_a_bug_of_ours_is_one_line_with_its_place(ends):
    status, said = ends(ZeroDivisionError("by zero"))
    assert status == 3
    assert "a bug of vtdpi itself: ZeroDivisionError: by zero (test_entry.py:" in said
    assert said.count("\n") == 1


def test_all_of_it_is_shown_if_asked_for(monkeypatch, capfd):
    monkeypatch.setenv("VTDPI_TRACEBACK", "1")
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        line = entry._unforeseen(error)
    assert "Traceback" in capfd.readouterr().err
    assert "\n" not in line
