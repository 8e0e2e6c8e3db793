"""What machine an HVM lab is, as Bochs is told it."""

from __future__ import annotations

from pathlib import Path

from inspector.lab import LabError
from inspector.lab.hvm.assembly import PROFILES, ROM_AT
from inspector.lab.hvm.packages import Programs
from structs.frozen import frozen

MEMORY = 128
"""MiB of RAM: 16 for the dom0, 8 for the guest."""
CPUS_LIMIT, VCPUS_LIMIT = 8, 32
XEN_OPTIONS = (
    "console=com1 com1=115200,8n1,0x3f8,4 loglvl=all guest_loglvl=all dom0_mem=16M,max:16M dom0_max_vcpus=1 "
    # The time slices of credit2 are computed with a division that Debian's Bochs 3.1 gets wrong.
    "sched=credit "
    "spec-ctrl=no pv-l1tf=no xpti=no watchdog=0 cpufreq=none cpuidle=0 mce=off iommu=off noreboot"
)

CONFIGURATION = """\
config_interface: textconfig
display_library: sdl2
cpu: count={cpus}, quantum=1, ips=5000000, model=corei7_skylake_x, reset_on_triple_fault=0, cpuid_limit_winnt=0
memory: guest={memory}, host={memory}
romimage: file={bios}
vgaromimage: file={vga}
optromimage1: file=boot, address={rom:#x}
vga: extension=none, update_freq=1
clock: sync=none, time0=1700000000
log: bochs.log
panic: action=report
error: action=report
info: action=ignore
debug: action=ignore
speaker: enabled=0
mouse: enabled=0
private_colormap: enabled=0
"""
"""One instruction of each CPU in turn (quantum=1), so that what a watchpoint shows is the CPU that stored. The clock
counts instructions; nothing in the machine can tell when it is stopped."""


@frozen
class HvmRecipe:
    """What to start.

    Attributes:
        cpus: physical CPUs.
        vcpus: of the guest.
        guest: what they do, a name of `assembly.PROFILES`.
        posting: whether posting is switched on as if there were a VT-d unit; without, Xen runs as on a machine that
            has none.
        stopped: whether it is left stopped, when all its vCPUs run and before they begin with what they do.
        name: the lab's name; made up if empty.
        append: options added to Xen's command line.
    """

    cpus: int = 2
    vcpus: int = 6
    guest: str = "storm"
    posting: bool = True
    stopped: bool = False
    name: str = ""
    append: str = ""

    def check(self) -> None:
        """Raise LabError if there can be no such machine."""
        if self.guest not in PROFILES:
            raise LabError(f"no guest {self.guest!r}: there are {', '.join(PROFILES)}")
        for what, value, limit in (("CPUs", self.cpus, CPUS_LIMIT), ("vCPUs", self.vcpus, VCPUS_LIMIT)):
            if not 1 <= value <= limit:
                raise LabError(f"{value} {what}: an HVM lab has 1 to {limit}")


def configuration(recipe: HvmRecipe, programs: Programs) -> str:
    """The content of Bochs' configuration file. The console is told on its command line, by which a lab is known.

    Raises:
        LabError: a path has a comma, which Bochs takes for the end of an option.
    """
    for path in (programs.bios, programs.vga_bios):
        _plain(path)
    return CONFIGURATION.format(cpus=recipe.cpus, memory=MEMORY, bios=programs.bios, vga=programs.vga_bios, rom=ROM_AT)


def console_option(console: Path) -> str:
    """The serial line as an option. Raises LabError as `configuration`."""
    return f"com1: enabled=1, mode=file, dev={_plain(console)}"


def _plain(path: Path) -> Path:
    if "," in str(path) or " " in str(path):
        raise LabError(f"{path}: Bochs takes no path with a comma or a space; set XDG_CACHE_HOME or XDG_STATE_HOME")
    return path
