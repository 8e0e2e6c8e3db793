"""`vtdpi lab`, the whole way: a real QEMU, a real Xen, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from inspector.lab import LabError, process, xen
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.hex_members import numbers
from inspector.profiles import store as profiles
from inspector.targets.live.qmp import Qmp
from tests.inspector.conftest import check_schema

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


def checked(output):
    """The document that was printed, which is as its schema says."""
    document = json.loads(output)
    check_schema(document)
    return numbers(document)


class Cli:
    """`vtdpi lab` with a state directory of its own."""

    def __init__(self, state: Path) -> None:
        self.home = state / "vtdpi" / "lab"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(state)}

    def start(self, words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "inspector.frontends.cli", "lab", *shlex.split(words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def __call__(self, words: str) -> tuple[int, str, str]:
        with self.start(words) as running:
            output, errors = running.communicate(timeout=120)
        return running.returncode, output, errors

    def left(self) -> list[object]:
        """What there is on disk and among the processes."""
        files = list(self.home.rglob("*"))
        words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.exists()]
        return files + [word for word in words if os.fsencode(self.home) in word]


@pytest.fixture
def cli(labs: object, tmp_path: Path) -> Cli:
    return Cli(tmp_path / "state")


def test_up_list_attach_keys_down(cli: Cli) -> None:
    status, output, errors = cli("up --xen 4.17 --name first")
    assert (status, "Traceback" in errors) == (0, False), errors
    attach = shlex.split(output.splitlines()[-1])
    assert attach[:2] == ["vtdpi", "live"]
    assert attach[3::2] == ["--symbols", "--qmp"]
    status, listed, _ = cli("list")
    assert status == 0
    assert [line.split()[0] for line in listed.splitlines()] == ["first"]
    assert shlex.join(attach) in listed

    gdb = ["gdb", "-nx", "-batch", "-ex", "set architecture i386:x86-64", "-ex", f"target remote {attach[2]}"]
    shown = subprocess.run([*gdb, "-ex", "info registers rip", "-ex", "detach"], capture_output=True, text=True)
    assert re.search(r"^rip +0xffff82", shown.stdout, re.MULTILINE), shown
    with Qmp(attach[6]) as qmp:
        assert qmp.execute("query-status")["running"]

    status, listed, _ = cli("list --json")
    assert [lab["gdb"] for lab in checked(listed)["labs"]] == [attach[2]]

    status, _, errors = cli("keys V first")
    assert status == 3
    assert "has panicked and halted for want of a dom0" in errors
    assert len(errors.splitlines()) == 1

    status, _, errors = cli("up --name first")
    assert (status, len(errors.splitlines())) == (3, 1)
    assert "is there already" in errors

    assert cli("down first")[:2] == (0, "first is down\n")
    assert cli.left() == []
    status, _, errors = cli("down first")
    assert status == 3
    assert "no lab first is running" in errors


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.0, 0.15, 0.4, 0.7])
def test_an_interrupted_start_leaves_nothing(cli: Cli, sent: signal.Signals, after: float) -> None:
    with cli.start("up --dom0") as running:
        assert running.stderr
        assert "starting xen-4.20-dom0" in running.stderr.readline()
        time.sleep(after)
        running.send_signal(sent)
        _, errors = running.communicate(timeout=10)
    assert running.returncode != 0
    assert "Traceback" not in errors
    assert cli.left() == []


def test_what_a_killed_start_leaves_is_cleaned_up_by_the_next_command(cli: Cli) -> None:
    with cli.start("up --dom0") as running:
        assert running.stderr
        running.stderr.readline()
        while not list(cli.home.glob("*/console.log")):
            time.sleep(0.01)
        running.kill()
    if not list(cli.home.glob("*/lab.json")):
        assert cli("list")[:2] == (0, "")
    else:
        assert cli("down")[0] == 0
    assert cli.left() == []


def test_a_qemu_that_was_killed_is_listed_no_more(cli: Cli) -> None:
    assert cli("up --xen 4.17")[0] == 0
    listed = cli("list")[1].split()
    os.kill(int(listed[listed.index("process") + 1]), signal.SIGKILL)
    while process.given(cli.home / "xen-4.17" / "console.log"):
        time.sleep(0.01)
    assert cli("list")[:2] == (0, "")
    assert cli.left() == []


def test_down_ends_a_qemu_that_does_not_answer(cli: Cli) -> None:
    assert cli("up --xen 4.17")[0] == 0
    listed = cli("list")[1].split()
    os.kill(int(listed[listed.index("process") + 1]), signal.SIGSTOP)
    assert cli("down --all")[0] == 0
    assert cli.left() == []


def test_a_lab_started_stopped_waits_for_its_first_instruction(labs: object) -> None:
    with Lab.up(Recipe(xen="4.17", stopped=True)) as lab:
        with Qmp(lab.qmp) as qmp:
            assert qmp.execute("query-status")["status"] == "prelaunch"
        with pytest.raises(LabError, match="the machine is stopped"):
            lab.keys("V")


def test_two_clients_of_qmp_and_a_deep_state_directory(
    labs: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "with spaces, and commas" / ("x" * 100)
    monkeypatch.setenv("XDG_STATE_HOME", str(deep))
    with Lab.up(Recipe(xen="4.17")) as lab:
        assert len(os.fsencode(lab.qmp)) < 108
        with Qmp(lab.qmp):
            assert [one.name for one in Lab.all()] == [lab.name]
            lab.down()
        assert not lab.qmp.parent.exists()
    assert Lab.all() == []


def test_an_interrupted_download_and_two_at_once(cli: Cli, tmp_path: Path) -> None:
    cli.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    cache = tmp_path / "cache" / "vtdpi" / "lab"
    with cli.start("up --xen 4.17") as running:
        assert running.stderr
        while (line := running.stderr.readline()) and "downloading" not in line:
            if "cannot be fetched" in line and "CI" not in os.environ:
                pytest.skip(line)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=20)
    assert (running.returncode, "Traceback" in errors) == (130, False)
    assert not list(cache.glob("xen-*"))
    assert not list(cache.glob(".unpack-*"))

    with cli.start("up --xen 4.17") as one, cli.start("up --xen 4.17") as other:
        errors = [running.communicate(timeout=120)[1] for running in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), errors
    assert sum("waiting for another vtdpi lab" in text for text in errors) == 1
    assert len(list(cache.glob("xen-*"))) == 1
    assert [line.split()[0] for line in cli("list")[1].splitlines()] == ["xen-4.17", "xen-4.17-2"]
    assert cli("down --all")[0] == 0
    assert cli.left() == []


def test_ones_own_xen_gzipped(labs: object, cli: Cli, tmp_path: Path) -> None:
    with Lab.up(Recipe(xen="4.17")) as lab:
        packed = tmp_path / "xen.gz"
        packed.write_bytes(gzip.compress(lab.image.read_bytes()))
        status, output, errors = cli(f"up --xen-image {packed} --symbols {lab.symbols} --json")
        assert status == 0, errors
        record = checked(output)
        assert record["symbols"] == str(lab.symbols)
        assert "Remapping enabled" in Path(record["console"]).read_text()
    assert cli("down")[0] == 0
    assert cli.left() == []


def test_xen_alone_is_ready_when_remapping_is_on(lab_xen: Lab) -> None:
    text = lab_xen.console.read_text()
    assert "Intel VT-d Interrupt Remapping enabled" in text
    assert "Could not construct domain 0" in text
    assert lab_xen.symbols
    assert lab_xen.symbols.read_bytes()[:4] == b"\x7fELF"


def test_a_dom0_has_msix_entries_and_answers_keys(lab_dom0: Lab) -> None:
    rows = re.findall(r"^\(XEN\) R:  ([0-9a-f]{4}): .* ([0-9a-f]{4}) [0-9a-f]{2} ", lab_dom0.keys("V"), re.MULTILINE)
    assert [int(index, 16) for index, _ in rows] == list(range(len(rows)))
    assert [source for _, source in rows].count("0008") == 3
    assert [source for _, source in rows].count("0010") == 2
    messages = lab_dom0.keys("M")
    assert messages.count("MSI-X") == 5
    assert lab_dom0.keys("h").count("=>") > 20
    assert lab_dom0.keys("M") == messages
    assert "Serial input" not in messages


def test_every_key_asked_is_answered_whole(lab_dom0: Lab) -> None:
    answers = [lab_dom0.keys("V") for _ in range(20)]
    assert len(set(answers)) == 1
    assert answers[0].count("(XEN) R:") > 24
    assert "Redirection table of IOAPIC 0" in answers[0]


def test_qemu10_takes_32_bit_destinations(lab_qemu10: Lab) -> None:
    with Qmp(lab_qemu10.qmp) as qmp:
        assert qmp.version >= (10, 0, 0)
        irta = qmp.execute("human-monitor-command", {"command-line": "xp /2wx 0xfed900b8"})
    assert int(irta.split()[1], 16) & 1 << 11, "IRTA.EIME"
    assert "(XEN) R:" in lab_qemu10.keys("V")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("up --xen 4.99", "no Xen 4.99: the lab knows 4.17 and 4.20"),
        ("up --xen-image /nonexistent", "/nonexistent: no such file"),
        ("up --xen-image /etc/passwd", "/etc/passwd is no Xen that QEMU can start"),
        ("up --qemu /nonexistent", "/nonexistent: no such program"),
        ("up --qemu /bin/false", "QEMU ended; it said: nothing"),
        ("up --qemu /etc/passwd", "no such program"),
        ("up --name ../x", "a lab's name is made of"),
        ("up --memory 8", "Xen panicked: Not enough memory to relocate Xen"),
        ("up --dom0 --memory 64", "64 MiB of memory are too little: this lab needs 384"),
        ("keys V", "no lab is running"),
        ("keys V nosuch", "no lab nosuch is running"),
        ("down nosuch", "no lab nosuch is running"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(cli: Cli, words: str, expected: str) -> None:
    status, output, errors = cli(words)
    assert (status, output) == (3, "")
    assert expected in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert cli.left() == []


def test_a_version_that_the_mirrors_no_longer_have(
    monkeypatch: pytest.MonkeyPatch, unavailable: Callable[[object], NoReturn]
) -> None:
    monkeypatch.setitem(xen.DEBIAN, "4.20", ("trixie", "4.20.0-1"))
    said: list[str] = []
    try:
        build = xen.debian("4.20", said.append)
    except LabError as error:
        unavailable(error)
    assert "Debian trixie no longer has Xen 4.20.0-1: taking its newest 4.20, whose layout may differ" in said
    assert build.symbols
    assert profiles.of_symbols(build.symbols).version.startswith("4.20.")


def test_a_lab_whose_qemu_died_makes_room_for_another_of_its_name(cli: Cli) -> None:
    assert cli("up --xen 4.20 --name again")[0] == 0
    pid = checked(cli("list --json")[1])["labs"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    while process.is_given(pid, cli.home / "again" / "console.log"):
        time.sleep(0.01)
    status, _, errors = cli("up --xen 4.20 --name again")
    assert status == 0, errors
    assert "is there already" in cli("up --xen 4.20 --name again")[2]
    assert cli("down again")[0] == 0
    assert not [path for path in cli.home.iterdir() if path.is_dir()]


def test_nobody_else_can_open_the_sockets(cli: Cli, tmp_path: Path) -> None:
    """Whoever can drive QEMU through its stub or monitor is its user."""
    if os.geteuid():
        pytest.skip("to be another user takes root")
    assert cli("up --xen 4.20 --name mine")[0] == 0
    try:
        lab = checked(cli("list --json")[1])["labs"][0]
        for parent in (cli.home, *cli.home.parents):
            if parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        somebody = "import os, socket, sys\nos.setgid(65534); os.setuid(65534)\n"
        connect = f"{somebody}socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        write = f"{somebody}os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)\n"
        for name in ("gdb", "qmp", "control", "serial"):
            # The console is a pipe, whose path may be longer than a socket's.
            words = [sys.executable, "-c", write if Path(lab[name]).is_fifo() else connect, lab[name]]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert "PermissionError" in done.stderr, (name, done.stderr)
    finally:
        cli("down mine")
