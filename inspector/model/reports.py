"""What a hypervisor reported on its console: faults of VT-d units, and other trouble with interrupts. Plain data."""

from __future__ import annotations

from structs.frozen import frozen


@frozen
class FaultReport:
    """A kind of fault that Xen reported, once or often.

    Attributes:
        device: who asked: seg << 16 | bus << 8 | devfn.
        reason: None if the line that says it is lost.
        index: of the interrupt; None for DMA, and where there is none (0x25) or it is lost.
        address: of the DMA request, the first one's.
        read: whether it was a read; None for interrupts.
        unit: which VT-d unit reported it; None where Xen does not say.
        count: how often.
        first, last: when, as the log has it; empty if it has no times. `line` of the first.
    """

    device: int
    reason: int | None
    index: int | None = None
    address: int | None = None
    read: bool | None = None
    unit: int | None = None
    count: int = 1
    first: str = ""
    last: str = ""
    line: int = 0


@frozen
class Message:
    """A message of Xen's about trouble with interrupts, once or often.

    Attributes:
        kind: `no-handler`, `apic-error`, `queue` (of invalidations) or `status` (of faults).
        text: what it says.
        cpu, vector, unit: where it names them.
        count, first, last, line: as a FaultReport's.
    """

    kind: str
    text: str
    cpu: int | None = None
    vector: int | None = None
    unit: int | None = None
    count: int = 1
    first: str = ""
    last: str = ""
    line: int = 0
