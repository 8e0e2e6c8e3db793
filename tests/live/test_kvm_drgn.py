"""KVM's memory as the simulation lays it out by Debian's build, read by drgn with that build's types.

The types come from the build's own BTF by another way than vtdpi's: bpftool (libbpf) makes C declarations of it, gcc
DWARF of these, and drgn reads that. No live KVM was ever seen: no machine of ours has VMX.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.kvm import MODES
from inspector.model.snapshot import Snapshot
from sim_backend.layout.kvm.layout import DeviceConfig, DomainConfig, KvmLayout, LayoutConfig
from sim_backend.layout.page_tables import translate
from sim_backend.memory.errors import SimError
from structs.pi_desc import vectors
from tests.fixtures.kvm import KvmBuild
from tests.inspector.linux.kvm_states import SITUATIONS, VM, OneVcpu
from tests.inspector.linux.laid import Laid

pytestmark = pytest.mark.live

BPFTOOL = ("bpftool", "/usr/sbin/bpftool")
MODULES = {"kvm": "kvm", "kvm-intel": "kvm_intel"}
ALL_OF_MEMORY = (1 << 64) - 1


@pytest.fixture(scope="module")
def types(
    debian_kvm: Callable[[str], KvmBuild],
    tmp_path_factory: pytest.TempPathFactory,
    unavailable: Callable[[object], NoReturn],
) -> dict[str, Path]:
    """An object file with the types of each module."""
    build = debian_kvm("6.12")
    bpftool = next(filter(None, map(shutil.which, BPFTOOL)), None)
    if bpftool is None or shutil.which("gcc") is None:
        unavailable("bpftool and gcc make types that drgn reads: apt install bpftool gcc")
    directory = tmp_path_factory.mktemp("types")
    made = {}
    for path in build.modules:
        name = MODULES.get(path.stem.partition("-")[2])
        if name:
            made[name] = directory / f"{name}.o"
            order = [bpftool, "btf", "dump", "-B", build.vmlinux, "file", path, "format", "c"]
            declared = subprocess.run(order, check=True, capture_output=True, text=True).stdout
            source = made[name].with_suffix(".c")
            # The declarations are for BPF programs; without this they ask for a pragma of clang's.
            source.write_text(f"#define BPF_NO_PRESERVE_ACCESS_INDEX\n{declared}")
            keep = ["-g", "-c", "-w", "-std=gnu11", "-fno-eliminate-unused-debug-types"]
            subprocess.run(["gcc", *keep, source, "-o", made[name]], check=True)
    return made


@pytest.fixture
def layout(debian_kvm: Callable[[str], KvmBuild], kvm_profile_of: Callable[[KvmBuild], str]) -> KvmLayout:
    """A VM with a vCPU in each situation, two devices' vectors posted, and another VM."""
    config = LayoutConfig(
        profile=kvm_profile_of(debian_kvm("6.12")),
        cpus=4,
        apic_ids=(0, 2, 4, 6),
        domains=(DomainConfig(VM, len(SITUATIONS)), DomainConfig(77, 70)),
        devices=(DeviceConfig(0x300, 3, VM), DeviceConfig(0x400, 1, 77)),
    )
    layout = KvmLayout(config)
    for number, enter in enumerate(SITUATIONS.values()):
        # Of those that are loaded each has a CPU of its own.
        enter(OneVcpu(layout, number), number % 4)
    for msi, vcpu, vector in zip(layout.device(0x300).msis, (0, 3, 5), (0x41, 0x51, 0x61), strict=True):
        layout.post_msi(msi, VM, vcpu, vector)
    return layout


def program(layout: KvmLayout, types: Path) -> Any:
    """drgn over the laid out memory, with these types."""
    import drgn

    prog = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        found = bytearray()
        try:
            while len(found) < count:
                at = address + len(found)
                size = min(count - len(found), 4096 - at % 4096)
                found += layout.memory.read(translate(layout.memory, layout.root, at), size)
        except SimError as error:
            raise drgn.FaultError(str(error), address) from None
        return bytes(found)

    prog.add_memory_segment(0, ALL_OF_MEMORY, read)
    module = prog.extra_module(types.stem, 0, create=True)
    module.try_file(types, force=True)
    return prog


def vms(prog: Any, layout: KvmLayout) -> Iterator[Any]:
    """Each `struct kvm`, as drgn walks vm_list."""
    from drgn import Object
    from drgn.helpers.linux.list import list_for_each_entry

    head = Object(prog, "struct list_head", address=layout.profile.symbol("vm_list")).address_of_()
    yield from list_for_each_entry("struct kvm", head, "vm_list")


def vcpus(prog: Any, kvm: Any) -> Iterator[Any]:
    """Each `struct vcpu_vmx` of a VM, as drgn walks its XArray."""
    from drgn import Object
    from drgn.helpers.linux.xarray import xa_for_each

    for _, entry in xa_for_each(kvm.vcpu_array.address_of_()):
        yield Object(prog, "struct vcpu_vmx *", value=entry.value_())


