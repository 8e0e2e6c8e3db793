"""The functions in which a CPU may be between two steps, against Xen's machine code: all that store to a descriptor or
to a list's node are among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from capstone import CS_AC_WRITE, CS_ARCH_X86, CS_MODE_64, Cs
from capstone.x86 import X86_OP_MEM, X86_REG_RIP
from elftools.elf.elffile import ELFFile

from inspector.profiles.image import Image
from inspector.profiles.store import of_symbols
from inspector.xen.functions import BETWEEN_STEPS
from structs.pi_desc import PI_DESC

BASE = 0xFFFF82D040000000
VMX = "arch.hvm.vmx"
NODE_SIZE = 24
"""`struct list_head` and the pointer to the list's lock."""

OTHERS = frozenset(
    (
        *("nsvm_vcpu_vmrun", "nsvm_vmcb_prepare4vmexit.isra.0", "svm_msr_write_intercept"),  # struct svm_vcpu, a VMCB
        *("pit_load", "recalculate_misc", "get_next_block"),  # struct PITState, a CPU policy, a bzip2 decoder
        *("__get_cmos_time", "dmi_get_date", "printk_start_of_line", "rtc_set_time"),  # years since 1900
    )
)
"""Functions of 4.20 that use the same displacements for something else."""


@pytest.fixture(scope="module")
def image(symbols: Path) -> Image:
    """Debian's 4.20."""
    with symbols.open("rb") as file:
        sections = [one for one in ELFFile(file).iter_sections() if one["sh_flags"] & 2]
        parts = [(one["sh_addr"], one.data()) for one in sections if one["sh_type"] == "SHT_PROGBITS"]
    return Image(BASE, tuple(sorted(parts)))


def storing(image: Image, displacements: set[int]) -> Iterator[str]:
    """The functions with an instruction that stores at one of these displacements from a register, or takes the
    address."""
    assert image.symbols
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.detail = True
    wanted = re.compile(b"|".join(re.escape(at.to_bytes(4, "little")) for at in sorted(displacements)), re.DOTALL)
    for address in sorted({symbol.address for symbol in image.symbols.symbols}):
        function = image.symbols.function_at(address)
        code = image.read(function.address, function.size) if function else None
        if not function or not code or not wanted.search(code):
            continue
        for one in decoder.disasm(code, address):
            for operand in one.operands:
                known = operand.type == X86_OP_MEM and operand.mem.disp in displacements
                stores = operand.access & CS_AC_WRITE or one.mnemonic == "lea"
                if known and stores and operand.mem.base not in (0, X86_REG_RIP):
                    yield function.name


@pytest.mark.thorough
def test_every_function_that_stores_to_a_descriptor_or_a_node_is_among_them(image: Image, symbols: Path) -> None:
    profile = of_symbols(symbols)
    descriptor, node = profile.offset("vcpu", f"{VMX}.pi_desc"), profile.offset("vcpu", f"{VMX}.pi_blocking.list")
    places = {*range(descriptor, descriptor + PI_DESC.size), *range(node, node + NODE_SIZE)}
    found = set(storing(image, places))
    assert found >= {"vmx_vcpu_block", "vmx_pi_unblock_vcpu", "vmx_ctxt_switch_to", "pi_wakeup_interrupt"}
    assert found - OTHERS <= BETWEEN_STEPS
