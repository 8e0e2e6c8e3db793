"""The modules kvm and kvm_intel: their symbols, their types, and their variables."""

from __future__ import annotations

import struct

from sim_backend.layout.kvm.btf import BtfWriter, of_types
from sim_backend.layout.kvm.builder import LinuxBuilder
from sim_backend.layout.kvm.cpus import OF_MODULE, OF_MODULES
from structs.linux.named import module_contents
from structs.xen.profile import Profile

ELF_SYMBOL = struct.Struct("<IBBHQQ")
NAME_BYTES = 56
MODULES = ("kvm", "kvm_intel")
SLOT = 64
"""Bytes for each variable of a module."""
BEFORE: dict[str, str] = {"kvm_intel": "kvm"}
"""Whose structures a module has too: its BTF has them as its own."""


def lay_out(ground: LinuxBuilder, btf: BtfWriter) -> Profile:
    """Load both; the profile with their symbols too."""
    every: dict[str, int] = {}
    for at, module in enumerate(MODULES):
        contents = module_contents(ground.profile, module)
        start = ground.new_module(SLOT * len(contents.variables))
        symbols = {name: start + SLOT * place for place, name in enumerate(contents.variables)}
        symbols |= {name: OF_MODULES + OF_MODULE * at + place for name, place in contents.per_cpu.items()}
        _load(ground, module, symbols, btf)
        every |= symbols
    document = ground.profile.document
    added = {name: {"address": address} for name, address in every.items()}
    return Profile({**document, "symbols": {**document["symbols"], **added}})


def _load(ground: LinuxBuilder, name: str, symbols: dict[str, int], btf: BtfWriter) -> None:
    strings, table = b"\0", ELF_SYMBOL.pack(0, 0, 0, 0, 0, 0)
    for symbol, address in symbols.items():
        table += ELF_SYMBOL.pack(len(strings), 1, 0, 1, address, 8)
        strings += symbol.encode() + b"\0"
    kallsyms = ground.made(
        "mod_kallsyms", {"symtab": _module_data(ground, table), "num_symtab": len(table) // ELF_SYMBOL.size}
    )
    ground.put("mod_kallsyms", kallsyms, {"strtab": _module_data(ground, strings)})
    module = ground.made("module", {"kallsyms": ground.virtual(kallsyms)})
    ground.memory.write(module + ground.member("module", "name"), name.encode().ljust(NAME_BYTES, b"\0"))
    ground.list_add_tail(ground.symbol("modules"), module + ground.member("module", "list"))
    types = ground.profile.document["user_types"]
    own = module_contents(ground.profile, name).types
    if name in BEFORE:
        own |= module_contents(ground.profile, BEFORE[name]).types
    raw = of_types(types, [kept for kept in types if kept in own], btf).raw()
    kept = ground.made("btf", {"data": _module_data(ground, raw), "data_size": len(raw)})
    node = ground.made("btf_module", {"module": ground.virtual(module), "btf": ground.virtual(kept)})
    ground.list_add_tail(ground.symbol("btf_modules"), node + ground.member("btf_module", "list"))


def _module_data(ground: LinuxBuilder, content: bytes) -> int:
    address = ground.new_module(len(content))
    ground.write_virtual(address, content)
    return address
