"""A Linux in 32 MiB of memory, written byte by byte: page tables, kallsyms of any version's form, BTF, and structures.

Its structures have the names and members of the real ones, at other places: whoever reads them has to go by the BTF.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inspector.base.errors import NotReadable
from inspector.linux.btf import ARRAY, INT, PTR, START, STRUCT, VAR
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu, Target

RAM = 32 << 20
TEXT, TEXT_AT = 0xFFFFFFFF9D200000, 0x200000
RODATA, RODATA_AT = TEXT + 0x200000, 0x400000
DATA, DATA_AT = TEXT + 0x600000, 0x800000
DIRECT = 0xFFFF9A8000000000
HEAP_AT = 0x1000000
ROOT, TABLES_AT = 0x1E00000, 0x1E01000
PRESENT, WRITABLE, LARGE, NO_EXECUTE = 1, 2, 1 << 7, 1 << 63
PERCPU_STEP = 0x100000
RELEASE = "6.99.1-made"

POINTER = "*"
Layout = Mapping[str, tuple[str, int] | tuple[str, int, int]]
"""Members: type and offset, or of a bit-field type, bit and width. Types: u1 to u8, `*`, a structure, `u8[4]`."""

LAYOUTS: dict[str, tuple[int, Layout]] = {
    "list_head": (16, {"next": ("*", 0), "prev": ("*", 8)}),
    "xarray": (24, {"xa_flags": ("u4", 4), "xa_head": ("*", 16)}),
    "xa_node": (560, {"shift": ("u1", 3), "slots": ("*[64]", 48)}),
    "maple_tree": (16, {"ma_root": ("*", 8)}),
    "maple_range_64": (256, {"parent": ("*", 0), "pivot": ("u8[15]", 8), "slot": ("*[16]", 128)}),
    "maple_arange_64": (256, {"parent": ("*", 0), "pivot": ("u8[9]", 8), "slot": ("*[10]", 80)}),
    "irq_data": (
        72,
        {"irq": ("u4", 4), "hwirq": ("u8", 16), "chip": ("*", 24), "parent_data": ("*", 40), "chip_data": ("*", 56)},
    ),
    "irq_common_data": (
        48,
        {
            "state_use_accessors": ("u4", 0),
            "handler_data": ("*", 8),
            "msi_desc": ("*", 16),
            "affinity": ("*", 24),
            "effective_affinity": ("*", 32),
        },
    ),
    "irq_desc": (
        256,
        {
            "irq_common_data": ("irq_common_data", 16),
            "irq_data": ("irq_data", 64),
            "action": ("*", 144),
            "core_internal_state__do_not_mess_with_it": ("u4", 152),
            "name": ("*", 160),
        },
    ),
    "irqaction": (64, {"next": ("*", 24), "name": ("*", 40)}),
    "irq_chip": (64, {"name": ("*", 8)}),
    "irq_2_iommu": (
        24,
        {"iommu": ("*", 0), "irte_index": ("u2", 8), "sub_handle": ("u2", 10), "posted_msi": ("u1", 13)},
    ),
    "intel_ir_data": (64, {"irq_2_iommu": ("irq_2_iommu", 8), "irte_entry": ("u8[2]", 32)}),
    "apic_chip_data": (32, {"vector": ("u4", 12)}),
    "mp_chip_data": (32, {"irq_2_pin": ("list_head", 8)}),
    "irq_pin_list": (24, {"list": ("list_head", 0), "apic": ("u4", 16), "pin": ("u4", 20)}),
    "mpc_ioapic": (8, {"type": ("u1", 0), "apicid": ("u1", 1)}),
    "ioapic": (64, {"mp_config": ("mpc_ioapic", 16)}),
    "msi_attrib": (4, {"is_msix": ("u1", 0, 1), "multiple": ("u1", 1, 3)}),
    "pci_msi_desc": (16, {"msi_attrib": ("msi_attrib", 4)}),
    "msi_desc": (96, {"dev": ("*", 16), "pci": ("pci_msi_desc", 64)}),
    "kobject": (64, {"name": ("*", 0)}),
    "device": (128, {"kobj": ("kobject", 8)}),
    "dmar_drhd_unit": (
        64,
        {"list": ("list_head", 0), "reg_base_addr": ("u8", 24), "segment": ("u2", 40), "iommu": ("*", 48)},
    ),
    "intel_iommu": (
        128,
        {"reg_phys": ("u8", 8), "cap": ("u8", 24), "ecap": ("u8", 32), "ir_table": ("*", 64), "qi": ("*", 72)},
    ),
    "ir_table": (16, {"base": ("*", 0), "bitmap": ("*", 8)}),
    "q_inval": (32, {"desc": ("*", 8)}),
    "ioapic_scope": (24, {"iommu": ("*", 0), "id": ("u4", 8), "bus": ("u4", 12), "devfn": ("u4", 16)}),
    "hpet_scope": (24, {"iommu": ("*", 0), "id": ("u1", 8), "bus": ("u4", 12), "devfn": ("u4", 16)}),
    "module": (256, {"list": ("list_head", 8), "name": ("u1[56]", 24), "kallsyms": ("*", 128)}),
    "mod_kallsyms": (32, {"symtab": ("*", 0), "num_symtab": ("u4", 8), "strtab": ("*", 16)}),
    "btf_module": (64, {"list": ("list_head", 0), "module": ("*", 16), "btf": ("*", 24)}),
    "btf": (64, {"data": ("*", 0), "data_size": ("u4", 48)}),
    "pirq": (8, {"pirq": ("u2", 4)}),
    "xen_union": (8, {"pirq": ("pirq", 0)}),
    "irq_info": (64, {"type": ("u2", 16), "evtchn": ("u4", 20), "u": ("xen_union", 32)}),
}
PER_CPU = {"x86_cpu_to_apicid": 4, "posted_msi_pi_desc": 64}
"""Per-CPU variables, with their sizes; each symbol is small, and an offset makes an address of it."""


@dataclass
class Form:
    """How kallsyms is laid out: of 6.1 (the offsets first), 6.12 (last), or 7.3 (each from its own place)."""

    offsets_first: bool = False
    relative_base: bool = True
    percpu_absolute: bool = True


OF_6_1, OF_6_12, OF_7_3 = Form(offsets_first=True), Form(), Form(relative_base=False, percpu_absolute=False)


class Memory(Target):
    """Bytes as a target, with registers of CPUs."""

    description = "made memory"

    def __init__(self, raw: bytearray, cpus: Sequence[Cpu]) -> None:
        self.raw, self._cpus = raw, list(cpus)
        self.lost_pages: set[int] = set()

    def read(self, address: int, size: int) -> bytes:
        """As Target.read."""
        if not 0 <= address <= len(self.raw) - size or self._lost(address, size):
            raise NotReadable(address, size, "it is not there")
        return bytes(self.raw[address : address + size])

    def memory(self) -> Sequence[Range]:
        """All of it."""
        return [Range(0, len(self.raw))]

    def cpus(self) -> Sequence[Cpu]:
        """As they were given."""
        return self._cpus

    def _lost(self, address: int, size: int) -> bool:
        return any(page in self.lost_pages for page in range(address >> 12, (address + size - 1 >> 12) + 1))


@dataclass
class MadeLinux:
    """Write what it is to hold, then `target()`. `symbols` are addresses by name; `target` adds some."""

    form: Form = field(default_factory=lambda: OF_6_12)
    cpus: int = 2
    symbols: dict[str, int] = field(default_factory=dict)
    layouts: dict[str, tuple[int, Layout]] = field(default_factory=lambda: dict(LAYOUTS))
    vmcoreinfo: bool = False

    def __post_init__(self) -> None:
        self.raw = bytearray(RAM)
        self._heap, self._data = HEAP_AT, DATA_AT
        self.symbols |= {"_text": TEXT, "start_kernel": TEXT + 0x1234}
        self.percpu = [DIRECT + HEAP_AT + 0x800000 + PERCPU_STEP * cpu for cpu in range(self.cpus)]
        for at, name in enumerate(PER_CPU):
            self.symbols[name] = 0x1000 + 0x100 * at
        self.variable("nr_cpu_ids", struct.pack("<I", self.cpus))
        self.variable("__per_cpu_offset", struct.pack(f"<{self.cpus}Q", *self.percpu))
        mask = (1 << self.cpus) - 1
        self.variable("__cpu_online_mask", struct.pack("<Q", mask))
        self.variable("__cpu_possible_mask", struct.pack("<Q", mask))
        self.variable("vmlinux_build_id", bytes(range(20)))
        self.variable("eim_mode", struct.pack("<I", 0))
        for cpu in range(self.cpus):
            self.set_per_cpu("x86_cpu_to_apicid", cpu, struct.pack("<I", cpu * 2))

    def at(self, address: int) -> int:
        """The physical address of a virtual one."""
        for start, place, size in ((TEXT, TEXT_AT, 0x200000), (RODATA, RODATA_AT, 0x400000), (DATA, DATA_AT, 0x400000)):
            if start <= address < start + size:
                return address - start + place
        return address - DIRECT

    def write(self, address: int, content: bytes) -> None:
        """Bytes at a virtual address."""
        self.raw[self.at(address) : self.at(address) + len(content)] = content

    def variable(self, name: str, content: bytes, align: int = 64) -> int:
        """A variable of the image; its address."""
        address = DATA + self._data - DATA_AT
        self.write(address, content)
        self.symbols[name] = address
        self._data += -(-max(len(content), 8) // align) * align
        return address

    def allocate(self, content: bytes, align: int = 256) -> int:
        """Bytes on the heap; their address."""
        self._heap = -(-self._heap // align) * align
        address = DIRECT + self._heap
        self.write(address, content)
        self._heap += max(len(content), 8)
        return address

    def text(self, content: str) -> int:
        """A string on the heap; its address."""
        return self.allocate(content.encode() + b"\0", 8)

    def bytes_of(self, name: str, values: Mapping[str, int]) -> bytes:
        """A structure with these members, by their paths."""
        size, _ = self.layouts[name]
        raw = bytearray(size)
        for path, value in values.items():
            offset, width, bit, bits = self._place(name, path)
            whole = int.from_bytes(raw[offset : offset + width], "little")
            mask = (1 << bits) - 1 if bits else (1 << 8 * width) - 1
            raw[offset : offset + width] = (whole & ~(mask << bit) | (value & mask) << bit).to_bytes(width, "little")
        return bytes(raw)

    def put(self, name: str, /, **values: int) -> int:
        """A structure on the heap, members by their paths with `__` for dots; its address."""
        return self.allocate(self.bytes_of(name, {path.replace("__", "."): value for path, value in values.items()}))

    def offset(self, name: str, path: str) -> int:
        """Where a member is."""
        return self._place(name, path)[0]

    def set_per_cpu(self, name: str, cpu: int, content: bytes) -> int:
        """A CPU's instance of a per-CPU variable; its address."""
        address = self.percpu[cpu] + self.symbols[name]
        self.write(address, content)
        return address

    def target(self) -> Memory:
        """The machine as a target, of which CPU 0 is idle in the kernel."""
        self.variable("linux_banner", f"Linux version {RELEASE} (gcc) #7 SMP made\n".encode() + b"\0")
        types = btf(self.layouts)
        raw = rodata(self, types)
        self.write(RODATA, raw)
        self._tables()
        if self.vmcoreinfo:
            self.raw[0xF00000 : 0xF00000 + 4096] = self.vmcoreinfo_text().ljust(4096, b"\0")
        registers = {"cr3": ROOT, "cr4": 0x20, "rip": TEXT + 0x1240, "gs_base": self.percpu[0], "k_gs_base": 0}
        return Memory(self.raw, [Cpu(0, registers)])

    def vmcoreinfo_text(self) -> bytes:
        """What such a Linux says of itself."""
        symbols = {name: at for name, at in self.symbols.items() if name.startswith("kallsyms_")}
        symbols["swapper_pg_dir"] = 0xFFFFFFFF80000000 + ROOT - 0x1000
        lines = [f"OSRELEASE={RELEASE}", "PAGESIZE=4096", *(f"SYMBOL({name})={at:x}" for name, at in symbols.items())]
        lines += ["NUMBER(phys_base)=4096", "NUMBER(pgtable_l5_enabled)=0", "KERNELOFFSET=1c200000"]
        return "\n".join(lines).encode() + b"\n"

    def _place(self, name: str, path: str) -> tuple[int, int, int, int]:
        """Offset, bytes, bit and width of a member."""
        offset = 0
        steps = path.split(".")
        for at, step in enumerate(steps):
            kind, *place = self.layouts[name][1][step]
            if len(place) == 2:
                return offset + place[0] // 8, 1, place[0] % 8, place[1]
            offset += place[0]
            if at < len(steps) - 1:
                name = kind
        base = kind.partition("[")[0]
        width = 8 if base == POINTER else int(base[1:]) if base[0] == "u" else self.layouts[base][0]
        return offset, min(width, 8), 0, 0

    def _tables(self) -> None:
        """Level 4 to 2: the image in large pages of three kinds, and all memory at DIRECT."""
        tables = [ROOT, *(TABLES_AT + 0x1000 * number for number in range(4))]
        top, image3, image2, direct3, direct2 = tables
        self._entry(top, TEXT >> 39 & 511, image3 | PRESENT | WRITABLE)
        self._entry(image3, TEXT >> 30 & 511, image2 | PRESENT | WRITABLE)
        for start, place, size, rights in (
            (TEXT, TEXT_AT, 0x200000, 0),
            (RODATA, RODATA_AT, 0x400000, NO_EXECUTE),
            (DATA, DATA_AT, 0x400000, WRITABLE | NO_EXECUTE),
        ):
            for at in range(0, size, 0x200000):
                self._entry(image2, start + at >> 21 & 511, place + at | PRESENT | LARGE | rights)
        self._entry(top, DIRECT >> 39 & 511, direct3 | PRESENT | WRITABLE)
        self._entry(direct3, DIRECT >> 30 & 511, direct2 | PRESENT | WRITABLE)
        for at in range(0, RAM, 0x200000):
            self._entry(direct2, DIRECT + at >> 21 & 511, at | PRESENT | LARGE | WRITABLE | NO_EXECUTE)

    def _entry(self, table: int, number: int, value: int) -> None:
        self.raw[table + 8 * number : table + 8 * number + 8] = value.to_bytes(8, "little")


