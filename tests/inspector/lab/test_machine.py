"""A recipe as a QEMU command line. That QEMU takes it: tests/live/test_lab.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.lab import LabError, crash, uefi
from inspector.lab.lab import Lab
from inspector.lab.machine import (
    ALONE_MIB,
    CRASH_CPUS,
    DOM0_LEAST_MIB,
    DOM0_MIB,
    DOM0_OWN_MIB,
    Recipe,
    capture_line,
    command_line,
    direct,
    multiboot,
    xen_options,
)

PLACE = Path("/run/user/lab")
LAB = Lab(
    "one",
    0,
    str(PLACE / "gdb"),
    PLACE / "qmp",
    PLACE / "control",
    PLACE / "serial",
    PLACE / "console.log",
    PLACE / "xen",
    None,
    False,
)


def options(line: list[str]) -> dict[str, list[str]]:
    """Each option's values."""
    found: dict[str, list[str]] = {}
    for word in line:
        if word.startswith("-"):
            name = word
            found.setdefault(name, [])
        else:
            found[name].append(word)
    return found


def memory_of(recipe: Recipe) -> int:
    (value,) = options(command_line(recipe, LAB, []))["-m"]
    assert value[-1] == "M"
    return int(value[:-1])


@pytest.mark.parametrize(
    ("recipe", "mib"),
    [
        (Recipe(), ALONE_MIB),
        (Recipe(dom0=True), DOM0_MIB),
        (Recipe(dom0=True, crash=True), DOM0_MIB + crash.RESERVED_MIB),
        (Recipe(uefi=True), uefi.MIB),
        (Recipe(uefi=True, dom0=True), DOM0_MIB),
        (Recipe(memory=1), 1),
        (Recipe(memory=1000), 1000),
        (Recipe(memory=DOM0_LEAST_MIB, dom0=True), DOM0_LEAST_MIB),
    ],
)
def test_memory(recipe: Recipe, mib: int) -> None:
    assert memory_of(recipe) == mib


@pytest.mark.parametrize(
    ("recipe", "least"),
    [
        (Recipe(memory=-1), 1),
        (Recipe(memory=DOM0_LEAST_MIB - 1, dom0=True), DOM0_LEAST_MIB),
        (Recipe(memory=DOM0_LEAST_MIB, dom0=True, crash=True), DOM0_LEAST_MIB + crash.RESERVED_MIB),
        (Recipe(memory=uefi.MIB - 1, uefi=True), uefi.MIB),
    ],
)
def test_too_little_memory_is_said_before_anything_starts(recipe: Recipe, least: int) -> None:
    for made in (lambda: command_line(recipe, LAB, []), lambda: xen_options(recipe)):
        with pytest.raises(LabError, match=f"{recipe.memory} MiB of memory are too little: this lab needs {least}$"):
            made()