def test_drgn_walks_to_the_same_vms_and_vcpus_and_reads_the_same_values(
    types: dict[str, Path], layout: KvmLayout
) -> None:
    from drgn import container_of

    prog = program(layout, types["kvm_intel"])
    snapshot = Inspection(Laid(layout)).snapshot
    assert snapshot.problems == ()
    seen = 0
    for kvm in vms(prog, layout):
        name = f"vm{kvm.userspace_pid.value_()}"
        domain = next(each for each in snapshot.domains if each.name == name)
        assert domain.address == kvm.value_()
        assert domain.assigned == kvm.arch.assigned_device_count.counter.value_()
        for vmx in vcpus(prog, kvm):
            vcpu, pi = vmx.vcpu, vmx.pi_desc
            ours = snapshot.by_name[f"{name}v{vcpu.vcpu_id.value_()}"]
            assert ours.address == vmx.value_()
            task = container_of(vcpu.pid.tasks[0].first, "struct task_struct", "pid_links[0]")
            cpu = vcpu.cpu.value_()
            assert (ours.cpu, ours.kvm.mode) == (None if cpu == -1 else cpu, MODES[vcpu.mode.value_()])
            assert ours.kvm.blocking == bool(vcpu.wait.task.value_())
            assert (ours.kvm.preempted, ours.kvm.ready) == (vcpu.preempted.value_(), vcpu.ready.value_())
            assert ours.kvm.exits == vcpu.stat.exits.value_()
            assert ours.kvm.thread == vcpu.pid.numbers[0].nr.value_() == task.pid.value_()
            assert task.comm.string_() == f"CPU {ours.vcpu}/KVM".encode()
            assert ours.kvm.runnable == (task.__state.value_() == 0)
            assert ours.kvm.on_cpu == bool(task.on_cpu.value_())
            words = [pi.pir[at].value_() for at in range(8)]
            assert list(ours.pi.pir) == vectors(sum(word << 32 * at for at, word in enumerate(words)))
            assert ours.pi.on | ours.pi.sn << 1 == pi.notifications.value_()
            assert (ours.pi.nv, ours.pi.ndst) == (pi.nv.value_(), pi.ndst.value_())
            links = vmx.pi_wakeup_list
            assert ours.node == links.address_of_().value_()
            assert (ours.following, ours.preceding) == (links.next.value_(), links.prev.value_())
            apic = vcpu.arch.apic
            assert (apic.vcpu.value_(), layout.physical(apic.regs.value_())) == (
                vmx.value_(),
                layout.vlapic(domain.domain, ours.vcpu),
            )
            seen += 1
    assert seen == len(snapshot.vcpus) == len(SITUATIONS) + 70


def test_drgn_finds_the_same_vcpus_on_each_wakeup_list(types: dict[str, Path], layout: KvmLayout) -> None:
    from drgn import Object
    from drgn.helpers.linux.list import list_for_each_entry

    prog = program(layout, types["kvm_intel"])
    snapshot: Snapshot = Inspection(Laid(layout)).snapshot
    listed = 0
    for of_cpu in snapshot.lists:
        head = Object(prog, "struct list_head", address=of_cpu.head).address_of_()
        nodes = [vmx.value_() for vmx in list_for_each_entry("struct vcpu_vmx", head, "pi_wakeup_list")]
        assert [snapshot.by_name[node.vcpu].address for node in of_cpu.nodes] == nodes
        listed += len(nodes)
    assert listed == sum(vcpu.blocking_list is not None for vcpu in snapshot.vcpus) == 3


def test_drgn_finds_the_same_irqfds_and_producers(types: dict[str, Path], layout: KvmLayout) -> None:
    from drgn.helpers.linux.list import list_for_each_entry

    prog = program(layout, types["kvm"])
    snapshot = Inspection(Laid(layout)).snapshot
    for kvm in vms(prog, layout):
        domain = next(each for each in snapshot.domains if each.address == kvm.value_())
        theirs = []
        for irqfd in list_for_each_entry("struct kvm_kernel_irqfd", kvm.irqfds.items.address_of_(), "list"):
            message = irqfd.irq_entry.msi
            vector = message.data.value_() & 0xFF if irqfd.irq_entry.type.value_() == 2 else None
            theirs.append((irqfd.gsi.value_(), irqfd.producer.irq.value_(), vector))
        assert [(each.gsi, each.irq, each.vector) for each in domain.irqfds] == theirs
        assert len(theirs) == {VM: 3, 77: 1}[domain.domain]


def test_drgn_reads_the_same_entries(types: dict[str, Path], layout: KvmLayout) -> None:
    from drgn import Object

    prog = program(layout, types["kvm"])
    snapshot = Inspection(Laid(layout)).snapshot
    marks = {msi.irq: msi.to_vcpu for msi in snapshot.msis}
    for msi in (*layout.device(0x300).msis, *layout.device(0x400).msis):
        data = Object(prog, "struct intel_ir_data", address=layout.virtual(msi.msi_desc))
        assert marks[msi.irq] == data.irq_2_iommu.posted_vcpu.value_() == (msi.sid == 0x300)
        assert data.irq_2_iommu.irte_index.value_() == msi.index


def test_the_bundled_profile_is_what_the_build_says(
    debian_kvm: Callable[[str], KvmBuild], kvm_profile_of: Callable[[KvmBuild], str]
) -> None:
    from structs.linux.named import of_release

    made = of_release(kvm_profile_of(debian_kvm("6.12")))
    bundled = of_release("6.12")
    if made.build_id != bundled.build_id:
        pytest.skip(f"Debian's 6.12 is {made.version} now, the bundled profile {bundled.version}'s")
    assert made.document == bundled.document
