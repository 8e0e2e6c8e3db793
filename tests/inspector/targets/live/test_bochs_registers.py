"""Places of registers are learnt from what the debugger shows, and from nothing else."""

from __future__ import annotations

import random
import struct

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live import bochs_registers
from inspector.targets.live.bochs_registers import CPU_SIZE, LOOKS, Learner

PLACES = {"rip": 232, "rsp": 136, "cr3": 696, "vmcs": 36552, "guest": 36545}


class Machine:
    """Two CPUs whose registers change from look to look, beside other fields that do too."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.move()

    def move(self) -> None:
        self.values = [
            {
                **{name: self.random.getrandbits(47) for name in bochs_registers.WORDS},
                "guest": self.random.getrandbits(1),
            }
            for _ in range(2)
        ]

    def image(self, cpu: int) -> bytes:
        data = bytearray(CPU_SIZE)
        for name, place in PLACES.items():
            if name == "guest":
                data[place] = data[323] = self.values[cpu][name]  # 323: a mode that goes with it
            else:
                struct.pack_into("<Q", data, place, self.values[cpu][name])
        return bytes(data)

    # as BochsProcess
    def symbol(self, name: str) -> int:
        return {"bx_cpu_count": 1, "bx_cpu_array": 2}[name]

    def unsigned(self, address: int, count: int = 1, size: int = 8) -> tuple[int, ...]:
        return {1: (2,), 2: (3,), 3: (0, CPU_SIZE)}[address]

    def read(self, pieces: list[tuple[int, int]]) -> bytes:
        whole = self.image(0) + self.image(1)
        return b"".join(whole[at : at + size] for at, size in pieces)

    # as BochsDebugger
    def parameters(self, path: str) -> dict[str, int]:
        cpu, _, field = path.partition(".")
        names = {shown: ours for ours, shown in {**bochs_registers.WORDS, **bochs_registers.FLAGS}.items()}
        return {field.rpartition(".")[2]: self.values[int(cpu[3:])][names[field]]}


def learnt(machine: Machine, looks: int) -> dict[str, int] | None:
    learner = Learner()
    for _ in range(looks):
        learner.look(machine, machine)  # type: ignore[arg-type]
        machine.move()
    return learner.places()


@pytest.mark.parametrize("seed", range(5))
def test_the_places_are_found(seed: int) -> None:
    machine = Machine(seed)
    places = learnt(machine, LOOKS)
    assert places == PLACES
    cpus = bochs_registers.cpu_places(machine)  # type: ignore[arg-type]
    assert bochs_registers.read(machine, cpus, places) == machine.values  # type: ignore[arg-type]


def test_too_few_looks_tell_nothing() -> None:
    assert learnt(Machine(1), LOOKS - 1) is None


def test_registers_that_are_elsewhere_are_one_line() -> None:
    machine = Machine(1)
    machine.image = lambda cpu: bytes(CPU_SIZE)  # type: ignore[method-assign]
    with pytest.raises(TargetError, match="another build"):
        learnt(machine, LOOKS)
