"""Where vCPUs of a simulated machine stand, told from the machine (`inspector.analysis`: from a snapshot)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sim_backend.explore.properties import in_guest_mode, paused
from sim_backend.layout.domains import OFFLINE, RUNNABLE, RUNNING
from sim_backend.logic.pi import PI_CSW_TO, SN_MASK, VPF_BLOCKED
from sim_backend.logic.scheduler import VPF_DOWN
from sim_backend.machine.invariants import nodes
from sim_backend.memory.errors import SimError


def situation(m: Any, v: int) -> str:
    """Where a vCPU stands: S1 to S15, or `between`."""
    memory, o = m.memory, m.o
    flags, domain = memory.u32(v + o.pause_flags), m.context.domain_of(v)
    if flags & 1 << VPF_DOWN:
        return "S15"
    if not memory.u64(domain + o.block_hook):
        return "S14" if memory.u32(domain + o.pi_flags) & PI_CSW_TO else "S13"
    running, runstate = memory.u8(v + o.is_running), memory.u32(v + o.runstate)
    if flags & 1 << VPF_BLOCKED:
        return "S7" if running else _where_blocked(m, v)
    if running and runstate == RUNNING:
        return "S1" if in_guest_mode(m, v) else "S3" if _wakes(m, v) else "S2"
    if runstate == OFFLINE or (not running and paused(m, v)):
        return "S6"
    return _where_waiting(m, v) if runstate == RUNNABLE and not running else "between"


def _where_blocked(m: Any, v: int) -> str:
    if any(v in _listed(m, cpu) for cpu in m.state.areas if cpu not in m.state.online):
        return "S12"
    return "S10" if paused(m, v) else "S9" if _held(m, v) else "S8"


def _listed(m: Any, cpu: int) -> set[int]:
    """Who is on a CPU's list, as far as it is whole."""
    found: set[int] = set()
    with suppress(SimError):
        for v in nodes(m, cpu):
            found.add(v)
    return found


def _where_waiting(m: Any, v: int) -> str:
    if m.memory.u8(v + m.o.control) & SN_MASK:
        return "between" if _held(m, v) else "S4"
    return "S11" if _wakes(m, v) else "S5" if _held(m, v) else "S4"


def _wakes(m: Any, v: int) -> bool:
    return bool(m.memory.u8(v + m.o.nv) == m.memory.u8(m.context.pi_wakeup_vector))


def _held(m: Any, v: int) -> bool:
    return any(m.state.curr[cpu] == v for cpu in range(len(m.cpus)))