def btf(layouts: Mapping[str, tuple[int, Layout]]) -> bytes:
    """The BTF of these structures, and of the per-CPU variables."""
    strings, names = bytearray(b"\0"), {}
    types: list[bytes] = []
    numbers: dict[str, int] = {}

    def string(text: str) -> int:
        if text not in names:
            names[text] = len(strings)
            strings.extend(text.encode() + b"\0")
        return names[text]

    def add(key: str, kind: int, name: str, size: int, more: bytes = b"", count: int = 0, flag: int = 0) -> int:
        types.append(struct.pack("<III", string(name) if name else 0, flag << 31 | kind << 24 | count, size) + more)
        numbers[key] = len(types)
        return len(types)

    def of(kind: str) -> int:
        if kind not in numbers:
            element, _, count = kind.rstrip("]").partition("[")
            add(kind, ARRAY, "", 0, struct.pack("<III", of(element), of("u4"), int(count)))
        return numbers[kind]

    for size in (1, 2, 4, 8):
        add(f"u{size}", INT, f"unsigned{size}", size, struct.pack("<I", size * 8))
    add(POINTER, PTR, "", 0)
    for name, (size, members) in layouts.items():
        fields = b""
        flag = any(len(place) == 3 for place in members.values())
        for member, (kind, at, *width) in members.items():
            bit = width[0] << 24 | at if width else 8 * at
            fields += struct.pack("<III", string(member), of(kind), bit)
        add(name, STRUCT, name, size, fields, len(members), flag)
    for name, size in PER_CPU.items():
        add(name, VAR, name, of(f"u1[{size}]"), struct.pack("<I", 1))
    body = b"".join(types)
    return START + struct.pack("<IIII", 0, len(body), len(body), len(strings)) + body + bytes(strings)


