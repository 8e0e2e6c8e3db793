"""A simulated machine is driven: it steps, runs, and is asked for interrupts and for what guests, the scheduler and the
toolstack do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

from inspector.base import new_file
from inspector.base.arguments import COMMAND, FilePath, Word, argument, flag, read_number
from inspector.base.errors import NotHere, UsageError, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import VCPU, CpuNumber, Device, DomainNumber, VcpuName
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model import documents
    from inspector.targets.sim.breaks import Break
    from inspector.targets.sim.simulation import Simulation

EXAMPLE = "vcpus .vcpus[name=d1v0].pi.on == 1"

STEPS, MOST = 1_000, 10_000
"""Steps of `run` if nobody says how many; until something, which takes a look at each."""
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
    with target.moving_by(words):
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
    if target.stopped:
        document["stopped"] = _stopped(target)
        lines.append(f"stopped at {target.position}: {target.stopped.words}")
    crashed = target.crashed
    if crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {crashed}")
    return Answer(document, [Text("\n".join([*title, *lines]))])


def _event(event: Mapping[str, Any]) -> documents.Event:
    """It without its line."""
    return cast("documents.Event", {name: value for name, value in event.items() if name != "text"})


def _stopped(target: Simulation) -> documents.Stopped:
    assert target.stopped
    stopped: documents.Stopped = {"step": target.steps, "where": target.stopped.words}
    if target.history_step is not None:
        stopped["history_step"] = target.history_step
    return stopped


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


UNTIL = "until"


def read_distance(word: str) -> int | str:
    """A number of steps, or `until`. Raises BadWord."""
    return word if word == UNTIL else read_number(word)


HowFar = Annotated[int | str, Word("N", read_distance, keywords={UNTIL: COMMAND})]


@frozen
class Distance:
    """How far to run."""

    count: HowFar = argument("how many (default: 1000; until something: 10000)", STEPS)
    condition: tuple[str, ...] = argument("where to stop before", (), metavar="until FUNCTION|CONDITION")
    events: bool = flag("tell each action")


@command(
    Distance,
    Example("sim", "run 100000", "just how far it came"),
    Example("sim", "run 50 --events", "a line for each action, as `step` gives it"),
    Example("sim", "run until vmx_vcpu_block\nvcpus", "where a vCPU is about to block"),
    Example("sim", f"run until {EXAMPLE}\naudit", "the first moment at which it is so"),
)
def run(inspection: Inspection, arguments: Distance) -> Answer[documents.Events]:
    """Let the simulated machine run, as many atomic actions as you say, or until something is so.

    What follows `until` is as `break` has it: a function that is entered, or a condition, as `expect` has it, which is
    asked after each step; quote it if its command takes options. If it does not become so, the exit status is 3.
    """
    target = simulation(inspection)
    until, count = _until(inspection, target, arguments)
    if until and until.held:
        return Answer({"step_count": 0, "events": []}, [Text(f"it is so already at {target.position}: {until.words}")])
    words = f"run {count}" + (f" until {until.words}" if until else "")
    told: list[Mapping[str, Any]] = []
    with target.moving_by(words):
        if not (arguments.events or until or target.breaks):
            target.stopped = None
            done = run_on(target, count)
        else:
            done, told = _run_to(target, count, until, arguments.events)
    if until and target.stopped is None and not target.crashed:
        end = f"within {done} steps" if done == count else f"in {done} steps, and nothing more can happen"
        found = f" (found {until.missing})" if until.missing else ""
        raise VtdpiError(f"not so {end}: {until.words}{found}")
    if arguments.events:
        return happened(target, told)
    if target.crashed:
        raise VtdpiError(f"the simulated machine cannot go on: {target.crashed}")
    document: documents.Events = {"step_count": done, "events": []}
    if target.stopped:
        document["stopped"] = _stopped(target)
        return Answer(document, [Text(f"{done} steps; stopped at {target.position}: {target.stopped.words}")])
    line = f"{done} steps" if done == count else f"{done} steps, then nothing more could happen"
    return Answer(document, [Text(line)])


def _until(inspection: Inspection, target: Simulation, arguments: Distance) -> tuple[Break | None, int]:
    """Where to stop, if anywhere, and after how many steps at the latest."""
    from inspector.commands.stops import FORM, stop_at

    count, words = arguments.count, arguments.condition
    if isinstance(count, str):
        count, words = MOST, (UNTIL, *words)
    if not words:
        return None, count
    if words[0] != UNTIL or not words[1:]:
        raise UsageError(f"expected until and where to stop, found {' '.join(words)!r}; {FORM}")
    return stop_at(inspection, target, words[1:]), count


def _run_to(target: Simulation, count: int, until: Break | None, tell: bool) -> tuple[int, list[Mapping[str, Any]]]:
    """Run step by step; how many there were, and if they are to be told, they."""
    from inspector.views.progress import StepsLine

    line = StepsLine(count)
    done = 0
    told: list[Mapping[str, Any]] = []
    try:
        for done, event in enumerate(target.events(count, until), 1):
            if tell:
                told.append({**event.document(), "text": str(event)})
            line.tell(done)
    finally:
        line.clear()
    return done, told


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
