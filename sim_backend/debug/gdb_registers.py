"""What gdb is told of a CPU's registers: the target description, and their bytes in its order.

Names and order are those of QEMU's i386-64bit.xml, so that whoever reads one can read the other. What the simulation
does not know (general registers, the FPU) is given as not available rather than as a number.
"""

from __future__ import annotations

from collections.abc import Mapping

_INTEGERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_FPU_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")

REGISTERS: tuple[tuple[str, int, str], ...] = (
    *((name, 64, "int64") for name in _INTEGERS),
    ("rip", 64, "code_ptr"),
    ("eflags", 32, "int32"),
    *((name, 32, "int32") for name in ("cs", "ss", "ds", "es", "fs", "gs")),
    *((name, 64, "int64") for name in ("fs_base", "gs_base", "k_gs_base")),
    *((name, 64, "int64") for name in ("cr0", "cr2", "cr3", "cr4", "cr8", "efer")),
    *((f"st{number}", 80, "i387_ext") for number in range(8)),
    *((name, 32, "int") for name in _FPU_CONTROL),
)
"""Name, bits and gdb's type of each register."""


def target_description() -> bytes:
    """The target description that gdb asks for (`qXfer:features:read:target.xml`)."""
    registers = "".join(f'<reg name="{name}" bitsize="{bits}" type="{kind}"/>' for name, bits, kind in REGISTERS)
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
        "<architecture>i386:x86-64</architecture>"
        f'<feature name="org.gnu.gdb.i386.core">{registers}</feature></target>'
    ).encode()


def all_registers(values: Mapping[str, int]) -> str:
    """The answer to a `g` packet."""
    return "".join(_hex(name, bits, values) for name, bits, _ in REGISTERS)


def one_register(values: Mapping[str, int], number: int) -> str | None:
    """The answer to a `p` packet; None if there is no such register."""
    if not 0 <= number < len(REGISTERS):
        return None
    name, bits, _ = REGISTERS[number]
    return _hex(name, bits, values)


def _hex(name: str, bits: int, values: Mapping[str, int]) -> str:
    return values[name].to_bytes(bits // 8, "little").hex() if name in values else "xx" * (bits // 8)
