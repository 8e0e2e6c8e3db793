"""The threads of vCPUs: their numbers, and whether they can run.

Sources: include/linux/pid.h (`struct pid`), include/linux/sched.h (`struct task_struct`).
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.linux.linux import Linux
from structs.frozen import frozen

PID_LIMIT = 1 << 22


@frozen
class Thread:
    """A thread: its number, whether it is runnable (TASK_RUNNING), whether it is on a CPU; None where not known."""

    pid: int | None = None
    runnable: bool | None = None
    on_cpu: bool | None = None


def threads(linux: Linux, pids: Sequence[int]) -> list[Thread]:
    """The thread of each `struct pid`, at these addresses. Raises ProfileError."""
    numbers_at, tasks_at = linux.profile.offset("pid", "numbers"), linux.profile.offset("pid", "tasks")
    numbers = linux.structs("upid", [pid + numbers_at for pid in pids], "nr")
    firsts = linux.pointers([pid + tasks_at for pid in pids])
    link = linux.profile.offset("task_struct", "pid_links")
    # `state` up to 5.13.
    state = next(iter(linux.optional("task_struct", "__state", "state")), "__state")
    tasks = linux.structs("task_struct", [(first or 0) - link for first in firsts], state, "on_cpu")
    made = []
    for pid, number, first, task in zip(pids, numbers, firsts, tasks, strict=True):
        known = number["nr"] if pid and number and 0 < number["nr"] < PID_LIMIT else None
        if not first or task is None:
            made.append(Thread(known))
        else:
            made.append(Thread(known, not task[state], bool(task["on_cpu"])))
    return made
