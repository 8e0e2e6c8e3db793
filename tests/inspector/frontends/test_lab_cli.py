"""The words of `vtdpi lab`, with labs that are none: what is asked of them, and what is told. Real ones: tests/live."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from inspector.base import signals
from inspector.frontends.lab_cli import attach_line
from inspector.frontends.lab_options import BOTH_KINDS, HvmOptions, UpOptions
from inspector.lab import LabError, labs
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.hvm.machine import HvmRecipe
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe

PLACE = Path("/run/lab one")
QEMU = Lab(
    "one",
    71,
    str(PLACE / "gdb"),
    PLACE / "qmp",
    PLACE / "control",
    PLACE / "serial",
    PLACE / "console.log",
    Path("/boot/xen"),
    Path("/boot/xen syms"),
    False,
)
HVM = HvmLab("two", 72, PLACE / "console.log", Path("/boot/xen"), Path("/boot/xen-syms"), "storm", True, {"rip": 8})


@pytest.fixture(autouse=True)
def asked(tmp_path, monkeypatch):
    """What was asked of labs; none is started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = []

    def note(name, answer=None):
        return lambda *words: done.append((name, *words)) or answer

    monkeypatch.setattr(Lab, "up", classmethod(lambda cls, recipe, say: done.append(recipe) or QEMU))
    monkeypatch.setattr(HvmLab, "up", classmethod(lambda cls, recipe, say: done.append(recipe) or HVM))
    monkeypatch.setattr(labs, "running", lambda: [QEMU, HVM])
    monkeypatch.setattr(Lab, "keys", lambda lab, key: done.append((lab.name, key)) or f"(XEN) {key}\x1b[31m\n")
    monkeypatch.setattr(Lab, "down", lambda lab: done.append((lab.name, "down")))
    monkeypatch.setattr(HvmLab, "down", lambda lab: done.append((lab.name, "down")))
    return done


def test_the_defaults_are_those_of_a_recipe(run, asked):
    assert run("lab", "up").status == 0
    assert asked == [Recipe()]


def test_every_option_is_in_the_recipe(run, asked):
    run(
        *("lab", "up", "--xen", "4.17", "--xen-image", "x", "--symbols", "s", "--dom0", "--name", "n", "--memory", 700),
        *("--append", "sched=null", "--stopped", "--eim", "--qemu", "sid"),
    )
    run("lab", "up", "--capture", "a.core")
    assert asked == [
        Recipe("4.17", Path("x"), Path("s"), None, True, "n", 700, "sched=null", True, True, qemu="sid"),
        Recipe(capture=Path("a.core")),
    ]


@pytest.mark.parametrize(
    ("word", "recipe"),
    [
        ("--crash", Recipe(crash=True, dom0=True)),
        ("--uefi", Recipe(uefi=True)),
        ("--grub", Recipe(uefi=True, grub=True)),
        ("--linux=6.12", Recipe(linux="6.12")),
    ],
)
def test_what_needs_more_than_it_says(run, asked, word, recipe):
    run("lab", "up", word)
    assert asked == [recipe]


def test_an_hvm_lab(run, asked):
    told = run("lab", "up", "--hvm", "--cpus", 3, "--guest", "ipi", "--no-posting", "--name", "n", "--append", "x")
    assert asked == [HvmRecipe(cpus=3, guest="ipi", posting=False, name="n", append="x")]
    assert told.out.splitlines()[-1] == "vtdpi live bochs:two"
    assert "real: Xen's code, VMX, APICv, posts by software; not there: a VT-d unit" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hvm", "--xen", "4.17"), "--xen is not for HVM labs"),
        (("--hvm", "--xen-image", "x"), "--xen-image is not for HVM labs"),
        (("--hvm", "--memory", "1"), "--memory is not for HVM labs"),
        (("--hvm", "--crash"), "--crash is not for HVM labs"),
        (("--guest", "ipi"), "--guest is for HVM labs: add --hvm"),
        (("--no-posting",), "--no-posting is for HVM labs: add --hvm"),
        (("--cpus", "1"), "--cpus is for HVM labs: add --hvm"),
        (("--hvm", "--linux", "6.1"), "--linux is not for HVM labs"),
        (("--linux", "6.1", "--dom0"), "--dom0 is for a lab with a Xen, and --linux starts none"),
        (("--linux", "6.1", "--xen-image", "x"), "--xen-image is for a lab with a Xen"),
    ],
)
def test_an_option_of_the_other_kind_is_refused(run, asked, words, said):
    told = run("lab", "up", *words)
    assert (told.status, told.out, asked) == (2, "", [])
    assert said in told.err


