"""One unit's invalidation queue (VT-d 6.5.2): a ring of descriptors between IQH and IQT, at IQA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inspector.base.errors import NotHere, NotReadable
from inspector.model.vtd import Queue
from structs.bits import BitRecord
from structs.invalidation import DESCRIPTOR, WIDE_DESCRIPTOR
from structs.registers import descriptor_size, queue_size

if TYPE_CHECKING:
    from inspector.vtd.units import UnitReader


def descriptor(queue: Queue, slot: int) -> tuple[BitRecord, dict[str, int]]:
    """A slot's descriptor: its record and its fields."""
    raw = queue.raw[slot * queue.size : (slot + 1) * queue.size]
    record = (WIDE_DESCRIPTOR if queue.size == WIDE_DESCRIPTOR.size else DESCRIPTOR).record_of(raw)
    return record, dict(record.parse(raw))


def slots(queue: Queue, last: int) -> Iterator[tuple[int, str]]:
    """The `last` executed slots that are not blank, in the order of execution, then the pending ones.

    Without head and tail, all slots that are not blank, in ring order, in state `unknown`.
    """
    if queue.head is None or queue.tail is None:
        yield from ((slot, "unknown") for slot in range(queue.count) if not _blank(queue, slot))
        return
    pending = (queue.tail - queue.head) % queue.count
    for back in range(min(last, queue.count - pending), 0, -1):
        slot = (queue.head - back) % queue.count
        if not _blank(queue, slot):
            yield slot, "done"
    for ahead in range(pending):
        yield (queue.head + ahead) % queue.count, "pending"


def _blank(queue: Queue, slot: int) -> bool:
    return not any(queue.raw[slot * queue.size : (slot + 1) * queue.size])


def in_words(queue: Queue) -> str:
    """Where the ring is and how far hardware has come."""
    ring = f"{queue.count} slots of {queue.size} bytes at {queue.base:#x}"
    if queue.head is None or queue.tail is None:
        return f"{ring} (from the kernel's own record); head and tail are registers, which are not here"
    pending = (queue.tail - queue.head) % queue.count
    return f"{ring}, head {queue.head}, tail {queue.tail}: {pending} pending"


def read(unit: UnitReader) -> Queue:
    """The unit's queue: by IQA, IQH and IQT, else by what its kernel keeps of it.

    Raises:
        NotHere: it is not enabled, or neither can be read.
        NotReadable: its memory is not there.
    """
    try:
        iqa, head, tail = unit.register("IQA"), unit.register("IQH"), unit.register("IQT")
    except NotHere:
        known = unit.known
        if known is None or not known.queue:
            raise
        return Queue(known.queue, unit.target.read(known.queue, known.queue_size), DESCRIPTOR.size, None, None)
    if not unit.register("GSTS")["qies"]:
        raise NotHere(f"unit {unit.index}: queued invalidation is not enabled (GSTS.QIES is 0), so there is no queue")
    size = descriptor_size(iqa)
    raw = _ring(unit, iqa["iqa"], queue_size(iqa))
    slots = len(raw) // size
    return Queue(
        iqa["iqa"],
        raw,
        size,
        _slot(unit, "IQH", head["qh"] // size, slots),
        _slot(unit, "IQT", tail["qt"] // size, slots),
    )


def _ring(unit: UnitReader, base: int, size: int) -> bytes:
    try:
        return unit.target.read(base, size)
    except NotReadable as error:
        raise NotHere(
            f"unit {unit.index}'s invalidation queue of {size} bytes at {base:#x} (IQA) "
            f"is not in readable memory: {error.why}"
        ) from None


def _slot(unit: UnitReader, name: str, slot: int, slots: int) -> int:
    if slot >= slots:
        raise NotHere(
            f"unit {unit.index}: {name} is at slot {slot}, beyond the queue's {slots}; the registers make no sense"
        )
    return slot
