"""What a user says of a lab: the typed options of `vtdpi lab` and its own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from inspector.base.arguments import REQUIRED, BadWord, Word, argument, flag, json_flag, option, section
from structs.frozen import frozen


def read_vector(word: str) -> int:
    """An interrupt vector. Raises BadWord."""
    try:
        return int(word, 0)
    except ValueError:
        raise BadWord(f"{word!r} is no vector; expected a number such as 0x31") from None


Vector = Annotated[int, Word("VECTOR", read_vector, noun="vector", example="0x31")]


@frozen
class HvmOptions:
    """Of `lab up`: what HVM labs alone have."""

    hvm: bool = flag("start one of these (10 s, 128 MiB)")
    cpus: int | None = option("physical CPUs (default: 2)")
    vcpus: int | None = option("vCPUs of the guest (default: 6)")
    guest: str | None = option("what they do: idle, storm, ipi or migrate (default: storm)", metavar="NAME")
    no_posting: bool = flag("leave posting as Xen has it without a VT-d unit: off")


@frozen
class UpOptions:
    """What `lab up` takes."""

    xen: str = option("Debian's Xen of this release (default: 4.20)", "4.20", metavar="4.17|4.20")
    xen_image: Path | None = option("your own Xen instead: xen.gz, or with --uefi also a xen.efi")
    symbols: Path | None = option("the xen-syms of --xen-image")
    capture: Path | None = option("a dump as the RAM of a stopped machine, no Xen started", metavar="DUMP")
    dom0: bool = flag("with a Debian Linux dom0 and devices with MSI-X (10 s)")
    linux: str = option(
        "no Xen but Debian's Linux of this version, as a KVM host has it (15 s)", "", metavar="6.1|6.12"
    )
    crash: bool = flag("with --dom0 and a crash kernel, for `lab crash`")
    name: str = option("the lab's name (default: made of what it runs)", "", metavar="NAME")
    memory: int = option("RAM (default: 64, with --dom0 or --linux 512)", 0, metavar="MIB")
    append: str = option("more options for the command line of Xen, or Linux", "", metavar="OPTIONS")
    stopped: bool = flag("leave the machine stopped: before its first instruction, an HVM lab's before its vCPUs begin")
    uefi: bool = flag("UEFI firmware (OVMF) instead of a BIOS, and a xen.efi")
    grub: bool = flag("with --uefi: GRUB, which starts a xen.gz, as Debian has it")
    eim: bool = flag("VT-d with 32-bit destinations (needs QEMU 9 or newer)")
    qemu: str = option("system, trixie or sid (Debian's, downloaded) or a path", "system", metavar="WHICH")
    bochs: HvmOptions = section(
        HvmOptions, "an HVM lab", "a Xen in Bochs, with vCPUs whose posted-interrupt descriptors are real"
    )
    json: bool = json_flag()


BOTH_KINDS = ("name", "append", "stopped", "bochs", "json")
"""The options of `lab up` that both kinds of lab have."""


ONLY_XEN = ("xen", "xen_image", "symbols", "capture", "dom0", "crash", "uefi", "grub", "eim")
"""Those that a lab with a Linux in place of a Xen has not."""


@frozen
class ListOptions:
    """What `lab list` takes."""

    json: bool = json_flag()


@frozen
class KeysOptions:
    """What `lab keys` takes."""

    keys: str = argument("one or more keys, such as V (interrupt remapping) or Vz", metavar="KEYS")
    name: str = argument("which lab (default: the only one)", "", metavar="name")


@frozen(kw_only=True)
class CrashOptions:
    """What `lab crash` takes."""

    name: str = argument("which lab (default: the only one)", "", metavar="name")
    dump: Path = option("where to write the dump", REQUIRED)
    form: str = option(
        "raw (/proc/vmcore, slow), or by makedumpfile: elf (default), flattened, zlib, lzo, zstd",
        "elf",
        metavar="FORM",
    )


@frozen
class PostOptions:
    """What `lab post` takes."""

    vcpu: str = argument("which vCPU", metavar="dXvY")
    vector: Vector = argument("of the guest, such as 0x31")
    name: str = argument("which HVM lab (default: the only one)", "", metavar="name")


@frozen
class GdbOptions:
    """What `lab gdb` takes."""

    name: str = argument("which HVM lab (default: the only one)", "", metavar="name")
    socket: Path | None = option("where (default: in the lab's own directory)", metavar="PATH")


@frozen
class CaptureOptions:
    """What `lab capture` takes."""

    name: str = argument("which HVM lab", metavar="name")
    file: Path = argument("an ELF core; compressed, if its name ends in .zst")


@frozen
class DownOptions:
    """What `lab down` takes."""

    name: str = argument("which lab (default: the only one)", "", metavar="name")
    all: bool = flag("every lab")
