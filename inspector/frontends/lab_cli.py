"""The words of `vtdpi lab`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.base.foreign_text import visible

if TYPE_CHECKING:
    from inspector.lab.labs import AnyLab


from inspector.base.errors import UsageError

QEMU_ONLY: Mapping[str, object] = {
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
}
HVM_ONLY: Mapping[str, object] = {"cpus": None, "vcpus": None, "guest": None, "no_posting": False}
"""Options of `lab up` that one kind of lab has, with what they are if not given."""


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lab's own commands and their options."""
    words = parser.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")

    up = words.add_parser("up", help="start a Xen and print how to attach", description=up_description())
    up.add_argument("--xen", default="4.20", metavar="4.17|4.20", help="Debian's Xen of this release (default: 4.20)")
    up.add_argument(
        "--xen-image", type=Path, metavar="FILE", help="your own Xen instead: xen.gz, or with --uefi also a xen.efi"
    )
    up.add_argument("--symbols", type=Path, metavar="FILE", help="the xen-syms of --xen-image")
    up.add_argument(
        "--capture", type=Path, metavar="DUMP", help="a dump as the RAM of a stopped machine, no Xen started"
    )
    up.add_argument("--dom0", action="store_true", help="with a Debian Linux dom0 and devices with MSI-X (10 s)")
    up.add_argument("--crash", action="store_true", help="with --dom0 and a crash kernel, for `lab crash`")
    up.add_argument("--name", default="", help="the lab's name (default: made of what it runs)")
    up.add_argument("--memory", type=int, default=0, metavar="MIB", help="RAM (default: 64, with --dom0 512)")
    up.add_argument("--append", default="", metavar="OPTIONS", help="more options for Xen's command line")
    up.add_argument(
        "--stopped",
        action="store_true",
        help="leave the machine stopped: before its first instruction, an HVM lab's before its vCPUs begin",
    )
    up.add_argument("--uefi", action="store_true", help="UEFI firmware (OVMF) instead of a BIOS, and a xen.efi")
    up.add_argument("--grub", action="store_true", help="with --uefi: GRUB, which starts a xen.gz, as Debian has it")
    up.add_argument("--eim", action="store_true", help="VT-d with 32-bit destinations (needs QEMU 9 or newer)")
    up.add_argument(
        "--qemu", default="system", metavar="WHICH", help="system, trixie or sid (Debian's, downloaded) or a path"
    )

    hvm = up.add_argument_group("an HVM lab", "a Xen in Bochs, with vCPUs whose posted-interrupt descriptors are real")
    hvm.add_argument("--hvm", action="store_true", help="start one of these (10 s, 128 MiB)")
    hvm.add_argument("--cpus", type=int, metavar="N", help="physical CPUs (default: 2)")
    hvm.add_argument("--vcpus", type=int, metavar="N", help="vCPUs of the guest (default: 6)")
    hvm.add_argument("--guest", metavar="NAME", help="what they do: idle, storm, ipi or migrate (default: storm)")
    hvm.add_argument("--no-posting", action="store_true", help="leave posting as Xen has it without a VT-d unit: off")

    listing = words.add_parser("list", help="the labs that run")
    for parser in (up, listing):
        parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")

    keys = words.add_parser("keys", help="ask Xen's debug keys and print the answers")
    keys.add_argument("keys", metavar="KEYS", help="one or more keys, such as V (interrupt remapping) or Vz")
    keys.add_argument("name", nargs="?", default="", help="which lab (default: the only one)")

    crash = words.add_parser("crash", help="crash a lab's Xen and keep what is left of it: a kexec dump (1 minute)")
    crash.add_argument("name", nargs="?", default="", help="which lab (default: the only one)")
    crash.add_argument("--dump", type=Path, required=True, metavar="FILE", help="where to write the dump")
    crash.add_argument(
        "--form",
        default="elf",
        metavar="FORM",
        help="raw (/proc/vmcore, slow), or by makedumpfile: elf (default), flattened, zlib, lzo, zstd",
    )

    post = words.add_parser(
        "post", help="WRITE: post an interrupt to a vCPU of an HVM lab, as a VT-d unit would", description=POST
    )
    post.add_argument("vcpu", metavar="dXvY", help="which vCPU")
    post.add_argument("vector", type=_vector, metavar="VECTOR", help="of the guest, such as 0x31")
    post.add_argument("name", nargs="?", default="", help="which HVM lab (default: the only one)")

    gdb = words.add_parser(
        "gdb", help="serve gdb on an HVM lab until Ctrl-C; it reads, and writes nothing", description=GDB
    )
    gdb.add_argument("name", nargs="?", default="", help="which HVM lab (default: the only one)")
    gdb.add_argument("--socket", type=Path, metavar="PATH", help="where (default: in the lab's own directory)")

    capture = words.add_parser("capture", help="save an HVM lab's Xen as it is now, without its guests' memory")
    capture.add_argument("name", help="which HVM lab")
    capture.add_argument("file", type=Path, metavar="FILE", help="an ELF core; compressed, if its name ends in .zst")

    words.add_parser(
        "demo",
        help="a wakeup lost in a real Xen, on one page (3 minutes)",
        description=(
            "Start HVM labs, lose a wakeup (hazard H-A), and print the page: the finding, the stores that led to it, "
            "the same in the model, what mends it there, and the control. Takes two to three minutes."
        ),
    )

    down = words.add_parser("down", help="end a lab and remove all it left")
    down.add_argument("name", nargs="?", default="", help="which lab (default: the only one)")
    down.add_argument("--all", action="store_true", help="every lab")


