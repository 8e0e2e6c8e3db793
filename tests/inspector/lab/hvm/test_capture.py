"""A capture is an ELF core as `vtdpi dump` reads it. What is kept of a real machine is shown by tests/live."""

from __future__ import annotations

from pathlib import Path

from inspector.lab.hvm import capture
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu


def test_memory_and_registers_come_back(tmp_path: Path) -> None:
    ranges = [Range(0x1000, 0x3000), Range(0x7E6E000, 0x7E6F000)]
    memory = [bytes(range(256)) * 32, b"\x55" * 4096]
    cpus = [
        Cpu(0, {"rip": 0xFFFF82D0402AB4D9, "rsp": 0xFFFF830007D77E80, "cr3": 0x7EC0000, "guest": 0}),
        Cpu(1, {"rip": 0x100165, "rsp": 0x104400, "cr3": 0, "guest": 1}),
    ]
    path = tmp_path / "core"
    path.write_bytes(capture._core(ranges, memory, cpus))
    with open_file(path) as dump:
        assert [(each.start, each.end) for each in dump.memory() or ()] == [(0x1000, 0x3000), (0x7E6E000, 0x7E6F000)]
        assert dump.read(0x1FF0, 32) == memory[0][0xFF0:0x1010]
        assert dump.read(0x7E6EFF8, 8) == b"\x55" * 8
        for read, made in zip(dump.cpus(), cpus, strict=True):
            for name in ("rip", "rsp", "cr3"):
                assert read.registers[name] == made.registers[name]
