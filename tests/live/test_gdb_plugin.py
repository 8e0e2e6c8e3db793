"""vtdpi inside real gdbs, Debian 12's and 13's: the same JSON as the command line's, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import construct
import pexpect
import pytest

from inspector.frontends.cli import main
from inspector.gdb_plugin import install
from inspector.lab import Missing
from inspector.lab.machine import Recipe
from inspector.lab.packages import tree
from inspector.targets.live.qmp import Qmp
from inspector.targets.live.rsp import Address, Conversation
from sim_backend.machine.machine import Machine

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
PROMPT = r"\(gdb\) $"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """The file that gdb sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        return install.write()


class Gdb:
    """A gdb of some version, started anew for each call.

    Args:
        words: its command line.
        environment: set besides the tests' own.
        plugin: the file to source.
    """

    def __init__(self, words, environment, plugin):
        self.words = [*words, "-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
        unset = ("PYTHONPATH", "PYTHONHOME")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment = {**kept, "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", **environment}
        self.first = ["set width 0", "set confirm off", "set architecture i386:x86-64", f"source {plugin}"]

    def __call__(self, *commands, program=()):
        """What it prints for these commands, in batch mode: stdout and stderr."""
        words = [word for command in (*self.first, *commands) for word in ("-ex", command)]
        done = subprocess.run(
            [*self.words, "-batch", *program, *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
        )
        assert "Traceback" not in done.stderr
        assert "Python Exception" not in done.stderr
        return done.stdout, done.stderr

    def json(self, directory, asked, *before, after=()):
        """Each command's JSON document, once the commands `before` have run; and what gdb printed for `after`."""
        files = [directory / f"{number}.json" for number in range(len(asked))]
        pipes = [f"pipe vtdpi {command} --json | cat > {file}" for command, file in zip(asked, files, strict=True)]
        out, err = self(*before, *pipes, *after)
        assert all(file.read_text() for file in files), err
        return [json.loads(file.read_text()) for file in files], out

    def terminal(self, *commands):
        """It runs in a terminal, after these commands."""
        child = pexpect.spawn(
            self.words[0],
            [*self.words[1:], "-iex", "set style enabled off"],
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 150),
            env={**self.environment, "TERM": "dumb"},
        )
        child.expect(PROMPT)
        for command in (*self.first, *commands):
            child.sendline(command)
            child.expect(PROMPT)
        return child


@pytest.fixture(scope="session", params=["system", "trixie"])
def gdb(request, plugin, unavailable):
    """The system's gdb, and Debian 13's with its Python 3.13, run by its own dynamic loader."""
    if request.param == "system":
        if not shutil.which("gdb"):
            unavailable("gdb is missing: install the package gdb")
        return Gdb(["gdb"], {}, plugin)
    try:
        root = tree("gdb-trixie", "trixie", ["gdb", "python3-numpy"], print, dependencies=True)
    except Missing as error:
        unavailable(error)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    # Where numpy's libraries are until the packages' own scripts, which are not run, choose among several.
    path = ":".join(str(libraries / folder) for folder in (".", "blas", "lapack"))
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", path]
    words = [*loader, str(root / "usr/bin/gdb"), f"--data-directory={root}/usr/share/gdb"]
    return Gdb(words, {"PYTHONHOME": str(root / "usr")}, plugin)


@pytest.fixture
def cli(capsys):
    """Call it with a command line without its `--json` for the document."""

    def run(*words):
        capsys.readouterr()
        main([*map(str, words), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def machine(laid_out):
    machine = Machine(laid_out("one-device"), seed=7)
    machine.run(5000)
    return machine


def mode(address):
    with Conversation(Address.parse(address)) as stub:
        return stub.ask(b"qqemu.PhyMemMode")


DUMPED = ("info", "vcpus", "blocked", "audit", "pi d1v0", "dmar")


@pytest.mark.parametrize("name", ["lost-wakeup", "xapic-4-cpus"])
def test_a_real_capture(gdb, golden, symbols, cli, tmp_path, name):
    core = golden(name)
    commands = [command for command in DUMPED if command != "dmar"]
    documents, _ = gdb.json(tmp_path, commands, f"core-file {core}")
    assert documents == [cli("dump", core, *command.split()) for command in commands]
    assert any(vcpu["pi"] for vcpu in documents[1]["vcpus"])
    # Debian's xen-syms of the day need not be those of the capture: that is told, or makes no difference.
    documents, _ = gdb.json(tmp_path, commands, f"file {symbols}", f"core-file {core}")
    assert documents == [cli("dump", core, "--symbols", symbols, *command.split()) for command in commands]


def test_a_simulated_machines_core_with_and_without_symbols(gdb, machine, symbols, cli, tmp_path):
    from sim_backend.debug.elf_core import write_core

    core = tmp_path / "sim.core"
    write_core(machine, core)
    commands = [*DUMPED, "irt", "irte 0x18", "regs", "route irte 0x18"]
    expected = [cli("dump", core, *command.split()) for command in commands]
    for before in ([f"core-file {core}"], [f"file {symbols}", f"core-file {core}"]):
        answers = gdb.json(tmp_path, commands, *before)[0]
        assert [in_a_session(answer, alone) for answer, alone in zip(answers, expected, strict=True)] == expected


def in_a_session(answer, alone):
    """An answer without what earlier commands of the session found absent: what it has of that is at least its own."""
    absent, own = answer.pop("absent", []), alone.get("absent", [])
    assert [each for each in own if each not in absent] == []
    return {**answer, "absent": own} if own else answer


@pytest.mark.parametrize("found", [0, 1])
def test_the_simulations_stub(gdb, machine, server, symbols, cli, tmp_path, found):
    commands = ["info", "vcpus", "irt", "ioapic", "queue", "faults", "regs", "route irte 0x18", "audit"]
    steps = machine.steps
    expected = [cli("live", server.address, "--symbols", symbols, *command.split()) for command in commands]
    documents, out = gdb.json(
        tmp_path,
        commands,
        f"file {symbols}",
        f"target remote {server.address}",
        "thread 2",
        f"maintenance packet Qqemu.PhyMemMode:{found}",
        after=["maintenance packet qqemu.PhyMemMode", "thread", "maintenance packet Qqemu.PhyMemMode:0", "disconnect"],
    )
    assert documents == expected
    assert re.findall(r'received: "(.)"', out) == [str(found)]
    assert "[Current thread is 2" in out
    assert machine.steps == steps


def test_a_live_xen(gdb, labs, symbols, cli, tmp_path):
    lab = labs(Recipe(xen="4.20"))
    commands = [
        "info",
        "irt",
        "irte 1",
        "regs",
        "queue",
        "faults",
        "dmar",
        "ioapic",
        "vcpus",
        "route ioapic 1",
        "audit",
    ]
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
        expected = [cli("live", lab.gdb, "--symbols", symbols, *command.split()) for command in commands]
        documents, _ = gdb.json(tmp_path, commands, f"file {symbols}", f"target remote {lab.gdb}", after=["disconnect"])
        assert not qmp.execute("query-status")["running"]
        assert mode(lab.gdb) == b"0"
        qmp.execute("cont")
    assert documents == expected
    assert len(documents[1]["units"][0]["entries"]) == 24


def test_ctrl_c_leaves_mode_and_machine_as_found(gdb, labs, symbols):
    lab = labs(Recipe(xen="4.20"))
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
    child = gdb.terminal(f"file {symbols}", f"target remote {lab.gdb}", "set pagination off", "vtdpi info")
    interrupted = 0
    for delay in range(12):
        child.sendline("vtdpi irt")
        child.expect("\n")
        # What makes the time vary, so that Ctrl-C comes at various places.
        child.delaybeforesend = 0.01 * delay
        child.sendintr()
        child.expect(PROMPT)
        interrupted += "interrupted" in child.before
        assert "not responding" not in child.before
        child.delaybeforesend = 0.05
        child.sendline("echo drained\\n")
        child.expect("[\r\n]drained")
        child.expect(PROMPT)
        child.sendline("maintenance packet qqemu.PhyMemMode")
        child.expect('received: "(.)"')
        assert child.match[1] == "0"
        child.expect(PROMPT)
    assert interrupted
    child.sendline("vtdpi irt --posted")
    child.expect("24 present")
    child.expect(PROMPT)
    child.sendline("disconnect")
    child.expect(PROMPT)
    child.close(force=True)
    with Qmp(lab.control) as qmp:
        assert not qmp.execute("query-status")["running"]
        qmp.execute("cont")


def test_completion_knows_options_and_live_objects(gdb, server, symbols):
    out, _ = gdb(
        f"file {symbols}",
        f"target remote {server.address}",
        "complete vtdpi irte 0x001",
        "complete vtdpi route 00:03",
        "complete vtdpi irt --po",
        "complete vtdpi pi d1",
        "complete vtdpi aud",
        'python import sys; print("readline" in sys.modules)',
        "disconnect",
    )
    completed = re.findall(r"^vtdpi .*", out, re.MULTILINE)
    assert {f"vtdpi irte {index:#06x}" for index in (0x10, 0x17, 0x18)} < set(completed)
    assert {"vtdpi route 00:03.0", "vtdpi irt --posted", "vtdpi pi d1v0", "vtdpi audit"} <= set(completed)
    assert "\nFalse\n" in out


def test_the_tab_key_completes_before_any_command_ran(gdb, server, symbols):
    child = gdb.terminal(f"file {symbols}", f"target remote {server.address}")
    child.send("vtdpi pi d1v\t")
    child.expect("\x07")
    child.send("\t")
    child.expect(r"d1v0 +d1v1")
    child.sendintr()
    child.expect(PROMPT)
    child.send("info li\t")
    child.expect("info line")
    child.sendintr()
    child.expect(PROMPT)
    child.sendline("disconnect")
    child.expect(PROMPT)
    child.close(force=True)


def test_printers_show_the_specifications_fields(gdb, machine, symbols, cli, tmp_path):
    from sim_backend.debug.elf_core import write_core

    layout = machine.layout
    core = tmp_path / "sim.core"
    write_core(machine, core)
    described = cli("dump", core, "vcpus")["vcpus"][1]["pi"]
    row = next(row for row in cli("dump", core, "irt")["units"][0]["entries"] if row["format"] == "posted")
    vcpu = f"((struct vcpu *){layout.virtual(layout.vcpu(1, 0)):#x})"
    entry = f"*(struct iremap_entry *){layout.virtual(layout.irte(0, row['index'])):#x}"
    out, _ = gdb(
        f"file {symbols}", f"core-file {core}", f"p {vcpu}->arch.hvm.vmx.pi_desc", f"p {entry}", "info pretty-printer"
    )
    assert "global pretty-printers:" in out
    assert re.search(r"vtdpi\n +iremap_entry\n +pi_desc", out)
    lines = re.findall(r"^\$\d = (?:posted = )?{(.*)}$", out, re.MULTILINE)
    shown = [dict(re.findall(r"(\w+) = ({[^}]*}|\w+)", line)) for line in lines]
    assert {name: int(shown[0][name], 0) for name in ("on", "sn", "nv", "ndst")} == {
        name: described[name] for name in ("on", "sn", "nv", "ndst")
    }
    assert [int(vector, 0) for vector in re.findall(r"0x\w+", shown[0]["pir"])] == described["pir"]
    assert "$2 = posted = {" in out
    assert {name: int(shown[1][name], 0) for name in ("vector", "pda", "sid", "urg")} == {
        name: row[name] for name in ("vector", "pda", "sid", "urg")
    }


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("vtdpi irt", "vtdpi: gdb is attached to nothing; expected a machine: `target remote HOST:PORT`"),
        ("vtdpi cont", "vtdpi: gdb itself lets the machine run: `continue`"),
        ("vtdpi auditt", "did you mean audit?"),
        ("vtdpi irte", "vtdpi: the following arguments are required: "),
    ],
)
def test_what_is_wrong_is_one_line(gdb, command, said):
    _, err = gdb(command)
    assert said in err
    assert err.count("\n") == 1


@pytest.fixture
def served():
    """A `vtdpi sim --serve`, and where it listens."""
    words = [sys.executable, "-m", "inspector.frontends.cli", "sim", "--steps", "3000", "--serve", "127.0.0.1:0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        address = re.search(r"target remote (\S+);", process.stdout.readline())[1]
        yield process, address
        process.kill()


def test_a_machine_that_runs_is_not_read(gdb, served):
    _, err = gdb(f"target remote {served[1]}", "vtdpi blocked", "continue &", "vtdpi irt")
    assert f"vtdpi: QEMU at {served[1]} is running: interrupt it to read it\n" in err


def test_a_machine_that_dies_is_one_line(gdb, served):
    process, address = served
    out, err = gdb(
        f"target remote {address}", "vtdpi blocked", f"shell kill -9 {process.pid}; sleep 0.2", "vtdpi irt", "vtdpi irt"
    )
    assert "online" in out
    lines = [line for line in err.splitlines() if line.startswith("vtdpi: ")]
    assert len(lines) == 2
    assert "is gone" in lines[0] or "onnection" in lines[0]
    assert "attached to nothing" in lines[1]


def test_frame_and_thread_stay_selected(gdb, server, symbols):
    out, _ = gdb(
        f"file {symbols}", f"target remote {server.address}", "thread 2", "frame 1", "vtdpi info", "frame", "disconnect"
    )
    before, after = out.split("interrupt remapping")
    frame = re.search(r"^#1 .*", before, re.MULTILINE)
    assert frame
    assert frame[0] in after


def test_help_is_the_commands_own(gdb):
    out, _ = gdb("help vtdpi irt", "vtdpi irt --help", "help vtdpi", "help irt")
    assert "\nvtdpi irt --posted " in out
    assert "--device BDF" in out
    assert "\nvtdpi audit -- What is wrong with it.\n" in out


def test_a_numpy_that_does_not_fit_is_named_and_the_advice_helps(gdb, plugin, golden, tmp_path, unavailable):
    """As for a gdb whose Python is not the virtual environment's, and without Debian's python3-numpy."""
    without = tmp_path / "vtdpi.py"
    own = tmp_path / "own"
    text = plugin.read_text().replace(str(plugin.parent), str(own))
    # The virtual environment less its numpy, which is what another version's looks like to this Python.
    site = tmp_path / "site"
    site.mkdir()
    found = Path(construct.__file__).parents[1]
    for entry in found.iterdir():
        if not entry.name.startswith("numpy"):
            (site / entry.name).symlink_to(entry)
    without.write_text(text.replace(str(found), str(site)))
    bare = Gdb(gdb.words[: gdb.words.index("-nx")], gdb.environment, without)
    bare.first.insert(0, "python import sys; sys.path[:] = [p for p in sys.path if 'dist-packages' not in p]")
    attach = f"core-file {golden('lost-wakeup')}"
    _, err = bare(attach, "vtdpi vcpus")
    advice = re.search(r"^vtdpi: gdb's Python 3\.\d+ has no numpy that fits it; install one for it: (.*)$", err, re.M)
    assert advice
    done = subprocess.run(advice[1], shell=True, capture_output=True, text=True)
    if done.returncode:
        unavailable(f"pip: {done.stderr}")
    out, _ = bare(attach, "vtdpi vcpus")
    assert "d1v2" in out
