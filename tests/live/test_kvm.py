"""A VM of KVM's on Debian's Linux, live and from an image of its memory.

On the emulated processor KVM uses SVM, for TCG has no VMX: so there are no descriptors of Intel's. All else that vtdpi
reads of KVM is a real kernel's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from inspector.audit import audit, coverage
from inspector.capture.inspection import Inspection
from inspector.commands import command
from inspector.lab.kernel import LINUX
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.model.snapshot import Snapshot
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.targets.open_file import open_file

pytestmark = pytest.mark.live

THREAD = re.compile(r"vcpu (\d) is thread (\d+)")
THERE = re.compile(r"the VM of process (\d+) is there")
HALTED, IN_USER_SPACE, NEVER_RUN, BUSY = 0, 1, 2, (3, 4, 5)
PATIENCE = 120.0


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[object], NoReturn]) -> Path:
    """The program that makes the VM."""
    if shutil.which("gcc") is None:
        unavailable("gcc makes the program that makes a VM: apt install gcc libc6-dev")
    made = tmp_path_factory.mktemp("guest") / "guest"
    source = Path(__file__).with_name("kvm_guest.c")
    subprocess.run(["gcc", "-static", "-O1", "-w", "-pthread", source, "-o", made], check=True)
    return made


def console(lab: Lab, wanted: str | re.Pattern[str]) -> str:
    """What the lab has printed, once that is among it."""
    end = time.monotonic() + PATIENCE
    while not re.search(wanted, text := lab.console.read_text("latin-1")):
        assert time.monotonic() < end, f"{wanted} is not on the console: {text[-2000:]}"
        time.sleep(0.2)
    return text


def settled(look: Callable[[], Snapshot]) -> Snapshot:
    """A look at the machine once each vCPU is where it stays, or comes back to."""
    end = time.monotonic() + PATIENCE
    while not is_settled(snapshot := look()):
        assert time.monotonic() < end, [(vcpu.name, vcpu.runstate, vcpu.kvm) for vcpu in snapshot.vcpus]
    return snapshot


def is_settled(snapshot: Snapshot) -> bool:
    by_id = {vcpu.vcpu: vcpu for vcpu in snapshot.vcpus}
    states = {vcpu: found.runstate for vcpu, found in by_id.items()}
    asleep = not by_id[HALTED].kvm.runnable and not by_id[IN_USER_SPACE].kvm.runnable
    busy = {states[vcpu] for vcpu in BUSY}
    return asleep and states[HALTED] == "blocked" and busy <= {"running", "preempted"} and "preempted" in busy


def agrees(snapshot: Snapshot, printed: str) -> None:
    """The VM, its vCPUs and threads are those that the program says; each vCPU is where it has to be."""
    pid = int(THERE.search(printed)[1])
    threads = {int(vcpu): int(thread) for vcpu, thread in THREAD.findall(printed)}
    assert snapshot.problems == ()
    (vm,) = snapshot.domains
    assert (vm.name, vm.assigned) == (f"vm{pid}", 0)
    assert [(irqfd.gsi, irqfd.irq) for irqfd in vm.irqfds] == [(5, None)]
    assert [vcpu.name for vcpu in snapshot.vcpus] == [f"vm{pid}v{number}" for number in range(6)]
    assert {vcpu.vcpu: vcpu.kvm.thread for vcpu in snapshot.vcpus if vcpu.kvm.thread} == threads
    by_id = {vcpu.vcpu: vcpu for vcpu in snapshot.vcpus}
    assert by_id[HALTED].kvm.blocking
    assert by_id[IN_USER_SPACE].runstate == "user space"
    assert (by_id[NEVER_RUN].runstate, by_id[NEVER_RUN].kvm.thread) == ("never run", None)
    loaded = {cpu.loaded: cpu.cpu for cpu in snapshot.cpus if cpu.loaded}
    for number in BUSY:
        vcpu = by_id[number]
        assert vcpu.kvm.runnable
        assert loaded.get(vcpu.name) == vcpu.kvm.loaded_on
    assert {vcpu.vcpu for vcpu in snapshot.vcpus if vcpu.kvm.exits} == {*by_id} - {NEVER_RUN}
    assert all(vcpu.pi is None for vcpu in snapshot.vcpus)
    assert any("kvm_intel is not loaded" in each.why for each in snapshot.absences)
    assert audit(snapshot) == []
    assert {"D18", "D52"} <= {*coverage(snapshot).checked}


@pytest.mark.parametrize("version", sorted(LINUX))
def test_vms_vcpus_and_threads_are_those_of_the_machine(labs, guest, tmp_path, version):
    lab = labs(Recipe(linux=version, guest=guest))
    printed = console(lab, THERE)

    def live() -> Snapshot:
        with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
            return Inspection(target).snapshot.complete()

    def image() -> Snapshot:
        # QEMU's own dumps are of a 32-bit machine while its first CPU is in this guest, which is in real mode.
        file = tmp_path / "raw"
        with Qmp(lab.qmp) as qmp:
            qmp.execute("stop")
            size = qmp.execute("query-memory-size-summary")["base-memory"]
            qmp.execute("pmemsave", {"val": 0, "size": size, "filename": str(file)}, timeout=120)
            qmp.execute("cont")
        with open_file(file) as target:
            return Inspection(target).snapshot.complete()

    first = settled(live)
    agrees(first, printed)
    later = settled(image)
    agrees(later, printed)
    assert sum(vcpu.kvm.exits for vcpu in first.vcpus) <= sum(vcpu.kvm.exits for vcpu in later.vcpus)


def answered(lab: Lab, line: str) -> str:
    """What a command says of the lab's machine."""
    with GdbMi(lab.gdb, qmp=str(lab.qmp)) as target:
        answer = command.parse(line.split()).answer(Inspection(target))
        return " ".join(map(repr, answer.blocks))


def test_a_kvm_without_a_vm_says_so(labs, tmp_path):
    nothing = tmp_path / "nothing"
    nothing.write_text("#!/busybox true\n")
    lab = labs(Recipe(linux="6.12", guest=nothing))
    for line in ("vcpus", "info"):
        assert "no VM: kvm is loaded, and its vm_list is empty" in answered(lab, line)
    assert "no wakeup list: kvm is loaded, and its vm_list is empty" in answered(lab, "blocked")


def test_a_linux_without_kvm_says_so(labs):
    lab = labs(Recipe(linux="6.12"))
    for line in ("vcpus", "info"):
        assert "no VM: the module kvm is not loaded" in answered(lab, line)