@given(st.integers(DOM0_LEAST_MIB + crash.RESERVED_MIB, 1 << 20), st.booleans())
def test_dom0_gets_at_most_half_of_what_the_crash_kernel_leaves(memory: int, crashing: bool) -> None:
    words = xen_options(Recipe(dom0=True, crash=crashing, memory=memory)).split()
    (given_to_it,) = (int(word[len("dom0_mem=") : -1]) for word in words if word.startswith("dom0_mem="))
    left = memory - (crash.RESERVED_MIB if crashing else 0)
    assert given_to_it == min(DOM0_OWN_MIB, left // 2)
    assert (f"crashkernel={crash.RESERVED_MIB}M" in words) == crashing


def test_xens_own_options() -> None:
    plain = xen_options(Recipe()).split()
    assert "dom0_mem" not in xen_options(Recipe())
    assert {"console=com1", "iommu=verbose,debug", "noreboot", "loglvl=all"} <= set(plain)
    # The UART is polled, but for a Xen of the user's own.
    assert "com1=115200,8n1,0x3f8,0" in plain
    assert "com1=115200,8n1" in xen_options(Recipe(image=Path("xen.gz"))).split()
    assert xen_options(Recipe(append="sched=null x2apic=off")).endswith(" noreboot sched=null x2apic=off")


def test_what_every_machine_has() -> None:
    line = command_line(Recipe(), LAB, multiboot(Recipe(), LAB, "no-kernel"))
    found = options(line)
    assert found["-machine"] == ["q35,kernel-irqchip=split"]
    assert found["-accel"] == ["tcg"]
    assert found["-smp"] == ["1"]
    assert found["-device"] == ["intel-iommu,intremap=on"]
    assert (found["-kernel"], found["-initrd"]) == ([str(LAB.image)], ["no-kernel"])
    assert found["-append"] == [xen_options(Recipe())]
    assert found["-cpu"] == ["qemu64"]
    assert "-S" not in found
    # It listens on sockets that are the user's alone, and on nothing else.
    sockets = [*found["-qmp"], *found["-gdb"]]
    assert sockets == [f"unix:{PLACE}/{name},server=on,wait=off" for name in ("qmp", "control", "gdb")]
    assert found["-chardev"] == [f"pipe,id=console,path={PLACE}/console.log"]
    assert not any("tcp" in word or "telnet" in word or "vnc" in word for word in line)


def test_what_only_some_have() -> None:
    assert "-S" in command_line(Recipe(stopped=True), LAB, [])
    eim = options(command_line(Recipe(eim=True), LAB, []))
    assert (eim["-device"], eim["-cpu"]) == (["intel-iommu,intremap=on,eim=on"], ["qemu64,+x2apic"])
    dom0 = options(command_line(Recipe(dom0=True), LAB, []))
    assert dom0["-device"][1:] == ["e1000e,netdev=net", "virtio-blk-pci,drive=disk"]
    # Its network leads nowhere.
    assert dom0["-netdev"] == ["user,id=net,restrict=on"]
    assert dom0["-smp"] == ["1"]
    crashing = options(command_line(Recipe(dom0=True, crash=True), LAB, []))
    assert crashing["-smp"] == [str(CRASH_CPUS)]
    assert crashing["-device"][-1] == f"virtio-blk-pci,drive=dump,serial={crash.DISK}"
    assert f"if=none,id=dump,file={crash.DISK},format=raw" in crashing["-drive"]


def test_a_capture_is_the_ram_of_a_machine_that_stays_stopped() -> None:
    found = options(capture_line(Recipe(), LAB, PLACE / "a,b", 192))
    assert found["-m"] == ["192M"]
    assert found["-object"] == [f"memory-backend-file,id=ram,size=192M,mem-path={PLACE}/a,,b,share=off"]
    assert found["-machine"] == ["q35,kernel-irqchip=split", "memory-backend=ram"]
    assert "-S" in found
    assert "-kernel" not in found


def test_commas_in_paths_are_doubled() -> None:
    place = Path("/home/a,b")
    lab = replace(
        LAB, qmp=place / "qmp", control=place / "c", serial=place / "s", console=place / "l", gdb=str(place / "gdb")
    )
    line = command_line(Recipe(), lab, [])
    assert [word.count("/home/a,,b/") for word in line if "/home" in word] == [1, 1, 1, 1]


def test_a_linux_in_place_of_a_xen_has_the_devices_of_a_dom0() -> None:
    recipe = Recipe(linux="6.12", append="intremap=off")
    given = options(command_line(recipe, LAB, direct(recipe, "initrd")))
    assert given["-kernel"] == ["vmlinuz"]
    assert given["-append"] == ["console=ttyS0 quiet panic=0 no_timer_check intremap=off"]
    assert given["-smp"] == [str(CRASH_CPUS)]
    assert given["-m"] == [f"{DOM0_MIB}M"]
    assert {"e1000e,netdev=net", "virtio-blk-pci,drive=disk", "vmcoreinfo"} <= {*given["-device"]}
    with pytest.raises(LabError, match=f"needs {DOM0_LEAST_MIB}"):
        command_line(replace(recipe, memory=64), LAB, [])
