"""`vtdpi lab` and its own commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from inspector.base.arguments import NoArguments
from inspector.base.errors import UsageError
from inspector.base.foreign_text import visible
from inspector.frontends.front_end import front_end, group
from inspector.frontends.lab_options import (
    BOTH_KINDS,
    ONLY_XEN,
    CaptureOptions,
    CrashOptions,
    DownOptions,
    GdbOptions,
    HvmOptions,
    KeysOptions,
    ListOptions,
    PostOptions,
    UpOptions,
)

if TYPE_CHECKING:
    from inspector.lab.labs import AnyLab


POST = (
    "Write a post into the live descriptor, by hand, for Bochs has no VT-d unit: the vector's bit in PIR and then, "
    "unless ON or SN is set, ON and an interrupt NV to the local APIC that NDST names (VT-d 5.2.3). It is taken when "
    "that APIC next looks, at its next timer tick at the latest."
)


GDB = (
    "Serve one debugger after the other on a unix socket that only you can open: gdb, `vtdpi live unix:PATH` and the "
    "plugin. CPUs are threads, addresses are Xen's, memory and registers are read only. While a debugger is connected "
    "the lab is its alone."
)


UP = (
    "Start a real Xen under a real QEMU with an emulated VT-d unit, from Debian's packages, which are downloaded "
    "once and need no root. It runs until `lab down`, and listens on unix sockets only, which are yours alone."
)


DEMO = (
    "Start HVM labs, lose a wakeup (hazard H-A), and print the page: the finding, the stores that led to it, "
    "the same in the model, what mends it there, and the control. Takes two to three minutes."
)


def attach_line(lab: AnyLab) -> str:
    """The command that attaches to a lab."""
    import shlex

    from inspector.lab.hvm.lab import HvmLab

    if isinstance(lab, HvmLab):
        return shlex.join(lab.attach_words())
    symbols = ["--symbols", str(lab.symbols)] if lab.symbols else []
    return shlex.join(["vtdpi", "live", lab.gdb, *symbols, "--qmp", str(lab.qmp)])


def _up(options: UpOptions) -> int:
    import shutil

    from inspector.base import signals
    from inspector.lab.lab import Lab
    from inspector.lab.machine import Recipe

    if options.bochs.hvm:
        return _up_hvm(options)
    _refuse(options.bochs, [each.name for each in fields(HvmOptions)], "is for HVM labs: add --hvm")
    if options.linux:
        _refuse(options, ONLY_XEN, "is for a lab with a Xen, and --linux starts none")
    recipe = Recipe(
        xen=options.xen,
        image=options.xen_image,
        symbols=options.symbols,
        capture=options.capture,
        dom0=options.dom0 or options.crash,
        crash=options.crash,
        linux=options.linux,
        name=options.name,
        memory=options.memory,
        append=options.append,
        stopped=options.stopped,
        eim=options.eim,
        uefi=options.uefi or options.grub,
        grub=options.grub,
        qemu=options.qemu,
    )
    try:
        lab = Lab.up(recipe, _say)
    except KeyboardInterrupt:
        _say("interrupted; nothing was left behind")
        return 130
    except signals.Ended as error:
        _say(f"ended by {error.name}; nothing was left behind")
        return int(str(error.code))
    if not shutil.which("gdb"):
        _say("gdb is missing, which `vtdpi live` needs: install the package gdb")
    _tell_up(options, lab)
    return 0


def _up_hvm(options: UpOptions) -> int:
    from inspector.base import signals
    from inspector.lab.hvm.lab import HvmLab
    from inspector.lab.hvm.machine import HvmRecipe

    why = "is not for HVM labs, which are Bochs with Debian's Xen and a dom0 and guest of their own"
    _refuse(options, [each.name for each in fields(UpOptions) if each.name not in BOTH_KINDS], why)
    wanted, usual = options.bochs, HvmRecipe()
    recipe = HvmRecipe(
        cpus=usual.cpus if wanted.cpus is None else wanted.cpus,
        vcpus=usual.vcpus if wanted.vcpus is None else wanted.vcpus,
        guest=usual.guest if wanted.guest is None else wanted.guest,
        posting=not wanted.no_posting,
        stopped=options.stopped,
        name=options.name,
        append=options.append,
    )
    try:
        lab = HvmLab.up(recipe, _say)
    except KeyboardInterrupt:
        _say("interrupted; nothing was left behind")
        return 130
    except signals.Ended as error:
        _say(f"ended by {error.name}; nothing was left behind")
        return int(str(error.code))
    _tell_up(options, lab)
    if lab.posting:
        _say("real: Xen's code, VMX, APICv, posts by software; not there: a VT-d unit (device posts: `vtdpi lab post`)")
    return 0


def _refuse(options: UpOptions | HvmOptions, names: Sequence[str], why: str) -> None:
    """None of these options may have been given."""
    nothing = type(options)()
    for name in names:
        if getattr(options, name) != getattr(nothing, name):
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _tell_up(options: UpOptions, lab: AnyLab) -> None:
    from inspector.model.schema_name import schema_name
    from inspector.views import json

    if options.json:
        json.write({"schema": schema_name("lab"), **lab.record()}, sys.stdout, None)
    else:
        print(f"{lab.name} is up, its console in {lab.console}")
        print(attach_line(lab))


def _list(options: ListOptions) -> int:
    from inspector.lab import labs as all_labs
    from inspector.model.schema_name import schema_name
    from inspector.views import json

    labs = all_labs.running()
    if options.json:
        json.write({"schema": schema_name("lab-list"), "labs": [lab.record() for lab in labs]}, sys.stdout, None)
        return 0
    for lab in labs:
        print(f"{lab.name:20} process {lab.pid:<8} {attach_line(lab)}")
    if not labs:
        _say("no lab is running")
    return 0


def _keys(options: KeysOptions) -> int:
    from inspector.lab import labs

    lab = labs.find(options.name)
    for key in options.keys:
        print(visible(lab.keys(key)), end="")
    return 0


def _crash(options: CrashOptions) -> int:
    from inspector.lab.lab import Lab

    lab = Lab.find(options.name)
    lab.crash(options.dump, options.form, _say)
    print(f"{lab.name} has crashed and is down; its dump is {options.dump}")
    print(f"vtdpi dump {options.dump}")
    return 0


def _post(options: PostOptions) -> int:
    from inspector.lab import labs
    from inspector.lab.hvm.post import post

    done = post(labs.find_hvm(options.name), options.vcpu, options.vector)
    sent = f"vector {done.notified[1]:#x} sent to CPU {done.notified[0]}" if done.notified else "nothing sent"
    written = f"vector {options.vector:#x} in PIR of {options.vcpu}{', ON' if done.notified else ''}"
    print(f"written: {written}; {sent} ({done.why})")
    return 0


def _capture(options: CaptureOptions) -> int:
    from inspector.lab import labs
    from inspector.lab.hvm.capture import capture

    pages = capture(labs.find_hvm(options.name), options.file)
    print(f"{options.file} holds {pages} pages of {options.name}")
    print(f"vtdpi dump {options.file}")
    return 0


def _demo(options: NoArguments) -> int:
    from inspector.frontends.lost_wakeup_demo import demonstrate

    demonstrate()
    return 0


def _gdb(options: GdbOptions) -> int:
    from inspector.base import signals
    from inspector.gdb_bridge.bochs_stub import BochsStub, listen
    from inspector.lab import labs
    from sim_backend.debug.gdb_server import StubServer

    lab = labs.find_hvm(options.name)
    path = (options.socket or lab.console.with_name("gdb")).absolute()
    stub, listener = BochsStub(lab.machine()), listen(path)
    try:
        with StubServer(stub, listener, str(path)) as server:
            print(f"target remote {path}")
            print(f"vtdpi live unix:{path} --symbols {lab.symbols}", flush=True)
            server.serve()
    except (KeyboardInterrupt, signals.Ended):
        _say("ended")
    finally:
        path.unlink(missing_ok=True)
    return 0


def _down(options: DownOptions) -> int:
    from inspector.lab import labs

    for lab in labs.running() if options.all else [labs.find(options.name)]:
        lab.down()
        print(f"{lab.name} is down")
    return 0


def _say(line: str) -> None:
    print(f"vtdpi lab: {visible(line)}", file=sys.stderr, flush=True)


FRONT_END = group(
    {
        "up": front_end(UpOptions, _up, "start a Xen and print how to attach", UP),
        "list": front_end(ListOptions, _list, "the labs that run"),
        "keys": front_end(KeysOptions, _keys, "ask Xen's debug keys and print the answers"),
        "crash": front_end(
            CrashOptions, _crash, "crash a lab's Xen and keep what is left of it: a kexec dump (1 minute)"
        ),
        "post": front_end(
            PostOptions, _post, "WRITE: post an interrupt to a vCPU of an HVM lab, as a VT-d unit would", POST
        ),
        "gdb": front_end(GdbOptions, _gdb, "serve gdb on an HVM lab until Ctrl-C; it reads, and writes nothing", GDB),
        "capture": front_end(
            CaptureOptions, _capture, "save an HVM lab's Xen as it is now, without its guests' memory"
        ),
        "demo": front_end(NoArguments, _demo, "a wakeup lost in a real Xen, on one page (3 minutes)", DEMO),
        "down": front_end(DownOptions, _down, "end a lab and remove all it left"),
    }
)
