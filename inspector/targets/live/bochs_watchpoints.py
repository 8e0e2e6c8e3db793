"""Tripwires on a machine in Bochs: its debugger's watchpoints, which miss no store and write nothing into the machine.

Bochs stops after the instruction that stored. It runs one instruction of each CPU in turn, so that what memory holds
then is what that CPU left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from inspector.base.errors import TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.watchpoint import StopEvent, Write

MOST = 16
"""Write watchpoints that Bochs takes."""
INSTRUCTIONS_A_SECOND = 5_000_000
"""How Bochs was told to count the machine's time (`ips`)."""

TIME = re.compile(r"^Next at t=(\d+)", re.MULTILINE)
STORED = re.compile(r"^\((\d+)\) Caught write watch point at 0x([0-9a-f]+)", re.MULTILINE)
ENTERED = re.compile(r"^\((\d+)\) Breakpoint (\d+), ", re.MULTILINE)
PLACE = re.compile(r"^\((\d+)\) \[0x[0-9a-f]+\] [0-9a-f]+:([0-9a-f]+) ", re.MULTILINE)

Registers = Callable[[int], Mapping[str, int]]


class BochsWatchpoints:
    """The tripwires of one trace.

    Args:
        registers: tells a CPU's registers, and `guest`.

    Attributes:
        stops: how often the machine stopped at a tripwire.
    """

    def __init__(
        self, debugger: BochsDebugger, writes: Sequence[Write], hooks: Mapping[str, int], registers: Registers
    ) -> None:
        if len(writes) > MOST:
            raise TargetError(f"Bochs watches {MOST} places at most, not {len(writes)}: name fewer vCPUs")
        self._debugger = debugger
        self._registers = registers
        self._start: int | None = None
        self._hooks = {address: name for name, address in hooks.items()}
        self.stops = 0
        for write in writes:
            answer = debugger.command(f"watch w {write.physical:#x} {write.size}")
            if "inserted" not in answer:
                raise TargetError(f"Bochs sets no watchpoint at {write.physical:#x}: {answer.strip()[:80]}")
        for address in hooks.values():
            debugger.command(f"lb {address:#x}")

    def stop_event(self, seconds: float) -> StopEvent | None:
        """Let it run until it trips; see Watchpoint."""
        self._debugger.cont()
        said = self._debugger.wait(seconds)
        if said is None:
            return None
        found = STORED.search(said) or ENTERED.search(said)
        time, places = TIME.search(said), dict(PLACE.findall(said))
        if not found or not time or found[1] not in places:
            raise TargetError(f"Bochs stopped for another reason than a tripwire: {said.strip()[-200:]}")
        self.stops += 1
        cpu, rip = int(found[1]), int(places[found[1]], 16)
        registers = dict(self._registers(cpu))
        in_guest = registers.get("guest")
        now = int(time[1])
        self._start = now if self._start is None else self._start
        when = (now - self._start) / INSTRUCTIONS_A_SECOND
        known = {"rip": rip} if in_guest else {"rip": rip, "rsp": registers["rsp"]}
        if found.re is ENTERED:
            return StopEvent(when, "hook", cpu, known, self._hooks.get(rip))
        # What stored is the instruction before the one that comes next.
        known["rip"] = rip - 1
        return StopEvent(when, "write", cpu, known, PROCESSOR if in_guest else None)

    def disarm(self) -> None:
        """Stop it, and take them all away."""
        self._debugger.stop()
        self._debugger.command("unwatch")
        for number in re.findall(r"^\s*(\d+) lbreakpoint", self._debugger.command("blist"), re.MULTILINE):
            self._debugger.command(f"del {number}")


PROCESSOR = "posted-interrupt processing"
"""The processor's own, in VMX non-root operation (SDM volume 3, 31.6)."""
