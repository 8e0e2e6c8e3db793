"""The modules that a Linux has loaded, each with its own symbols and types.

The kernel keeps a copy of a module's BTF (`struct btf`, by `btf_modules`); `struct module.btf_data` is 0 once it is
loaded. Its numbers and strings go on where vmlinux's end.

Sources: include/linux/module.h (`struct module`, `struct mod_kallsyms`), kernel/module/main.c (`modules`),
kernel/bpf/btf.c (`struct btf_module`); kernel documentation, bpf/btf.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.linux import btf
from inspector.linux.btf import Btf
from inspector.linux.layouts import Symbols, Types
from inspector.linux.linux import Linux
from structs.frozen import frozen
from structs.xen.profile import Profile

MODULES_LIMIT = 4096
NAME_BYTES = 56
"""MODULE_NAME_LEN of 64-bit kernels."""
SYMBOLS_LIMIT = 1 << 18
STRINGS_LIMIT = 16 << 20
ELF_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)


@frozen
class Module:
    """A module: its name, and the address of its `struct module`."""

    name: str
    address: int


def modules(linux: Linux) -> list[Module]:
    """The modules that are loaded, the newest first.

    Raises:
        BrokenList, NotMapped, NotReadable, ProfileError: they cannot be told.
    """
    link, name_at = linux.profile.offset("module", "list"), linux.profile.offset("module", "name")
    nodes = linux.list_nodes(linux.profile.symbol("modules"), MODULES_LIMIT)
    parts = linux.memory.read_parts([(node - link + name_at, NAME_BYTES) for node in nodes])
    return [
        Module(raw.split(b"\0")[0].decode("ascii", "backslashreplace"), node - link)
        for node, raw in zip(nodes, parts, strict=True)
        if raw is not None
    ]


def with_module(linux: Linux, name: str) -> Linux:
    """The same Linux, whose profile has a module's symbols and types too.

    Raises:
        VtdpiError, ProfileError: there is no such module, or what it has cannot be read.
    """
    found = next((module for module in modules(linux) if module.name == name), None)
    if found is None:
        raise VtdpiError(f"{linux.profile.name} has loaded no module {name}")
    types = types_of(linux, found)
    document = linux.profile.document
    own = _Both(symbols_of(linux, found), document["symbols"])
    return replace(linux, profile=Profile({**document, "symbols": own, "user_types": Types(types)}), btf=types)


def types_of(linux: Linux, module: Module) -> Btf:
    """A module's types, with vmlinux's. Raises VtdpiError, ProfileError if it has none that can be read."""
    link = linux.profile.offset("btf_module", "list")
    nodes = linux.list_nodes(linux.profile.symbol("btf_modules"), MODULES_LIMIT)
    kept = linux.structs("btf_module", [node - link for node in nodes], "module", "btf")
    at = next((row["btf"] for row in kept if row and row["module"] == module.address), 0)
    (row,) = linux.structs("btf", [at], "data", "data_size")
    if row is None or not 0 < row["data_size"] <= btf.LIMIT:
        raise btf.BtfError(f"the module {module.name} has no BTF of its own in memory")
    try:
        return Btf(linux.memory.read(row["data"], row["data_size"]), linux.btf)
    except UNREADABLE as error:
        raise btf.BtfError(f"the BTF of the module {module.name}: {error}") from None


def symbols_of(linux: Linux, module: Module) -> dict[str, Any]:
    """A module's own symbols, as an ISF document has them.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    (row,) = linux.structs("module", [module.address], "kallsyms")
    tables = linux.structs("mod_kallsyms", [row["kallsyms"] if row else 0], "symtab", "num_symtab", "strtab")[0]
    if tables is None or not 0 < tables["num_symtab"] <= SYMBOLS_LIMIT:
        raise VtdpiError(f"the symbols of the module {module.name} cannot be read")
    raw = linux.memory.read(tables["symtab"], tables["num_symtab"] * ELF_SYMBOL.itemsize)
    entries = np.frombuffer(raw, ELF_SYMBOL)
    strings = _strings(linux, tables["strtab"], int(entries["name"].max()))
    found: dict[str, Any] = {}
    for at, value in zip(entries["name"].tolist(), entries["value"].tolist(), strict=True):
        if value and at < len(strings):
            text = strings[at : strings.find(b"\0", at)]
            found.setdefault(text.decode("ascii", "backslashreplace"), {"address": value})
    return found


def _strings(linux: Linux, start: int, last: int) -> bytes:
    """A table of strings whose last one begins at `last`: up to the end of that one's page, or of the table's."""
    size = min(last, STRINGS_LIMIT)
    end = (start + size | 0xFFF) + 1
    whole = linux.memory.read(start, end - start)
    return whole + b"\0"


class _Both(Mapping[str, Any]):
    """What either of two has, the first one's before the second's."""

    def __init__(self, first: Mapping[str, Any], second: Symbols) -> None:
        self._first, self._second = first, second

    def __getitem__(self, name: str) -> Any:
        return self._first[name] if name in self._first else self._second[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from (name for name in self._second if name not in self._first)

    def __len__(self) -> int:
        return len(self._first) + len(self._second)
