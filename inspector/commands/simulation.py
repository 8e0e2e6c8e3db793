"""A simulated machine is driven: it steps, runs, and is asked for interrupts and for what guests, the scheduler and the
toolstack do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from inspector.base import new_file
from inspector.base.arguments import FilePath, argument, flag
from inspector.base.errors import NotHere, UsageError, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import VCPU, CpuNumber, Device, DomainNumber, VcpuName
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model import documents
    from inspector.targets.sim.simulation import Simulation


CHUNK = 20_000
"""Steps between two looks at whether somebody wants to know how far it is."""
AT_ONCE = 10_000
"""Steps that an order may take on a machine that does nothing of itself."""


def simulation(inspection: Inspection) -> Simulation:
    """The target as a machine that can be driven. Raises NotHere if it is a real one, or a dump."""
    from inspector.targets.sim.simulation import Simulation

    if not isinstance(inspection.target, Simulation):
        raise NotHere(
            f"{inspection.target.description} is not simulated: only `vtdpi sim` has a machine that can be driven"
        )
    return inspection.target


def order(inspection: Inspection, words: str, later: bool, name: str, *arguments: object) -> Answer[documents.Events]:
    """Ask the machine for something, and show it happen, unless the machine is busy anyway.

    Args:
        words: what is asked for, as a sentence.
        later: only ask for it.
        name: the machine's method, with its `arguments`.
    """
    target = simulation(inspection)
    with target.moving_by(" ".join(map(str, (name, *arguments)))):
        target.drive(name, *arguments)
        if later or target.busy:
            return Answer({"events": []}, [Text(f"{words}: `step` or `run` make it happen")])
        return happened(target, target.step(AT_ONCE), words)


def happened(target: Simulation, events: Sequence[Mapping[str, Any]], words: str = "") -> Answer[documents.Events]:
    """What happened, a line each."""
    lines = [event["text"] for event in events]
    if not events:
        lines = ["nothing can happen unless it is asked for: post, block, wake, sleep, preempt, ..."]
    title = [f"{words}:"] if words else []
    document: documents.Events = {"events": [_event(event) for event in events]}
    crashed = target.crashed
    if crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {crashed}")
    return Answer(document, [Text("\n".join([*title, *lines]))])


def _event(event: Mapping[str, Any]) -> documents.Event:
    """It without its line."""
    return cast("documents.Event", {name: value for name, value in event.items() if name != "text"})


@frozen
class Steps:
    """How many steps."""

    count: int = argument("how many (default: 1)", 1)


@command(
    Steps,
    Example("sim", "step 20", "a line each: who, which function of Xen, what, and the field before and after"),
)
def step(inspection: Inspection, arguments: Steps) -> Answer[documents.Events]:
    """Do one atomic action of the simulated machine, or several, and say what each did."""
    target = simulation(inspection)
    return happened(target, target.step(arguments.count))


@frozen
class Distance:
    """How far to run."""

    count: int = argument("how many (default: 1000)", 1000)
    events: bool = flag("tell each action")


@command(
    Distance,
    Example("sim", "run 100000", "just how far it came"),
    Example("sim", "run 50 --events", "a line for each action, as `step` gives it"),
)
def run(inspection: Inspection, arguments: Distance) -> Answer[documents.Events]:
    """Let the simulated machine run, as many atomic actions as you say."""
    target = simulation(inspection)
    if arguments.events:
        return happened(target, target.step(arguments.count))
    with target.moving_by(f"run {arguments.count}"):
        done = run_on(target, arguments.count)
    if target.crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {target.crashed}")
    line = f"{done} steps" if done == arguments.count else f"{done} steps, then nothing more could happen"
    return Answer({"steps": done, "events": []}, [Text(line)])


def run_on(target: Simulation, count: int) -> int:
    """Run; how many steps there were. A person at a terminal sees how far it is."""
    from inspector.views.progress import StepsLine

    line = StepsLine(count)
    done = 0
    try:
        while done < count:
            now = cast(int, target.drive("run", min(CHUNK, count - done)))
            done += now
            if now < min(CHUNK, count - done + now):
                break
            line.tell(done)
    finally:
        line.clear()
    return done


@frozen
class Checkpoint:
    """Where a machine goes."""

    file: FilePath = argument("where to write it")


@command(Checkpoint, Example("sim", "run 1000\ncheckpoint FILE", "sim --load FILE goes on with it"))
def checkpoint(inspection: Inspection, arguments: Checkpoint) -> Answer[documents.File]:
    """Write the whole simulated machine to a file, with which `sim --load FILE` goes on."""
    target = simulation(inspection)
    new_file.refuse_to_lose(arguments.file, inspection.target.files)
    target.drive("save", arguments.file)
    return Answer({"file": str(arguments.file)}, [Text(f"wrote {arguments.file}; `vtdpi sim --load` goes on with it")])


@frozen
class Core:
    """Where a core goes."""

    file: FilePath = argument("where to write it")


@command(Core, Example("sim", "core FILE", "then: vtdpi dump FILE vcpus"))
def core(inspection: Inspection, arguments: Core) -> Answer[documents.File]:
    """Write the simulated machine's memory as an ELF core, for `vtdpi dump` and for plain gdb with xen-syms."""
    write = getattr(inspection.target, "write_core", None)
    if write is None:
        raise NotHere(
            f"{inspection.target.description} is not simulated: dump its memory with QEMU's dump-guest-memory"
        )
    with new_file.replacing(arguments.file, keep=inspection.target.files) as file:
        write(file)
    return Answer({"file": str(arguments.file)}, [Text(f"wrote {arguments.file}")])