def test_every_option_of_up_is_of_one_kind_or_of_both():
    qemu_only = {
        "xen": "4.20",
        "xen_image": None,
        "symbols": None,
        "capture": None,
        "dom0": False,
        "memory": 0,
        "eim": False,
        "uefi": False,
        "grub": False,
        "qemu": "system",
        "crash": False,
        "linux": "",
    }
    assert {each.name for each in fields(UpOptions)} == qemu_only.keys() | set(BOTH_KINDS)
    assert {name: getattr(UpOptions(), name) for name in qemu_only} == qemu_only
    assert HvmOptions() == HvmOptions(hvm=False, cpus=None, vcpus=None, guest=None, no_posting=False)


def test_how_to_attach_can_be_pasted_into_a_shell(run):
    line = "vtdpi live '/run/lab one/gdb' --symbols '/boot/xen syms' --qmp '/run/lab one/qmp'"
    assert attach_line(QEMU) == line
    assert attach_line(HVM) == "vtdpi live bochs:two"
    told = run("lab", "up")
    assert told.out == f"one is up, its console in {PLACE}/console.log\n{line}\n"
    assert run("lab", "up", "--json").json == {"schema": "vtdpi/lab/3", **QEMU.record()}


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (signals.Ended(15), 143)])
@pytest.mark.parametrize("words", [(), ("--hvm",)])
def test_a_start_that_is_ended(run, monkeypatch, words, error, status):
    def ended(cls, recipe, say):
        say("starting \x1b[31m")
        raise error

    for kind in (Lab, HvmLab):
        monkeypatch.setattr(kind, "up", classmethod(ended))
    told = run("lab", "up", *words)
    assert (told.status, told.out) == (status, "")
    assert told.err.splitlines()[0] == "vtdpi lab: starting \\x1b[31m"
    assert told.err.endswith("nothing was left behind\n")


def test_the_labs_that_run(run, monkeypatch):
    lines = run("lab", "list").out.splitlines()
    assert [line.split()[:3] for line in lines] == [["one", "process", "71"], ["two", "process", "72"]]
    document = run("lab", "list", "--json").json
    assert document == {"schema": "vtdpi/lab-list/3", "labs": [QEMU.record(), HVM.record()]}
    monkeypatch.setattr(labs, "running", list)
    assert run("lab", "list").err == "vtdpi lab: no lab is running\n"
    assert run("lab", "list", "--json").json["labs"] == []


def test_each_key_is_pressed_in_turn(run, asked):
    assert run("lab", "keys", "Vz", "one").out == "(XEN) V\\x1b[31m\n(XEN) z\\x1b[31m\n"
    assert asked == [("one", "V"), ("one", "z")]


def test_one_or_all_are_ended(run, asked):
    assert run("lab", "down", "two").out == "two is down\n"
    assert run("lab", "down", "--all").out == "one is down\ntwo is down\n"
    assert asked == [("two", "down"), ("one", "down"), ("two", "down")]
    told = run("lab", "down")
    assert (told.status, told.out) == (3, "")
    assert "several labs are running: name one of one, two" in told.err


def test_a_crash_says_where_the_dump_is(run, asked, monkeypatch):
    monkeypatch.setattr(Lab, "find", classmethod(lambda cls, name: QEMU))
    monkeypatch.setattr(Lab, "crash", lambda lab, path, form, say: asked.append((lab.name, path, form)))
    told = run("lab", "crash", "--dump", "out.core", "--form", "lzo")
    assert told.out == "one has crashed and is down; its dump is out.core\nvtdpi dump out.core\n"
    assert asked == [("one", Path("out.core"), "lzo")]


@pytest.mark.parametrize(
    ("notified", "said"),
    [
        ((1, 0xF3), "written: vector 0x31 in PIR of d1v0, ON; vector 0xf3 sent to CPU 1 (why)\n"),
        (None, "written: vector 0x31 in PIR of d1v0; nothing sent (why)\n"),
    ],
)
def test_a_post_says_what_was_written(run, monkeypatch, notified, said):
    done = SimpleNamespace(notified=notified, why="why")
    monkeypatch.setattr(labs, "find_hvm", lambda name: HVM)
    monkeypatch.setattr("inspector.lab.hvm.post.post", lambda lab, vcpu, vector: done)
    assert run("lab", "post", "d1v0", "0x31").out == said
    told = run("lab", "post", "d1v0", "nine")
    assert told.status == 2
    assert "'nine' is no vector; expected a number such as 0x31" in told.err


def test_a_lab_that_cannot_be_is_one_line(run, monkeypatch):
    def refuses(cls, recipe, say):
        raise LabError("no network\x1b[31m")

    monkeypatch.setattr(Lab, "up", classmethod(refuses))
    told = run("lab", "up")
    assert told.out == ""
    assert told.err == "vtdpi: no network\\x1b[31m\n"
