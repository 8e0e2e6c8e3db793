"""Raising a softirq, and waiting in MWAIT, as the model of 4.21 has them and as the code does.

Stable releases got both in July 2025: Debian's 4.17.5 and 4.20.4 have the code that 4.21 has. What else 4.21 changed,
the plain read of ON, is in no package of Debian's: name a build of your own (`--conformance-xen`).
"""

from __future__ import annotations

import warnings
from random import Random
from typing import Any

import pytest

from inspector.lab.xen import DEBIAN
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.layout import Layout
from sim_backend.logic.pi import IN_MWAIT, LOCAL_IRQ_COUNT
from sim_backend.logic.scheduler import EVENT_CHECK_VECTOR
from sim_backend.machine.machine import Machine

from .xen_code import XenCode

pytestmark = pytest.mark.live

CPUS = 3
SOFTIRQS = 13


class Sides:
    """One build's code and the model of 4.21, each on a machine that is laid out as the build is."""

    def __init__(self, symbols: Any, profile: str) -> None:
        config = LayoutConfig(profile=profile, cpus=CPUS)
        self.code = XenCode(symbols, Layout(config), ("send_IPI_mask",))
        self.machine = Machine(config, "4.21")

    def put(self, layout: Layout, cpu: int, pending: int, in_mwait: bool) -> None:
        """Make this the CPU's softirqs, with no interrupt handler running."""
        place = layout.irq_stat(cpu)
        layout.memory.set_u32(place, pending)
        layout.memory.set_u8(place + IN_MWAIT, in_mwait)
        layout.memory.set_u32(place + LOCAL_IRQ_COUNT, 0)

    def of_code(self, actor: int, cpu: int, number: int, pending: int, in_mwait: bool) -> tuple[bytes, list[int]]:
        """What the code leaves of the CPU's softirqs, and the vectors that it sends."""
        layout = self.code.layout
        memory = layout.memory.copy()
        self.put(layout, cpu, pending, in_mwait)
        place = layout.irq_stat(cpu)
        pages = {place // 4096}
        self.code.load(layout.memory, pages)
        layout.memory.write(place, memory.read(place, 16))
        outcome = self.code.call("cpu_raise_softirq", cpu, number, cpu=actor)
        sent = [event[2] for event in outcome.events if event[0] == "send_IPI_mask"]
        return self.code.read(place, 8), sent

    def of_model(self, actor: int, cpu: int, number: int, pending: int, in_mwait: bool) -> tuple[bytes, list[int]]:
        """The same of the model."""
        machine = self.machine.copy()
        self.put(machine.layout, cpu, pending, in_mwait)
        w = machine.context
        for each in w.cpus:
            each.lapic.clear()
        w.services.cpu_raise_softirq(w.cpus[actor], cpu, number)
        irr = w.cpus[cpu].lapic.irr
        assert not any(other.lapic.irr for other in w.cpus if other.cpu != cpu)
        return machine.memory.read(machine.layout.irq_stat(cpu), 8), [irr.bit_length() - 1] if irr else []


@pytest.fixture(scope="module", params=sorted(DEBIAN))
def sides(request: pytest.FixtureRequest, debian_xen: Any, profile_of: Any) -> Sides:
    """Code and model of one build."""
    symbols = debian_xen(request.param).symbols
    return Sides(symbols, profile_of(symbols))


def test_raising_a_softirq(sides: Sides, states: int) -> None:
    rng, seen = Random(0), set()
    for _ in range(states):
        actor, cpu = rng.randrange(CPUS), rng.randrange(CPUS)
        number = rng.randrange(SOFTIRQS)
        pending = rng.getrandbits(SOFTIRQS) & rng.getrandbits(SOFTIRQS)
        in_mwait = rng.random() < 0.5
        given = actor, cpu, number, pending, in_mwait
        code, model = sides.of_code(*given), sides.of_model(*given)
        assert code == model, given
        seen.add((actor == cpu, bool(pending >> number & 1), in_mwait, tuple(code[1])))
    assert {sent for same, was, waits, sent in seen if not (same or was or waits)} == {(EVENT_CHECK_VECTOR,)}
    assert {sent for same, was, waits, sent in seen if same or was or waits} == {()}


def test_the_order_of_waiting(sides: Sides) -> None:
    """It says that it waits, arms the monitor, looks for softirqs, waits, and says that it does no more."""
    found = sides.code.disassembly("mwait_idle_with_hints")

    def place(mnemonic: str, *parts: str, after: int = -1) -> int:
        places = [
            at
            for at, (word, operands) in enumerate(found)
            if at > after and word == mnemonic and all(part in operands for part in parts)
        ]
        assert places, (mnemonic, parts, found)
        return places[0]

    says = place("mov", "byte ptr", ", 1")
    armed = place("monitor", after=says)
    waits = place("mwait", after=armed)
    over = place("mov", "byte ptr", ", 0", after=waits)
    looks = [at for at in range(armed, waits) if found[at][0] in ("mov", "cmp", "test") and "dword ptr" in found[at][1]]
    assert says < armed < looks[0] < waits < over


def of_memory(sides: Sides, function: str) -> list[str]:
    """The instructions of a function that reach memory other than its stack, by their names."""
    return [
        word for word, operands in sides.code.disassembly(function) if "ptr [" in operands and "rsp" not in operands
    ]


def test_on_is_cleared_by_a_locked_operation_first(sides: Sides) -> None:
    """So hazard H-L is none of these builds: nothing overtakes the store of NV."""
    touching = of_memory(sides, "vmx_sync_pir_to_irr")
    assert touching[0].startswith("lock "), touching[:4]


def test_from_4_21_on_it_is_read_first(request: pytest.FixtureRequest, profile_of: Any, states: int) -> None:
    """e6dfe4250c, and softirqs as the model of 4.21 has them."""
    symbols = request.config.getoption("conformance_xen", None)
    if symbols is None:
        why = "no package has Xen 4.21 or later: name the xen-syms of a build with --conformance-xen"
        warnings.warn(
            f"NO MACHINE CODE OF XEN 4.21, so its plain read of ON was not held against it: {why}", stacklevel=1
        )
        pytest.skip(why)
    own = Sides(symbols, profile_of(symbols))
    touching = of_memory(own, "vmx_sync_pir_to_irr")
    assert not touching[0].startswith("lock "), touching[:4]
    assert any(word.startswith("lock ") for word in touching[1:])
    test_raising_a_softirq(own, states)