TOKENS = [b"" if code < 32 else bytes([code]) for code in range(256)]
TOKENS[128:132] = [b"irq", b"_desc", b"__", b"kallsyms"]


def packed(name: str) -> bytes:
    """A name as kallsyms packs it, with its type, behind its length."""
    whole = b"D" + name.encode()
    for code in range(128, 132):
        whole = whole.replace(TOKENS[code], bytes([code]))
    length = len(whole)
    head = bytes([length]) if length < 128 else bytes([0x80 | length & 0x7F, length >> 7])
    return head + whole


def rodata(linux: MadeLinux, types: bytes) -> bytes:
    """kallsyms and BTF, as the start of read-only data; their symbols are added to the Linux's own."""
    form, symbols = linux.form, linux.symbols
    btf_at = 0x180000
    symbols |= {"__start_BTF": RODATA + btf_at, "__stop_BTF": RODATA + btf_at + len(types)}
    # Enough of them that there are several markers, one with a long name.
    fill = {f"filler_{number}": TEXT + 0x2000 + 16 * number for number in range(700)}
    fill["long_" + "x" * 200] = TEXT + 0x1F000
    every = sorted({**symbols, **fill}.items(), key=lambda each: each[1])
    per_cpu = [each for each in every if each[1] < TEXT]
    ordered = [*per_cpu, *(each for each in every if each[1] >= TEXT)]
    names = b"".join(packed(name) for name, _ in ordered)
    ends, markers = 0, []
    for at, (name, _) in enumerate(ordered):
        if at % 256 == 0:
            markers.append(ends)
        ends += len(packed(name))
    step = 8 if form.relative_base else 4
    parts: list[tuple[str, bytes]] = [
        ("kallsyms_num_syms", struct.pack("<I", len(ordered)).ljust(step, b"\0")),
        ("kallsyms_names", names),
        ("kallsyms_markers", struct.pack(f"<{len(markers)}I", *markers)),
        ("kallsyms_token_table", b"".join(token + b"\0" for token in TOKENS)),
        ("kallsyms_token_index", struct.pack("<256H", *(sum(len(t) + 1 for t in TOKENS[:n]) for n in range(256)))),
    ]
    numbers = ("kallsyms_offsets", bytes(4 * len(ordered)))
    base = [("kallsyms_relative_base", TEXT.to_bytes(8, "little"))] if form.relative_base else []
    parts = [numbers, *base, *parts] if form.offsets_first else [*parts, numbers, *base]
    if form.offsets_first:
        # 6.1 has three bytes for each symbol there, and so its markers do not stand before the tokens.
        parts.insert(-2, ("kallsyms_seqs_of_names", bytes(range(1, 256)) * (3 * len(ordered) // 255 + 1)))
    at = 0x40
    raw = bytearray(0x200000)
    for name, content in parts:
        at = -(-at // step) * step
        linux.symbols[name] = RODATA + at
        raw[at : at + len(content)] = content
        at += len(content)
    start = linux.symbols["kallsyms_offsets"]
    for number, (_, address) in enumerate(ordered):
        place = start + 4 * number
        if not form.relative_base:
            value = address - place
        elif form.percpu_absolute:
            value = address if address < TEXT else TEXT - 1 - address
        else:
            value = address - TEXT
        raw[place - RODATA : place - RODATA + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")
    raw[btf_at : btf_at + len(types)] = types
    return bytes(raw)
