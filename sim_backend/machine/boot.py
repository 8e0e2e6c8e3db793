"""A machine with whichever hypervisor a version is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from sim_backend.logic.kvm.versions import KvmVersion
from sim_backend.logic.state import State
from sim_backend.logic.versions import CURRENT, AnyVersion
from sim_backend.machine.machine import Machine
from sim_backend.scenario.bugs import version as version_of
from sim_backend.scenario.scenario import Scenario

if TYPE_CHECKING:
    from sim_backend.machine.kvm import KvmMachine

AnyMachine = Union[Machine, "KvmMachine"]


def switched_on(
    scenario: Scenario | None = None,
    version: str | AnyVersion = CURRENT,
    seed: int = 0,
    store_buffers: bool = False,
    state: type[State] | None = None,
) -> AnyMachine:
    """The machine of a scenario; the arguments are those of `Machine` and `KvmMachine`. `state`: the class of its
    state, if it is another one than the hypervisor's own.

    Raises:
        SimError: there is no such machine.
    """
    chosen = version_of(version) if isinstance(version, str) else version
    if not isinstance(chosen, KvmVersion):
        return Machine(scenario, chosen, seed, store_buffers, state or State)
    from sim_backend.logic.kvm.state import KvmState
    from sim_backend.machine.kvm import KvmMachine

    assert state is None or issubclass(state, KvmState)
    return KvmMachine(scenario, chosen, seed, store_buffers, state or KvmState)