LATER = "only ask for it; `step` or `run` make it happen"


@frozen
class OfVcpu:
    """An order about a vCPU."""

    vcpu: VcpuName = argument("which vCPU")
    later: bool = flag(LATER)


@command(OfVcpu, Example("sim --scenario idle", "block d1v0\nvcpus"))
def block(inspection: Inspection, arguments: OfVcpu) -> Answer[documents.Events]:
    """The guest halts a vCPU: it blocks until something wakes it."""
    return order(inspection, f"the guest halts {arguments.vcpu}", arguments.later, "block", arguments.vcpu)


@command(OfVcpu, Example("sim --scenario idle", "block d1v0\nwake d1v0"))
def wake(inspection: Inspection, arguments: OfVcpu) -> Answer[documents.Events]:
    """Wake a vCPU: unpause it if it is paused, else send it an event."""
    return order(inspection, f"{arguments.vcpu} is woken", arguments.later, "wake", arguments.vcpu)


@command(OfVcpu, Example("sim --scenario idle", "sleep d1v0\nvcpus"))
def sleep(inspection: Inspection, arguments: OfVcpu) -> Answer[documents.Events]:
    """Pause a vCPU, as the toolstack does; `wake` unpauses it."""
    return order(inspection, f"{arguments.vcpu} is paused", arguments.later, "sleep", arguments.vcpu)


@frozen
class Preempted(OfVcpu):
    """How a vCPU is preempted."""

    tasklet: bool = flag("by a tasklet: a lazy switch to idle")


@command(Preempted, Example("sim --scenario idle", "preempt d1v0 --tasklet"))
def preempt(inspection: Inspection, arguments: Preempted) -> Answer[documents.Events]:
    """End the time slice of a running vCPU; another one runs if one waits. With --tasklet its CPU runs a tasklet."""
    words = f"{arguments.vcpu} is preempted" + (" by a tasklet" if arguments.tasklet else "")
    return order(inspection, words, arguments.later, "preempt", arguments.vcpu, arguments.tasklet)


@frozen
class Migrated:
    """Which vCPU moves where."""

    vcpu: VcpuName = argument("which vCPU")
    cpu: CpuNumber = argument("where to")
    later: bool = flag(LATER)


@command(Migrated, Example("sim --scenario idle", "migrate d1v0 1"))
def migrate(inspection: Inspection, arguments: Migrated) -> Answer[documents.Events]:
    """Move a vCPU to another physical CPU."""
    words = f"{arguments.vcpu} moves to CPU {arguments.cpu}"
    return order(inspection, words, arguments.later, "migrate", arguments.vcpu, arguments.cpu)


@frozen
class OfCpu:
    """Which CPU goes, or comes back."""

    cpu: CpuNumber = argument("which CPU; 0 stays")
    back: bool = flag("bring it online again")
    later: bool = flag(LATER)


@command(
    OfCpu,
    Example("sim --scenario idle", "block d1v1\noffline 1\nvcpus"),
    Example("sim --scenario idle", "offline 1\noffline 1 --back"),
)
def offline(inspection: Inspection, arguments: OfCpu) -> Answer[documents.Events]:
    """Take a physical CPU offline, or bring it back."""
    words = f"CPU {arguments.cpu} " + ("comes back" if arguments.back else "goes offline")
    return order(inspection, words, arguments.later, "bring_online" if arguments.back else "offline", arguments.cpu)


@frozen
class Posted:
    """Which interrupt."""

    target: str = argument("who sends, or which vCPU gets it", metavar="DEVICE|dXvY")
    vector: int | None = argument("which of the device's; the vCPU's vector", None)
    later: bool = flag(LATER)


@command(
    Posted,
    Example("sim --scenario idle", "post 00:03.0 1", "the device's vector number 1, as a remappable MSI"),
    Example("sim --scenario idle", "post d1v0 0x41", "an emulated device's interrupt, posted by software"),
)
def post(inspection: Inspection, arguments: Posted) -> Answer[documents.Events]:
    """A device sends an interrupt, or software posts one to a vCPU."""
    target, vector = arguments.target, arguments.vector
    if not VCPU.fullmatch(target):
        words = f"{target} sends its interrupt {vector or 0}"
        return order(inspection, words, arguments.later, "post", target, vector or 0)
    if vector is None:
        raise UsageError(f"post {target}: which vector? Such as 0x41")
    words = f"software posts vector {vector:#x} to {target}"
    return order(inspection, words, arguments.later, "deliver", target, vector)


@frozen
class OfDevice:
    """Which device."""

    device: Device = argument("bus:device.function", metavar="DEVICE")
    later: bool = flag(LATER)


@command(OfDevice, Example("sim --scenario idle", "deassign 00:03.0\nirt"))
def deassign(inspection: Inspection, arguments: OfDevice) -> Answer[documents.Events]:
    """Take a device away from its domain."""
    return order(inspection, "the device leaves its domain", arguments.later, "deassign", arguments.device)


@frozen
class Assigned:
    """Which device goes to which domain."""

    device: Device = argument("bus:device.function", metavar="DEVICE")
    domain: DomainNumber = argument("its number")
    later: bool = flag(LATER)


@command(Assigned, Example("sim --scenario idle", "deassign 00:03.0\nassign 00:03.0 1\nirt"))
def assign(inspection: Inspection, arguments: Assigned) -> Answer[documents.Events]:
    """Give a device to a domain, whose vCPUs get its interrupts, posted."""
    words = f"domain {arguments.domain} gets the device"
    return order(inspection, words, arguments.later, "assign", arguments.device, arguments.domain)
