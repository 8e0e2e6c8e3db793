#!/bin/bash
# QEMU's VT-d reads the bus range of a remapping entry (SVT=2) the wrong way round.
#
# Documented:  Intel VT-d specification, 9.9 (IRTE for remapped interrupts): with SVT=10b the bus of the requester must be
#              equal to or greater than Startbus# and less than or equal to Endbus#, "specified through the SID field":
#              SID 15:8 is Startbus#, 7:0 Endbus#. Linux (set_irte_verify_bus) and Xen (set_msi_source_id) write it so.
# Seen:        QEMU takes 15:8 as the last bus and 7:0 as the first: the valid range 1..5 (SID 0x0105) refuses a message
#              from bus 3 with fault 0x26, and only the reversed 0x0501, which no bus can satisfy, lets it through.
# For a user:  devices behind a PCIe-to-PCI bridge lose their interrupts in QEMU where real hardware delivers them.
#              Fault 0x26 beside an SVT=2 entry that is right is then QEMU's, not the hypervisor's. Equal buses work.
# vtdpi:       decodes SID of SVT=2 as the specification says, on QEMU too.
#
# No guest runs: qtest programs the unit, a root port and QEMU's test device `edu` (03:00.0), which sends one MSI for each entry.
set -euo pipefail
dir=$(mktemp -d); qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

# Debian's packages with all they depend on, unpacked into ./root; nothing of the machine's own is touched.
mkdir -p lists/partial cache/archives/partial root
: > status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" > sources.list
apt="-qq -oDir::Etc::sourcelist=$dir/sources.list -oDir::Etc::sourceparts=/dev/null -oDir::State::Lists=$dir/lists -oDir::Cache=$dir/cache
     -oDir::State::status=$dir/status -oDebug::NoLocking=1 -oAPT::Sandbox::User=$(id -un) -oAPT::Architecture=amd64"
apt-get $apt update >&2
apt-get $apt -y --download-only --no-install-recommends install qemu-system-x86=1:10.0.13+ds-0+deb13u1 > apt.log
for deb in cache/archives/*.deb; do dpkg -x "$deb" root; done

run="root/usr/lib64/ld-linux-x86-64.so.2 --library-path root/usr/lib/x86_64-linux-gnu root/usr/bin/qemu-system-x86_64
     -L root/usr/share/qemu -L root/usr/share/seabios -nodefaults -display none -m 64"
$run --version | head -1
$run -machine q35 -S -device intel-iommu,intremap=on -device pcie-root-port,id=root,bus=pcie.0,addr=4 -device edu,bus=root \
  -qtest unix:qtest,server=on,wait=off -qtest-log none 2> qemu.log &
qemu=$!
python3 - <<'PYTHON'
import os, socket, sys, time

deadline = time.monotonic() + 60
while not os.path.exists("qtest") and time.monotonic() < deadline:
    time.sleep(0.05)
link = socket.socket(socket.AF_UNIX)
link.settimeout(30)
link.connect("qtest")
lines = link.makefile("rw")


def ask(*words):
    print(*(word if isinstance(word, str) else hex(word) for word in words), file=lines, flush=True)
    answer = lines.readline().split()
    assert answer[:1] == ["OK"], answer
    return int(answer[1], 0) if len(answer) > 1 else None


def config(bus, device, register, value=None):
    ask("outl", 0xCF8, 1 << 31 | bus << 16 | device << 11 | register)
    return ask("inl", 0xCFC) if value is None else ask("outl", 0xCFC, value)


UNIT, TABLE, BAR = 0xFED90000, 0x100000, 0xC0000000
GCMD, GSTS, IRTA = UNIT + 0x18, UNIT + 0x1C, UNIT + 0xB8
FRCD = UNIT + (ask("readq", UNIT + 8) >> 24 & 0x3FF) * 16  # CAP.FRO

config(0, 4, 0x18, 0x00030300)  # the root port: secondary and subordinate bus 3
config(0, 4, 0x20, BAR >> 16 | BAR & 0xFFF00000)  # its memory window, 1 MiB
config(0, 4, 0x04, 6)
config(3, 0, 0x10, BAR)
config(3, 0, 0x04, 6)
assert config(3, 0, 0) == 0x11E81234, "no edu device at 03:00.0"
msi = config(3, 0, 0x34) & 0xFF
while config(3, 0, msi) & 0xFF != 5:
    msi = config(3, 0, msi) >> 8 & 0xFF

# entry -> (what, source validation type, SID, fault by the specification, fault seen in QEMU)
entries = [
    ("SVT=1, SID 0x0300: 03:00.0 itself", 1, 0x0300, None, None),
    ("SVT=1, SID 0x0400: another device", 1, 0x0400, 0x26, 0x26),
    ("SVT=2, SID 0x0303: buses 3 to 3", 2, 0x0303, None, None),
    ("SVT=2, SID 0x0105: buses 1 to 5", 2, 0x0105, None, 0x26),
    ("SVT=2, SID 0x0501: buses 5 to 1", 2, 0x0501, 0x26, None),
]
for index, (_, svt, sid, _, _) in enumerate(entries):
    ask("writeq", TABLE + 16 * index, 0x30 << 16 | 1)  # vector 0x30, edge, fixed, physical, present
    ask("writeq", TABLE + 16 * index + 8, svt << 18 | sid)
ask("writeq", IRTA, TABLE | 3)  # 16 entries
ask("writel", GCMD, 1 << 24)  # SIRTP
ask("writel", GCMD, 1 << 25)  # IRE
assert ask("readl", GSTS) >> 24 & 3 == 3, "interrupt remapping is not on"


def fault_of(index):
    config(3, 0, msi, config(3, 0, msi) & ~(1 << 16))
    config(3, 0, msi + 4, 0xFEE00010 | index << 5)  # remappable format, handle
    config(3, 0, msi + 8, 0)
    config(3, 0, msi + 12, 0)
    config(3, 0, msi, config(3, 0, msi) | 1 << 16)
    ask("writel", BAR + 0x60, 1)  # edu: raise the interrupt
    ask("writel", BAR + 0x64, 1)  # and acknowledge it
    high = ask("readq", FRCD + 8)
    if not high >> 63:
        return None
    assert high & 0xFFFF == 0x0300, "a fault of another source"
    assert ask("readq", FRCD) >> 48 == index, "a fault of another entry"
    ask("writel", FRCD + 12, 1 << 31)
    assert not ask("readq", FRCD + 8) >> 63
    return high >> 32 & 0xFF


def name(fault):
    return "delivered" if fault is None else f"fault {fault:#x}"


same = True
for index, (what, _, _, expected, known) in enumerate(entries):
    seen = fault_of(index)
    same &= seen == known
    print(f"{what:36} specification: {name(expected):12} QEMU: {name(seen)}")
sys.exit(0 if same else "the behaviour has changed")
PYTHON
