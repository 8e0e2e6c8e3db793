"""What Xen is given to start as dom0, a Linux and its first root, or nothing but a file that is no kernel; and the same
for a Linux that is the host itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspector.lab import Say, cpio, crash
from inspector.lab.boot import DOM0_READY, LINUX_READY
from inspector.lab.kernel import KVM_AMD, kernel, linux
from inspector.lab.machine import Recipe

# An interface that is up, and a disk that is read, have their MSI-X vectors in use. The messages go to Xen's console.
INIT = """\
#!/busybox sh
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /busybox insmod $module; done
for net in /sys/class/net/*; do /busybox ip link set ${{net##*/}} up; done
for disk in /sys/block/vd*; do /busybox dd if=/dev/${{disk##*/}} of=/dev/null bs=4k count=1 2>/dev/null; done
/busybox grep -E -i 'msi|pirq' /proc/interrupts
{more}echo "{ready}"
while :; do /busybox sleep 86400; done
"""

# All that Linux itself says of its interrupts, for whoever compares.
INTERRUPTS = """\
/busybox cat /proc/interrupts
for irq in /proc/irq/[0-9]*; do
    echo "irq ${irq##*/} may go to $(/busybox cat $irq/smp_affinity_list)," \\
        "goes to $(/busybox cat $irq/effective_affinity_list)"
done
"""


# It may say what it likes; the host does not wait for it.
GUEST = "/guest &\n"


def write(directory: Path, recipe: Recipe, say: Say) -> str:
    """Put what dom0 needs into a lab's directory and return the value of QEMU's -initrd, with relative paths.

    Without one, zeros stand in for the kernel: with no module at all, Xen gives up before it sets up the IOMMU.

    Raises:
        LabError: the kernel cannot be downloaded.
    """
    if not recipe.dom0:
        (directory / "no-kernel").write_bytes(bytes(4096))
        return "no-kernel"
    parts = kernel(say, crash.MODULES if recipe.crash else ())
    (directory / "vmlinux").symlink_to(parts / "vmlinux")
    more = crash.entries(crash.tools(say), parts) if recipe.crash else []
    (directory / "initrd").write_bytes(_root(parts, crash.LOAD if recipe.crash else "", more))
    (directory / "disk").write_bytes(bytes(1 << 20))
    if recipe.crash:
        with (directory / crash.DISK).open("wb") as disk:
            disk.truncate(crash.DISK_SIZE)
    return "vmlinux console=hvc0 quiet panic=0,initrd"


def write_linux(directory: Path, recipe: Recipe, say: Say) -> str:
    """Put what a Linux that is the host itself needs into a lab's directory; the value of QEMU's -initrd.

    Raises:
        LabError: the kernel cannot be downloaded.
    """
    parts = linux(recipe.linux, say, KVM_AMD if recipe.guest else ())
    (directory / "vmlinuz").symlink_to(parts / "vmlinuz")
    steps, more = INTERRUPTS, []
    if recipe.guest:
        steps = GUEST + steps
        more = [cpio.file("guest", recipe.guest.read_bytes(), 0o755)]
    (directory / "initrd").write_bytes(_root(parts, steps, more, LINUX_READY))
    (directory / "disk").write_bytes(bytes(1 << 20))
    return "initrd"


def _root(parts: Path, more_steps: str, more: Sequence[cpio.Entry], ready: str = DOM0_READY) -> bytes:
    modules = sorted((parts / "modules").iterdir())
    return cpio.archive(
        [
            *map(cpio.directory, ("proc", "sys", "dev", "modules")),
            cpio.character_device("dev/console", 5, 1),
            cpio.file("init", INIT.format(more=more_steps, ready=ready).encode(), 0o755),
            cpio.file("busybox", (parts / "busybox").read_bytes(), 0o755),
            *(cpio.file(f"modules/{module.name}", module.read_bytes()) for module in modules),
            *more,
        ]
    )
