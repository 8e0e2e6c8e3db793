"""The modules of a Linux, with their symbols and types."""

from __future__ import annotations

import struct

import pytest

from inspector.base.errors import VtdpiError
from inspector.linux.btf import STRUCT, TYPEDEF, Btf, BtfError
from inspector.linux.modules import modules, with_module
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_linux import MadeLinux, btf
from tests.inspector.linux.test_btf import a_type
from tests.inspector.linux.test_btf import made as made_btf

VM_LIST = 0xFFFFFFFFC0123450


def add(made: MadeLinux, name: str, types: bytes, symbols: dict[str, int]) -> int:
    """A module at the head of the lists; the address of its `struct module`."""
    strings, table = b"\0", bytes(24)
    for symbol, value in symbols.items():
        table += struct.pack("<IBBHQQ", len(strings), 0, 0, 1, value, 8)
        strings += symbol.encode() + b"\0"
    at = made.put(
        "module",
        kallsyms=made.put(
            "mod_kallsyms", symtab=made.allocate(table), num_symtab=len(table) // 24, strtab=made.allocate(strings)
        ),
    )
    made.write(at + made.offset("module", "name"), name.encode() + b"\0")
    kept = made.put("btf_module", module=at, btf=made.put("btf", data=made.allocate(types), data_size=len(types)))
    for head, node in (("modules", at + made.offset("module", "list")), ("btf_modules", kept)):
        start = made.symbols.get(head) or made.variable(head, bytes(16))
        (old,) = struct.unpack("<Q", made.raw[made.at(start) : made.at(start) + 8])
        made.write(start, struct.pack("<Q", node))
        made.write(node, struct.pack("<Q", old or start))
    return at


def types_of_kvm(made: MadeLinux) -> bytes:
    base = Btf(btf(made.layouts))
    at = base.end_of_strings
    irq_desc = base.named("irq_desc")
    own = a_type(at + 1, STRUCT, 640, 1) + struct.pack("<III", at + 5, irq_desc.number, 128 * 8)
    return made_btf(own + a_type(at + 5, TYPEDEF, base.end), b"\0kvm\0desc\0")


def test_a_modules_symbols_and_types_are_beside_the_kernels(made):
    add(made, "irqbypass", b"", {})
    add(made, "kvm", types_of_kvm(made), {"vm_list": VM_LIST, "kvm_lock": VM_LIST + 8})
    linux, _ = found(made)
    assert [module.name for module in modules(linux)] == ["kvm", "irqbypass"]
    kvm = with_module(linux, "kvm")
    assert (kvm.profile.symbol("vm_list"), kvm.profile.symbol("nr_cpu_ids")) == (VM_LIST, made.symbols["nr_cpu_ids"])
    assert kvm.profile.offset("kvm", "desc.irq_data.chip") == 128 + 64 + 24
    assert kvm.profile.size("irq_desc") == 256
    assert not linux.profile.has_symbol("vm_list")
    assert {"vm_list", "nr_cpu_ids"} <= {*kvm.profile.document["symbols"]}


def test_one_that_is_not_loaded_and_one_without_types(made):
    add(made, "kvm", b"", {"vm_list": VM_LIST})
    linux, _ = found(made)
    with pytest.raises(VtdpiError, match="has loaded no module kvm_intel"):
        with_module(linux, "kvm_intel")
    with pytest.raises(BtfError, match="the module kvm has no BTF of its own in memory"):
        with_module(linux, "kvm")


def test_a_module_whose_symbols_are_nowhere(made):
    at = add(made, "kvm", types_of_kvm(made), {"vm_list": VM_LIST})
    made.write(at + made.offset("module", "kallsyms"), struct.pack("<Q", 1 << 46))
    linux, _ = found(made)
    with pytest.raises(VtdpiError, match="the symbols of the module kvm cannot be read"):
        with_module(linux, "kvm")
