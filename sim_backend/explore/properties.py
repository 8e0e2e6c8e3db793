"""What is asked of the posted-interrupt logic. The tests take a machine; one that is true of it is as it should be.

A user's own stand in a Python file, the same way:

    from sim_backend.explore.properties import always, eventually

    @always
    def d1v0_stays_on_cpu_0(m):
        return m.memory.u32(m.vcpu("d1v0") + m.o.processor) == 0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES
from sim_backend.logic.context import PIR_WORDS
from sim_backend.logic.cpu import (
    DISABLED,
    handle_irq,
    idle_loop,
    in_guest,
    mwait_idle,
    run_action,
    vmx_do_vmentry,
    wait,
)
from sim_backend.logic.pi import SN_MASK, VPF_BLOCKED
from sim_backend.logic.program import PC, PROCEDURE, Frame
from sim_backend.logic.toolstack import rewrite_msi
from sim_backend.logic.vtd_engine import ADDRESS, DATA, ENTRY, IM, interrupt_request, posted_pda, posted_vector
from sim_backend.machine.invariants import INVARIANTS, settled
from sim_backend.memory.errors import FileError, SimError
from structs.frozen import frozen

Test = Callable[[Any], bool]


@frozen
class Asked:
    """A property of machines. `tests` makes its tests for one; it holds where all of them do. `words`: what it says."""

    name: str
    kind: str
    tests: Callable[[Any], Sequence[Test]]
    words: str = "a property of your own"


def pending(m: Any, v: int) -> bool:
    """Whether a vector is posted to a vCPU, or in its virtual IRR."""
    return (
        any(m.memory.u64(v + m.o.pir + 8 * word) for word in range(PIR_WORDS))
        or m.context.guests.highest_virtual(v) >= 0
    )


def could_wake(m: Any, v: int) -> bool:
    """Whether a vCPU is blocked, switched out, and kept from running by nothing else."""
    return settled(m, v) and m.memory.u32(v + m.o.pause_flags) == 1 << VPF_BLOCKED and not paused(m, v)


def paused(m: Any, v: int) -> bool:
    """Whether a vCPU or its domain is paused."""
    return bool(m.memory.u32(v + m.o.pause_count) or m.memory.u32(m.context.domain_of(v) + m.o.domain_pause_count))


def in_guest_mode(m: Any, v: int) -> bool:
    """Whether a CPU executes the guest on a vCPU."""
    return any(cpu.current == v and cpu.guest for cpu in m.cpus)


def _of_each_vcpu(test: Callable[..., bool]) -> Callable[[Any], list[Test]]:
    return lambda m: [partial(test, v=v) for v in m.names]


def _is_woken(m: Any, v: int) -> bool:
    return not could_wake(m, v) or not pending(m, v)


def _takes_all(m: Any, v: int) -> bool:
    return not in_guest_mode(m, v) or not pending(m, v)


def _is_restored(m: Any, v: int) -> bool:
    if not in_guest_mode(m, v) or not m.memory.u64(m.context.domain_of(v) + m.o.block_hook):
        return True
    notifies = m.memory.u8(v + m.o.nv) == m.memory.u8(m.context.posted_intr_vector)
    return notifies and not m.memory.u64(v + m.o.node_lock)


def _is_notified(m: Any, v: int) -> bool:
    return not in_guest_mode(m, v) or not m.memory.u8(v + m.o.control) & SN_MASK


def _listed_once(m: Any) -> list[Test]:
    (lists,) = (invariant for invariant in INVARIANTS if invariant.name == "lists are sound")

    def sound(m: Any) -> bool:
        try:
            return not any(lists.check(m))
        except SimError:
            return False

    return [sound]


def _locks(m: Any) -> list[Test]:
    return [partial(_held_once, cpu=cpu) for cpu in range(m.layout.config.cpus)]


def _held_once(m: Any, cpu: int) -> bool:
    return cpu not in m.state.areas or m.memory.u32(m.context.blocking_lock(cpu)) >> 16 <= 1


def _arrives(m: Any) -> list[Test]:
    return [lambda m: not m.state.lost]


def _posts_to_its_owner(m: Any) -> list[Test]:
    return [partial(_sends_to_its_owner, device=device) for device in m.context.devices.values()]


def _sends_to_its_owner(m: Any, device: Any) -> bool:
    return all(_owns(m, device, frame[ENTRY]) for frame in _being_posted(device))


def _being_posted(device: Any) -> list[Frame]:
    """The device's interrupt that a posted entry was fetched for, if there is one."""
    return [frame for frame in device.stack if frame[PROCEDURE] == interrupt_request.number and frame[ENTRY] & IM]


