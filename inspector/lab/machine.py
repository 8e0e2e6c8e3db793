"""What machine a lab is: a recipe, and the QEMU command line that it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inspector.lab import LabError, crash, uefi
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.lab.lab import Lab

ALONE_MIB = 64
DOM0_MIB = 512
DOM0_OWN_MIB = 256
"""Of which the dom0 gets so much, at most half of all."""
CRASH_CPUS = 2
"""Of a machine that is to crash: one that crashes and one that is stopped by it; and of a Linux."""
DOM0_LEAST_MIB = 384
"""With less, the dom0 kernel does not fit."""


@frozen
class Recipe:
    """What to start.

    Attributes:
        xen: Debian's Xen of that release number, unless `image` names the user's own.
        image, symbols: the user's own Xen and its xen-syms.
        capture: no Xen is started; a dump of one becomes the RAM of a machine that stays stopped.
        dom0: a Debian Linux dom0 and devices with MSI-X, instead of Xen alone, which halts for want of a dom0.
        name: the lab's name; made up if empty.
        memory: MiB of RAM; what is enough if 0.
        append: options added to Xen's command line.
        stopped: leave the machine stopped before its first instruction.
        eim: the VT-d unit's extended interrupt mode, 32-bit destinations (QEMU 9 or newer under TCG).
        crash: with a dom0 that loads a crash kernel, so that `lab crash` can make a dump.
        uefi: UEFI firmware in place of a BIOS; the Xen is a xen.efi then, unless an own one is given.
        grub: with UEFI firmware, Debian's xen.gz, started by GRUB, as Debian itself does.
        linux: no Xen is started, but Debian's Linux of that version, with the same devices as a dom0 has.
        guest: with `linux`: a static program that makes a VM, and is left running; the processor then has SVM, which
            TCG emulates, and the host loads kvm_amd.
        qemu: `system` for the qemu-system-x86_64 on the path, `trixie` for Debian 13's, `sid`, or a path.
    """

    xen: str = "4.20"
    image: Path | None = None
    symbols: Path | None = None
    capture: Path | None = None
    dom0: bool = False
    name: str = ""
    memory: int = 0
    append: str = ""
    stopped: bool = False
    eim: bool = False
    crash: bool = False
    uefi: bool = False
    grub: bool = False
    linux: str = ""
    guest: Path | None = None
    qemu: str = "system"


def xen_options(recipe: Recipe) -> str:
    """Xen's command line for a recipe. Raises LabError if there is too little memory."""
    memory = _memory(recipe)
    # Interrupt 0: the UART is polled. On a slow machine Xen would at some point "switch to polling" and mask its pin.
    # A Xen of the user's own may be 4.22, which answers no debug key then under QEMU 10.
    uart = "com1=115200,8n1" if recipe.image else "com1=115200,8n1,0x3f8,0"
    xen = ["console=com1", uart, "loglvl=all", "iommu=verbose,debug", "noreboot"]
    reserved = crash.RESERVED_MIB if recipe.crash else 0
    if recipe.dom0:
        xen.append(f"dom0_mem={min(DOM0_OWN_MIB, (memory - reserved) // 2)}M")
    if recipe.crash:
        xen.append(f"crashkernel={reserved}M")
    return " ".join([*xen, recipe.append]).strip()


def _memory(recipe: Recipe) -> int:
    reserved = crash.RESERVED_MIB if recipe.crash else 0
    alone, one = (uefi.MIB, uefi.MIB) if recipe.uefi else (ALONE_MIB, 1)
    whole = recipe.dom0 or recipe.linux
    memory = recipe.memory or (DOM0_MIB if whole else alone) + reserved
    least = (DOM0_LEAST_MIB if whole else one) + reserved
    if memory < least:
        raise LabError(f"{memory} MiB of memory are too little: this lab needs {least}")
    return memory


def command_line(recipe: Recipe, lab: Lab, boot: list[str]) -> list[str]:
    """QEMU's options for a recipe that starts a Xen; `boot`: those that start it, `multiboot` or `uefi.words`.

    The lab gives the paths. Each QMP socket serves one client: `qmp` is for whoever attaches, `control` for the lab.

    Raises:
        LabError: too little memory.
    """
    memory = _memory(recipe)
    # Xen turns extended interrupt mode on together with x2APIC.
    cpu = "qemu64,+x2apic" if recipe.eim else "qemu64,+svm,+npt" if recipe.guest else "qemu64"
    words = [
        *_any_machine(recipe, lab),
        *("-cpu", cpu, "-m", f"{memory}M"),
        *boot,
    ]
    if recipe.dom0 or recipe.linux:
        words += ["-netdev", "user,id=net,restrict=on", "-device", "e1000e,netdev=net"]
        words += ["-drive", "if=none,id=disk,file=disk,format=raw", "-device", "virtio-blk-pci,drive=disk"]
    if recipe.crash:
        words += ["-drive", f"if=none,id=dump,file={crash.DISK},format=raw"]
        words += ["-device", f"virtio-blk-pci,drive=dump,serial={crash.DISK}"]
    if recipe.stopped:
        words.append("-S")
    return words


def multiboot(recipe: Recipe, lab: Lab, modules: str) -> list[str]:
    """QEMU's options to start a multiboot image; `modules`: -initrd's value, the dom0 kernel and what follows it."""
    return ["-kernel", str(lab.image), "-append", xen_options(recipe), "-initrd", modules]


def direct(recipe: Recipe, initrd: str) -> list[str]:
    """QEMU's options to start a Linux itself. `no_timer_check`: an emulated timer may seem dead on a busy machine."""
    options = f"console=ttyS0 quiet panic=0 no_timer_check {recipe.append}".strip()
    return ["-kernel", "vmlinuz", "-append", options, "-initrd", initrd, "-device", "vmcoreinfo"]


def capture_line(recipe: Recipe, lab: Lab, ram: Path, memory: int) -> list[str]:
    """QEMU's options for a machine whose RAM, `memory` MiB of it, is a file, and which stays stopped."""
    backend = f"memory-backend-file,id=ram,size={memory}M,mem-path={_value(ram)},share=off"
    return [*_any_machine(recipe, lab), "-m", f"{memory}M", "-object", backend, "-machine", "memory-backend=ram", "-S"]


def _any_machine(recipe: Recipe, lab: Lab) -> list[str]:
    return [
        *(
            "-machine",
            "q35,kernel-irqchip=split",
            "-accel",
            "tcg",
            "-smp",
            str(CRASH_CPUS if recipe.crash or recipe.linux else 1),
        ),
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-device", "intel-iommu,intremap=on" + (",eim=on" if recipe.eim else "")),
        *("-chardev", f"pipe,id=console,path={_value(lab.console)}"),
        *("-serial", "chardev:console"),
        *("-qmp", f"unix:{_value(lab.qmp)},server=on,wait=off"),
        *("-qmp", f"unix:{_value(lab.control)},server=on,wait=off"),
        *("-gdb", f"unix:{_value(Path(lab.gdb))},server=on,wait=off"),
    ]


def _value(path: Path) -> str:
    """A path within a comma-separated option."""
    return str(path).replace(",", ",,")
