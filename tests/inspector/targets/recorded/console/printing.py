"""Xen's printks: facts to the lines that each version prints of them.

Written from the format strings of xen/drivers/passthrough/vtd/{utils,iommu,dmar}.c, xen/arch/x86/{msi,irq,io_apic}.c,
xen/drivers/passthrough/pci.c and xen/common/keyhandler.c at the release tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector.targets.recorded.console import boot, faults, key_domains, key_ioapic, key_irq, key_msi, key_pci, key_vtd
from inspector.targets.recorded.console.lines import Line
from structs.irte import IRTE

Version = tuple[int, int]

RELEASES: tuple[Version, ...] = tuple((4, minor) for minor in range(2, 24))
"""4.2 to 4.23-dev."""

MARKED = "(XEN) "


def text(lines: Iterable[str]) -> str:
    """A log of these lines."""
    return "".join(f"{MARKED}{line}\n" for line in lines)


def numbered(lines: Iterable[str]) -> list[Line]:
    """The lines as the parser gets them."""
    return [Line(number, line.rstrip()) for number, line in enumerate(lines, 1)]


def vtd(version: Version, tables: key_vtd.Tables) -> list[str]:
    """`vtd_dump_iommu_info`."""
    lines = []
    for unit in tables.units:
        lines += ["", f"iommu {unit.index:x}: nr_pt_levels = 4."]
        enabled = " and enabled" if unit.remapping else ""
        lines.append(f"  Queued Invalidation: supported{' and enabled' if unit.queue else ''}.")
        lines.append(f"  Interrupt Remapping: supported{enabled}.")
        if version >= (4, 7):
            lines.append(f"  Interrupt Posting: {'' if unit.posting else 'not '}supported.")
        if unit.remapping:
            lines.append(f"  Interrupt remapping table (nr_entry={unit.size:#x}. Only dump P=1 entries here):")
            lines += _row_heads(version)
            lines += [_row(version, index, raw, index in unit.signed) for index, raw in sorted(unit.entries.items())]
            if unit.in_use is not None:
                lines.append(f"Warning: Print {len(unit.entries)} IRTE (actually have {unit.in_use})!")
    for ioapic in sorted(tables.ioapics):
        lines += ["", f"Redirection table of IOAPIC {ioapic:x}:"]
        lines.append("  #entry IDX FMT MASK TRIG IRR POL STAT DELI  VECTOR")
        for p in tables.pins:
            if p.ioapic == ioapic:
                lines.append(
                    f"   {p.pin:02x}:  {p.index:04x}   1    {p.mask:x}   {p.tm:x}   {p.irr:x}   {p.pol:x}"
                    f"    {p.delivs:x}    {p.dlm:x}     {p.vector:02x}"
                )
    return lines


def _row_heads(version: Version) -> list[str]:
    if version < (4, 7):
        return ["       SVT  SQ   SID      DST  V  AVL DLM TM RH DM FPD P"]
    return [
        "R means remapped format, P means posted format.",
        "R:       SVT  SQ   SID  V  AVL FPD      DST DLM TM RH DM P",
        "P:       SVT  SQ   SID  V  AVL FPD              PDA  URG P",
    ]


def _row(version: Version, index: int, raw: bytes, signed: bool) -> str:
    e = IRTE.parse(raw)
    start = f"{index:04x}:  {e['svt']:x}   {e['sq']:x}  {e['sid']:04x}"
    if version < (4, 7):
        return (
            f"  {start} {e['dst']:08x} {e['vector']:02x}    {e['avail']:x}   {e['dlm']:x}  {e['tm']:x}  {e['rh']:x}"
            f"  {e['dm']:x}   {e['fpd']:x} {e['p']:x}"
        )
    start += f" {e['vector']:02x}    {e['avail']:x}   {e['fpd']:x}"
    if not e["im"]:
        modes = f"{e['dlm']:x}  {e['tm']:x}  {e['rh']:x}  {e['dm']:x} {e['p']:x}"
        return f"R:  {start} {e['dst']:08x}   {modes}"
    pda = e["pda"] | (key_vtd.SIGN if signed else 0)
    return f"P:  {start} {pda:16x}    {e['urg']:x} {e['p']:x}"


def msi(version: Version, rows: Sequence[key_msi.MsiFacts]) -> list[str]:
    """`dump_msi`."""
    lines = ["PCI-MSI interrupt information:" if version < (4, 3) else "MSI information:"]
    for row in rows:
        if version < (4, 3):
            kind = {"MSI": "MSI ", "MSI-X": "MSIX"}.get(row.kind, "MSI?")
            head = f" {kind} {row.irq:4}"
        else:
            head = f" {row.kind:<6}{row.irq:4}"
        last = "?" if row.masked is None else str(int(row.masked))
        if version < (4, 3):
            last = "-1" if row.masked is None else last
        if version < (4, 6):
            middle = str(int(row.host_masked))
        else:
            middle = ("H" if row.host_masked else " ") + ("G" if row.guest_masked else " ")
        lines.append(
            f"{head} vec={row.vector:02x}{'lowest' if row.lowest else 'fixed':>7}{'level' if row.level else 'edge':>6}"
            f"{'':>3}assert{'log' if row.logical else 'phys':>5}{'lowest' if row.lowest else 'cpu':>7}"
            f" dest={row.dest:08x} mask={int(row.maskable)}/{middle}/{last}"
        )
    return lines


def irq(version: Version, found: key_irq.Irqs, cpu_count: int = 16) -> list[str]:
    """`dump_irqs`, `dump_ioapic_irq_info`."""
    lines = ["Guest interrupt information:" if version < (4, 4) else "IRQ information:"]
    for row in found.rows:
        if version < (4, 13):
            mask = sum(1 << cpu for cpu in row.affinity or ())
            words = [f"{mask >> 32 * word & 0xFFFFFFFF:08x}" for word in reversed(range(-(-cpu_count // 32)))]
            head = f"   IRQ:{row.irq:4} affinity:{','.join(words)} vec:{row.vector:02x} type={row.type:<15}"
            head += f" status={row.status:08x} "
        else:
            head = f"   IRQ:{row.irq:4} vec:{row.vector:02x} {row.type:<15} status={row.status:03x}"
            head += f" aff:{cpus(row.affinity)}/{cpus(row.cpus)} "
        lines.append(head + _use(version, row))
    if version >= (4, 4):
        lines.append("Direct vector information:")
        lines += [f"   {vector:#04x} -> arch/x86/x.c#{name}()" for vector, name in sorted((found.direct or {}).items())]
    if found.pins:
        lines.append("IO-APIC interrupt information:")
    for pin in found.pins:
        modes = {number: name for name, number in key_irq.DELIVERY.items()}
        dest = str(pin.dest) if version < (4, 13) else f"{pin.dest:02x}" if pin.dest < 256 else f"{pin.dest:08x}"
        lines += [
            f"    IRQ{pin.irq:3} Vec{pin.vector:3}:",
            f"      Apic 0x{pin.ioapic:02x}, Pin {pin.pin:2}: vec={pin.vector:02x}"
            f" delivery={modes.get(pin.dlm or 0, 'Resvd'):<5} dest={'L' if pin.dm else 'P'} status={pin.delivs}"
            f" polarity={pin.pol} irr={pin.irr} trig={'L' if pin.tm else 'E'} mask={pin.mask} dest_id:{dest}",
        ]
    return lines


def _use(version: Version, row: key_irq.IrqFacts) -> str:
    if row.in_flight is None:
        return f"{row.action}()" if row.action else "mapped, unbound"
    selector = "-" if version < (4, 4) else ""
    letters = {True: "P", False: "-", None: "?"}
    masks = {True: "M", False: "-", None: "?"}
    guests = [
        f"{guest.domain}:{guest.pirq:3}({letters[guest.pending]}{selector}{masks[guest.masked]}"
        f"{'M' if guest.pirq_masked else '-'})"
        for guest in row.guests
    ]
    if version < (4, 13):
        return f"in-flight={row.in_flight} domain-list=" + "".join(f"{guest}," for guest in guests)
    return f"in-flight={row.in_flight} " + ",".join(f"d{guest}" for guest in guests)


def cpus(numbers: Sequence[int] | None) -> str:
    """`{%*pbl}`."""
    parts: list[list[int]] = []
    for number in sorted(numbers or ()):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return "{" + ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts) + "}"


def ioapic(version: Version, found: Sequence[key_ioapic.IoApicFacts], x2apic: bool) -> list[str]:
    """`__print_IO_APIC`."""
    lines = ["number of MP IRQ sources: 15."]
    lines += [f"number of IO-APIC #{apic.id} registers: {len(apic.pins)}." for apic in found]
    lines.append("testing the IO APIC.......................")
    for apic in found:
        lines += [f"IO APIC #{apic.id}......", f".... register #00: {apic.id or 0:02X}000000"]
        lines += [f".......     : IO APIC version: {apic.version:04X}", ".... IRQ redirection table:"]
        if version < (4, 13):
            lines.append(" NR Log Phy Mask Trig IRR Pol Stat Dest Deli Vect:   ")
            gap = "    "
        else:
            lines.append(f" NR {' DestID' if x2apic else 'Dst'} Msk Trg IRR Pol Stat DstM DelM Vec")
            gap = "   "
        for p in apic.pins:
            if version < (4, 13):
                head = f" {p.pin:02x} {p.dest:03X} {p.dest & 0xF:02X}  "
            else:
                head = f" {p.pin:02x} {p.dest:08x} " if x2apic else f" {p.pin:02x}  {p.dest:02x}  "
            lines.append(
                f"{head}{p.mask}{gap}{p.tm}{gap}{p.irr}   {p.pol}   {p.delivs}    {p.dm}    {p.dlm}    {p.vector:02X}"
            )
    return [*lines, "Using vector-based indexing", "IRQ to pin mappings:", "IRQ240 -> 0:2", f"{'.' * 36} done."]


def pci(version: Version, devices: Sequence[key_pci.DeviceFacts]) -> list[str]:
    """`dump_pci_devices`."""
    lines = ["==== PCI devices ====", "==== segment 0000 ===="]
    for device in devices:
        at = device.sbdf
        name = f"{at >> 16:04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}"
        owner = f"dom {device.domain or 0:<3}" if version < (4, 13) else device.owner
        node = f" - node {device.node if device.node is not None else -1:<3}" if version >= (4, 6) else ""
        messages = f" - MSIs < {''.join(f'{number} ' for number in device.irqs)}>"
        lines.append(f"{name} - {owner}{node}{messages if device.irqs or version < (4, 16) else ''}")
    return lines


def domains(version: Version, found: Sequence[key_domains.DomainFacts], cpu_count: int = 16) -> list[str]:
    """`dump_domains`."""
    lines = ["'q' pressed -> dumping domain info (now = 155600000000)"]
    for domain in found:
        lines += [
            f"General information for domain {domain.domain}:",
            f"    refcnt=3 dying={domain.dying} pause_count={domain.pause_count}",
            "    nr_pages=262144 xenheap_pages=5 shared_pages=0 paged_pages=0 dirty_cpus={0-3} max_pages=262400",
        ]
        if domain.hvm:
            lines.append("    paging assistance: hap refcounts translate external ")
        lines.append(f"VCPU information and callbacks for domain {domain.domain}:")
        for vcpu in domain.vcpus:
            lines += _vcpu(version, domain, vcpu, cpu_count)
    return lines + [f"Notifying guest {d.domain}:{v.vcpu} (virq 1, port 0)" for d in found for v in d.vcpus]


def _set(version: Version, numbers: Sequence[int] | None, cpu_count: int) -> str:
    """`cpuset_print`: a list in braces since 4.2."""
    return cpus(numbers)


def _vcpu(
    version: Version, domain: key_domains.DomainFacts, vcpu: key_domains.VcpuFacts, cpu_count: int
) -> Iterable[str]:
    if version >= (4, 13):
        yield f"  UNIT{vcpu.vcpu} affinities: hard={cpus(vcpu.affinity)} soft={{0-7}}"
    pend, mask = f"{int(vcpu.upcall_pending):02x}", f"{int(vcpu.upcall_masked):02x}"
    head = f"    VCPU{vcpu.vcpu}: CPU{vcpu.processor} [has={'T' if vcpu.running else 'F'}] poll={vcpu.polling} "
    dirty = _set(version, vcpu.dirty, cpu_count)
    affinity = _set(version, vcpu.affinity, cpu_count)
    if version < (4, 6):
        yield head + f"upcall_pend = {pend}, upcall_mask = {mask} dirty_cpus={dirty} cpu_affinity={affinity}"
    elif version < (4, 11):
        yield head + f"upcall_pend={pend} upcall_mask={mask} dirty_cpus={dirty}"
    else:
        one = f"dirty_cpu={vcpu.dirty[0]}" if vcpu.dirty else ""
        yield head + f"upcall_pend={pend} upcall_mask={mask} {one}"
    if (4, 6) <= version < (4, 13):
        yield f"    cpu_hard_affinity={affinity} cpu_soft_affinity={{0-7}}"
    yield f"    pause_count={vcpu.pause_count} pause_flags={vcpu.pause_flags:x}"
    if domain.hvm:
        yield "    paging assistance: hap, 4 levels"
    yield "No periodic timer"


def fault(version: Version, found: faults.FaultFacts) -> list[str]:
    """`iommu_page_fault_do_one`."""
    at = found.sbdf
    device = f"{at >> 16:04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}"
    reason = found.reason or 0
    known = 0x20 <= reason < 0x27
    interrupt = reason >= 0x20 if version < (4, 4) else known
    dma = reason < 0x0E
    info = found.address if found.address is not None else (found.index or 0) << 48
    kind = "INTR-REMAP" if interrupt else "DMAR" if dma else "UNKNOWN"
    what = f"index {info >> 48:x}" if interrupt else f"addr {info:x}"
    way = f"[DMA {'Read' if found.read else 'Write'}] " if dma else ""
    reg = ", iommu reg = ffff82c3fff57000" if version < (4, 13) else ""
    source = "iommu.c:859: " if version < (4, 4) else ""
    first = f"[VT-D]{source}{kind}:{' ' if not way else ''}{way}Request device [{device}] fault {what}{reg}"
    if version < (4, 4):
        return [first, f"{kind}:[fault reason {reason:02x}h] some text"]
    unit = f" on iommu:{found.unit}" if version >= (4, 23) else ""
    return [first, f"[VT-D]{kind}: reason {reason:02x} - some text{unit}"]


def verbose(version: Version, found: boot.Boot) -> list[str]:
    """`acpi_parse_dmar` and `iommu_alloc` with `iommu=verbose`, and what stands around them."""
    source = "[VT-D]dmar.c:745: " if version < (4, 4) else "[VT-D]"
    lines = [f"Xen version {found.version} (user@host) (gcc) debug=n Mon Jan  1 00:00:00 UTC 2024"]
    lines += [f"build-id: {found.build_id}"] if found.build_id else []
    lines += [f"{source}Host address width {found.width}"]
    for s in found.structures:
        lines.append(f"{source}found ACPI_DMAR_{s.kind}:")
        match s.kind:
            case "DRHD":
                lines.append(f"{source}  dmaru->address = {s.base:x}")
                lines.append(f"{source}drhd->address = {s.base:x} iommu->reg = ffff82c000209000")
                lines.append(f"{source}cap = {s.cap:x} ecap = {s.ecap:x}")
            case "RHSA":
                lines.append(f"{source}  rhsau->address: {s.base:x} rhsau->proximity_domain: {s.proximity:x}")
            case "ATSR":
                lines.append(f"{source}  atsru->all_ports: {int(s.all):x}")
        lines += [f"{source} {_scope(scope)}" for scope in s.scopes]
        if s.kind == "DRHD" and s.all:
            lines.append(f"{source}  flags: INCLUDE_ALL")
        if s.kind == "RMRR":
            if version < (4, 13):
                end = "end_address" if version < (4, 9) else "end_addr"
                lines.append(f"{source}  RMRR region: base_addr {s.base:x} {end} {s.limit:x}")
            else:
                lines.append(f"{source} RMRR: [{s.base:x},{s.limit:x}]")
    for apic in found.ioapics:
        lines.append(
            f"IOAPIC[{apic.number}]: apic_id {apic.id}, version 32, address {apic.address:#x},"
            f" GSI {apic.gsis.start}-{apic.gsis.stop - 1}"
        )
    lines.append(f"Switched to APIC driver {'x2apic_cluster' if found.x2apic else 'default'}")
    lines.append(f"Intel VT-d Interrupt Remapping {'' if found.intremap else 'not '}enabled.")
    if version >= (4, 7):
        lines.append(f"Intel VT-d Posted Interrupt {'' if found.intpost else 'not '}enabled.")
    return lines


def _scope(scope: boot.ScopeFacts) -> str:
    at = scope.sbdf
    kind = next(name for name, number in boot.KINDS.items() if number == scope.kind)
    buses = f" start=0 sec={scope.buses[0]:x} sub={scope.buses[1]:x}" if scope.buses else ""
    return f"{kind}: {at >> 16:04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}{buses}"