def up_description() -> str:
    """What `lab up` does, for its help."""
    return (
        "Start a real Xen under a real QEMU with an emulated VT-d unit, from Debian's packages, which are downloaded "
        "once and need no root. It runs until `lab down`, and listens on unix sockets only, which are yours alone."
    )


def run(args: argparse.Namespace) -> int:
    """Do what the words say; the exit status.

    Raises:
        VtdpiError: it cannot be done.
    """
    commands = {
        "up": _up,
        "list": _list,
        "keys": _keys,
        "crash": _crash,
        "post": _post,
        "capture": _capture,
        "demo": _demo,
        "gdb": _gdb,
        "down": _down,
    }
    return commands[args.lab_command](args)


def attach_line(lab: AnyLab) -> str:
    """The command that attaches to a lab."""
    import shlex

    from inspector.lab.hvm.lab import HvmLab

    if isinstance(lab, HvmLab):
        return shlex.join(lab.attach_words())
    symbols = ["--symbols", str(lab.symbols)] if lab.symbols else []
    return shlex.join(["vtdpi", "live", lab.gdb, *symbols, "--qmp", str(lab.qmp)])


def _up(args: argparse.Namespace) -> int:
    import shutil

    from inspector.base import signals
    from inspector.lab.lab import Lab
    from inspector.lab.machine import Recipe

    if args.hvm:
        return _up_hvm(args)
    _refuse(args, HVM_ONLY, "is for HVM labs: add --hvm")
    recipe = Recipe(
        xen=args.xen,
        image=args.xen_image,
        symbols=args.symbols,
        capture=args.capture,
        dom0=args.dom0 or args.crash,
        crash=args.crash,
        name=args.name,
        memory=args.memory,
        append=args.append,
        stopped=args.stopped,
        eim=args.eim,
        uefi=args.uefi or args.grub,
        grub=args.grub,
        qemu=args.qemu,
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
    _tell_up(args, lab)
    return 0


def _up_hvm(args: argparse.Namespace) -> int:
    from inspector.base import signals
    from inspector.lab.hvm.lab import HvmLab
    from inspector.lab.hvm.machine import HvmRecipe

    _refuse(args, QEMU_ONLY, "is not for HVM labs, which are Bochs with Debian's Xen and a dom0 and guest of their own")
    given = {name: getattr(args, name) for name in ("cpus", "vcpus", "guest") if getattr(args, name) is not None}
    recipe = HvmRecipe(**given, posting=not args.no_posting, stopped=args.stopped, name=args.name, append=args.append)
    try:
        lab = HvmLab.up(recipe, _say)
    except KeyboardInterrupt:
        _say("interrupted; nothing was left behind")
        return 130
    except signals.Ended as error:
        _say(f"ended by {error.name}; nothing was left behind")
        return int(str(error.code))
    _tell_up(args, lab)
    if lab.posting:
        _say("real: Xen's code, VMX, APICv, posts by software; not there: a VT-d unit (device posts: `vtdpi lab post`)")
    return 0


def _refuse(args: argparse.Namespace, options: Mapping[str, object], why: str) -> None:
    for name, default in options.items():
        if getattr(args, name, default) != default:
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _tell_up(args: argparse.Namespace, lab: AnyLab) -> None:
    import json

    if args.json:
        print(json.dumps({"schema": "vtdpi/lab/1", **lab.record()}))
    else:
        print(f"{lab.name} is up, its console in {lab.console}")
        print(attach_line(lab))


def _list(args: argparse.Namespace) -> int:
    import json

    from inspector.lab import labs as all_labs

    labs = all_labs.running()
    if args.json:
        print(json.dumps({"schema": "vtdpi/lab-list/1", "labs": [lab.record() for lab in labs]}))
        return 0
    for lab in labs:
        print(f"{lab.name:20} process {lab.pid:<8} {attach_line(lab)}")
    if not labs:
        _say("no lab is running")
    return 0


def _keys(args: argparse.Namespace) -> int:
    from inspector.lab import labs

    lab = labs.find(args.name)
    for key in args.keys:
        print(visible(lab.keys(key)), end="")
    return 0


def _crash(args: argparse.Namespace) -> int:
    from inspector.lab.lab import Lab

    lab = Lab.find(args.name)
    lab.crash(args.dump, args.form, _say)
    print(f"{lab.name} has crashed and is down; its dump is {args.dump}")
    print(f"vtdpi dump {args.dump}")
    return 0


def _post(args: argparse.Namespace) -> int:
    from inspector.lab import labs
    from inspector.lab.hvm.post import post

    done = post(labs.find_hvm(args.name), args.vcpu, args.vector)
    sent = f"vector {done.notified[1]:#x} sent to CPU {done.notified[0]}" if done.notified else "nothing sent"
    print(
        f"written: vector {args.vector:#x} in PIR of {args.vcpu}{', ON' if done.notified else ''}; {sent} ({done.why})"
    )
    return 0


def _capture(args: argparse.Namespace) -> int:
    from inspector.lab import labs
    from inspector.lab.hvm.capture import capture

    pages = capture(labs.find_hvm(args.name), args.file)
    print(f"{args.file} holds {pages} pages of {args.name}")
    print(f"vtdpi dump {args.file}")
    return 0


def _demo(args: argparse.Namespace) -> int:
    from inspector.frontends.lost_wakeup_demo import demonstrate

    demonstrate()
    return 0


def _gdb(args: argparse.Namespace) -> int:
    from inspector.base import signals
    from inspector.gdb_bridge.bochs_stub import BochsStub, listen
    from inspector.lab import labs
    from sim_backend.debug.gdb_server import StubServer

    lab = labs.find_hvm(args.name)
    path = (args.socket or lab.console.with_name("gdb")).absolute()
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


def _vector(word: str) -> int:
    try:
        return int(word, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no vector; expected a number such as 0x31") from None


def _down(args: argparse.Namespace) -> int:
    from inspector.lab import labs

    for lab in labs.running() if args.all else [labs.find(args.name)]:
        lab.down()
        print(f"{lab.name} is down")
    return 0


def _say(line: str) -> None:
    print(f"vtdpi lab: {visible(line)}", file=sys.stderr, flush=True)