def _owns(m: Any, device: Any, entry: int) -> bool:
    v = posted_pda(entry) - m.o.pi_desc
    return v in m.names and m.context.passthrough.owner(device.id.number) == m.names[v][0]


def _posts_where_the_guest_says(m: Any) -> list[Test]:
    return [partial(_goes_where_the_guest_says, device=device) for device in m.context.devices.values()]


def _goes_where_the_guest_says(m: Any, device: Any) -> bool:
    settled = not m.context.toolstack.stack and m.context.passthrough.owner(device.id.number) is not None
    return not settled or all(_is_bound(m, device, frame) for frame in _being_posted(device))


def _is_bound(m: Any, device: Any, frame: Frame) -> bool:
    posted = posted_pda(frame[ENTRY]) - m.o.pi_desc, posted_vector(frame[ENTRY])
    msis = m.layout.device(device.id.number).msis
    (key,) = (
        m.context.passthrough.msi_key(msi) for msi in msis if (msi.address, msi.data) == (frame[ADDRESS], frame[DATA])
    )
    return list(map(tuple, m.context.passthrough.binding_of(key))) == [posted]


def _runs(m: Any) -> list[Test]:
    return [lambda m: m.crashed is None]


def _nobody_stuck(m: Any) -> list[Test]:
    def free(m: Any) -> bool:
        beside = [*m.context.devices.values(), *m.context.units, m.context.toolstack]
        return all(map(_waits_for_work, m.cpus)) and not any(actor.stack for actor in beside)

    return [free]


def _sleeps(cpu: Any) -> bool:
    return (cpu.stack[-1][PROCEDURE], cpu.stack[-1][PC]) == (mwait_idle.number, wait.pc)


def _waits_for_work(cpu: Any) -> bool:
    if len(cpu.stack) != 1:
        return len(cpu.stack) == 2 and _sleeps(cpu)
    procedure, pc = cpu.stack[0][PROCEDURE], cpu.stack[0][PC]
    return procedure == idle_loop.number or (procedure, pc) == (vmx_do_vmentry.number, in_guest.pc)


def _as_recorded(m: Any) -> list[Test]:
    return [partial(_is_as_recorded, msi=msi) for sid in m.context.devices for msi in m.layout.device(sid).msis]


def _is_as_recorded(m: Any, msi: Any) -> bool:
    # Memory first: where it agrees, what the CPUs do is not looked at, and so is no part of what a search learns.
    return _agrees(m, msi) or bool(m.context.toolstack.stack) or any(_writes_entries(cpu) for cpu in m.cpus)


def _agrees(m: Any, msi: Any) -> bool:
    entry = int.from_bytes(m.memory.read(m.layout.irte(msi.unit, msi.index), 16), "little")
    recorded = m.memory.u64(msi.msi_desc + m.o.msi_pi_desc)
    if not recorded or not entry & IM:
        return not recorded and not entry & IM
    wanted = m.context.physical(recorded), m.memory.u8(msi.msi_desc + m.o.msi_gvec)
    return bool((posted_pda(entry), posted_vector(entry)) == wanted)


def _writes_entries(cpu: Any) -> bool:
    return any(frame[PROCEDURE] == rewrite_msi.number for frame in cpu.stack)


def _heeds_disabling(m: Any) -> list[Test]:
    return [partial(_handles_enabled, number=cpu.cpu) for cpu in m.cpus] if m.state.actions else []


def _handles_enabled(m: Any, number: int) -> bool:
    begun = (handle_irq.number, run_action.pc)
    return not any(frame[DISABLED] for frame in m.cpus[number].stack if tuple(frame[:2]) == begun)


def _no_softirq_left(m: Any) -> list[Test]:
    return [partial(_serves_softirqs, number=cpu.cpu) for cpu in m.cpus] if m.version.in_mwait else []


def _serves_softirqs(m: Any, number: int) -> bool:
    cpu = m.cpus[number]
    return not (cpu.guest or _sleeps(cpu)) or not (m.context.services.softirq_pending(number) or m.state.timers[number])


def _not_too_often(m: Any) -> list[Test]:
    return list(starmap(_at_most_posted, m.vectors))


def _at_most_posted(v: int, vector: int) -> Test:
    def test(m: Any) -> bool:
        posted, delivered = m.counts(v, vector)
        return bool(delivered <= posted)

    return test


def _at_least_once(m: Any) -> list[Test]:
    return list(starmap(_delivered_or_pending, m.vectors))


