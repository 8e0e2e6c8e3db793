"""Starting a program in QEMU's place, and what its console shows. That QEMU and Xen do so: tests/live/test_lab.py."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from inspector.lab import LabError, boot, process, silent

SOON = 0.05
"""Seconds after which a wait that cannot end has to end."""
NO_DOM0 = (
    b"(XEN) Panic on CPU 0:\r\n(XEN) Could not construct domain 0\r\n"
    b"(XEN) Manual reset required ('noreboot' specified)\r\n"
)


@pytest.fixture
def console(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.touch()
    return path


class TestSpawn:
    def test_it_runs_in_its_directory_in_a_session_of_its_own(self, console: Path) -> None:
        tell = "import os, time; print(os.getcwd(), os.getsid(0), flush=True); time.sleep(600)"
        pid = boot.spawn([sys.executable, "-S", "-c", tell, f"x,logfile={console}"], console)
        try:
            log = console.with_name("qemu.log")
            deadline = time.monotonic() + 30
            while not log.read_text().endswith("\n") and time.monotonic() < deadline:
                time.sleep(0.005)
            assert log.read_text().split() == [str(console.parent), str(pid)]
            assert process.is_given(pid, console)
        finally:
            assert process.end(pid, console)

    def test_a_program_that_is_not_there(self, console: Path) -> None:
        with pytest.raises(LabError, match="/no/qemu cannot be run: No such file or directory"):
            boot.spawn(["/no/qemu"], console)

    def test_one_that_ends_at_once_does_not_hold_it_up(self, console: Path) -> None:
        pid = boot.spawn([sys.executable, "-S", "-c", "import sys; sys.exit('no accelerator')"], console)
        with pytest.raises(LabError, match="QEMU ended; it said: no accelerator; the console's last lines: nothing"):
            boot.wait_until_up(pid, console, False, time.monotonic() + 30, silent)


class TestMonitor:
    def test_it_answers(self, console: Path, tmp_path: Path, stand_in) -> None:
        control = tmp_path / "control"
        boot.wait_for_monitor(stand_in(console, control).pid, control, console, time.monotonic() + 30)

    def test_it_is_waited_for(self, console: Path, tmp_path: Path, stand_in) -> None:
        control = tmp_path / "control"
        pid = stand_in(console).pid
        started = threading.Timer(SOON, stand_in, (console, control))
        started.start()
        boot.wait_for_monitor(pid, control, console, time.monotonic() + 30)
        started.join()

    def test_a_qemu_that_never_listens(self, console: Path, tmp_path: Path, stand_in) -> None:
        with pytest.raises(LabError, match=r"QEMU does not answer: .*No such file"):
            boot.wait_for_monitor(stand_in(console).pid, tmp_path / "none", console, time.monotonic() + SOON)

    def test_a_qemu_that_has_ended(self, console: Path, tmp_path: Path) -> None:
        console.with_name("qemu.log").write_text("\nCould not access KVM kernel module\n")
        console.write_text("(XEN) one\n(XEN) two\n(XEN) three\n")
        said = r"QEMU ended; it said: Could not access KVM kernel module; .* lines: \(XEN\) two \| \(XEN\) three"
        with pytest.raises(LabError, match=said):
            boot.wait_for_monitor(os.getpid(), tmp_path / "none", console, time.monotonic() + 30)

    def test_one_that_becomes_another_program_is_ended(self, console: Path, tmp_path: Path, stand_in) -> None:
        """Known by its path when it was started: the script's words went with its exec."""
        pid = stand_in(tmp_path / "other").pid
        with pytest.raises(LabError, match="runs something else: its process has not the words"):
            boot.wait_for_monitor(pid, tmp_path / "none", console, time.monotonic() + 30)
        assert not Path(f"/proc/{pid}").exists()


class TestUp:
    @pytest.mark.parametrize(
        ("dom0", "text"),
        [
            (False, NO_DOM0),
            (False, NO_DOM0.replace(b"construct domain", b"set up DOM").replace(b"\r", b"")),
            (False, NO_DOM0.replace(b"construct domain 0", b"create d0")),
            (True, b"(XEN) x\r\nvtdpi lab: dom0 is ready\r\n"),
        ],
    )
    def test_xen_is_up(self, console: Path, stand_in, dom0: bool, text: bytes) -> None:
        console.write_bytes(text.replace(b"DOM 0", b"dom0"))
        boot.wait_until_up(stand_in(console).pid, console, dom0, time.monotonic() + 30, silent)

    def test_it_is_read_as_it_grows_at_whatever_byte(self, console: Path, stand_in) -> None:
        def grow() -> None:
            with console.open("ab", buffering=0) as file:
                for start in range(0, len(NO_DOM0), 7):
                    file.write(NO_DOM0[start : start + 7])
                    time.sleep(0.002)

        writer = threading.Thread(target=grow)
        writer.start()
        boot.wait_until_up(stand_in(console).pid, console, False, time.monotonic() + 30, silent)
        writer.join()

    @pytest.mark.parametrize("dom0", [False, True])
    def test_another_panic_is_told_at_once(self, console: Path, stand_in, dom0: bool) -> None:
        console.write_bytes(NO_DOM0.replace(b"Could not construct domain 0", b"Bad \xff IO-APIC"))
        with pytest.raises(LabError, match=r"Xen panicked: Bad \ufffd IO-APIC$"):
            boot.wait_until_up(stand_in(console).pid, console, dom0, time.monotonic() + 30, silent)

    def test_for_want_of_the_dom0_that_it_was_given_is_a_panic(self, console: Path, stand_in) -> None:
        console.write_bytes(NO_DOM0)
        with pytest.raises(LabError, match="Xen panicked: Could not construct domain 0"):
            boot.wait_until_up(stand_in(console).pid, console, True, time.monotonic() + 30, silent)

    def test_a_linux_is_up_when_it_says_so(self, console: Path, stand_in) -> None:
        console.write_bytes(b"[    3.2] x\r\nvtdpi lab: linux is ready\r\n")
        boot.wait_until_linux_is_up(stand_in(console).pid, console, time.monotonic() + 30, silent)

    def test_a_linux_that_panicked_is_told_at_once(self, console: Path, stand_in) -> None:
        console.write_bytes(b"[    0.1] Kernel panic - not syncing: timer doesn't work\r\n[    0.2] ---\r\n")
        with pytest.raises(LabError, match=r"Linux panicked: timer doesn't work$"):
            boot.wait_until_linux_is_up(stand_in(console).pid, console, time.monotonic() + 30, silent)

    def test_a_deadline(self, console: Path, stand_in, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boot, "SIGN_OF_LIFE", SOON / 4)
        console.write_text("(XEN) Brought up 1 CPUs\n")
        said: list[str] = []
        with pytest.raises(LabError, match=r"Xen is not up after 0 s; its last lines: \(XEN\) Brought up 1 CPUs"):
            boot.wait_until_up(stand_in(console).pid, console, False, time.monotonic() + SOON, said.append)
        assert said[0] == "still starting, 0 s: (XEN) Brought up 1 CPUs"