def _delivered_or_pending(v: int, vector: int) -> Test:
    def test(m: Any) -> bool:
        posted, delivered = m.counts(v, vector)
        return not posted or bool(delivered) or pending(m, v)

    return test


PROPERTIES = (
    Asked(
        "no lost wakeup",
        EVENTUALLY,
        _of_each_vcpu(_is_woken),
        "a blocked vCPU with a vector pending is woken without the help of a later interrupt",
    ),
    Asked(
        "no stranded interrupt",
        EVENTUALLY,
        _of_each_vcpu(_takes_all),
        "a vector pending while the guest runs is delivered without the help of a later interrupt",
    ),
    Asked(
        "restored before VM entry",
        ALWAYS,
        _of_each_vcpu(_is_restored),
        "in the guest, NV is the notification vector and the vCPU is on no blocking list",
    ),
    Asked(
        "not suppressed in the guest",
        ALWAYS,
        _of_each_vcpu(_is_notified),
        "in the guest, SN is clear",
    ),
    Asked(
        "on one list, under its lock",
        ALWAYS,
        _listed_once,
        "lists are circular; a vCPU is on the list whose lock it names, and on no other",
    ),
    Asked(
        "locks are held once",
        ALWAYS,
        _locks,
        "no blocking list's lock has two holders",
    ),
    Asked(
        "no message is lost",
        ALWAYS,
        _arrives,
        "every interrupt message goes to a CPU that is online, with a vector that it takes",
    ),
    Asked(
        "posted to the device's owner",
        ALWAYS,
        _posts_to_its_owner,
        "a device's interrupt is posted to no vCPU but those of the device's domain",
    ),
    Asked(
        "posted to whom the guest says",
        ALWAYS,
        _posts_where_the_guest_says,
        "while nobody changes that, an interrupt is posted only to the one vCPU and vector that it is bound to",
    ),
    Asked(
        "entries are as recorded",
        ALWAYS,
        _as_recorded,
        "while nobody changes that, an MSI's entry is posted where Xen has it on record, and only then",
    ),
    Asked(
        "a disabled interrupt is not handled",
        ALWAYS,
        _heeds_disabling,
        "no handler of an interrupt begins once that has been disabled",
    ),
    Asked(
        "no softirq is left",
        EVENTUALLY,
        _no_softirq_left,
        "a CPU that sleeps in MWAIT or runs a guest handles its softirqs and timers without a later interrupt's help",
    ),
    Asked(
        "nobody waits for ever",
        AT_REST,
        _nobody_stuck,
        "at rest, every CPU is idle or in the guest, and everybody else has nothing to do",
    ),
    Asked(
        "delivered at least once",
        AT_REST,
        _at_least_once,
        "at rest, a vector that was posted has been delivered or is still pending",
    ),
    Asked(
        "not delivered more often than posted",
        ALWAYS,
        _not_too_often,
        "a vector is not delivered more often than it was posted",
    ),
    Asked(
        "Xen does not crash",
        ALWAYS,
        _runs,
        "no wild pointer is followed, no area that is gone is used",
    ),
)

WORDS = {asked.name: asked.words for asked in PROPERTIES}


# A user's own.

_GIVEN: list[Asked] = []


def _given(kind: str) -> Callable[[Test], Test]:
    def declare(test: Test) -> Test:
        name = test.__name__.replace("_", " ")

        def guarded(m: Any) -> bool:
            try:
                return bool(test(m))
            except Exception as error:
                raise FileError(f"property {name!r}: {type(error).__name__}: {error}") from None

        _GIVEN.append(Asked(name, kind, lambda m: [guarded]))
        return test

    return declare


always, sometimes, eventually, at_rest = map(_given, (ALWAYS, SOMETIMES, EVENTUALLY, AT_REST))


LARGEST = 1 << 20
"""Bytes of a file of properties."""


def read(path: Path) -> tuple[Asked, ...]:
    """The properties that a Python file declares, which is run.

    Raises:
        FileError: the file cannot be read or run, or declares none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        code = compile(raw.decode(), str(path), "exec")
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
        raise FileError(f"properties {path}: {error}") from None
    _GIVEN.clear()
    try:
        exec(code, {"__name__": path.stem, "__file__": str(path)})
    except Exception as error:
        raise FileError(f"properties {path}: {type(error).__name__}: {error}") from None
    if not _GIVEN:
        raise FileError(f"properties {path}: it declares none with @always, @sometimes, @eventually or @at_rest")
    return tuple(_GIVEN)
