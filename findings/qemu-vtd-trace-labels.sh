#!/bin/bash
# QEMU's trace of interrupt remapping names the halves of an entry the wrong way round, and some MSIs "IOAPIC".
#
# Documented:  QEMU, hw/i386/trace-events: vtd_ir_irte_get prints the entry as "low" and "high". Intel VT-d specification, 9.9: the
#              low half has P (bit 0) and the vector (23:16), the high half SVT and SID. SHV of a message only says whether its
#              data holds a subhandle, not who sent it.
# Seen:        "low" has SVT and SID, "high" has P and the vector. vtd_ir_remap_type goes by SHV alone: a device's MSI is "IOAPIC"
#              with SHV=0 and "MSI" with SHV=1. The remapping itself is right.
# For a user:  a trace read as it is labelled shows a good entry as not present (P=0) with a wrong vector and source. Swap the two
#              words, and do not tell pins from devices by the type.
# vtdpi:       reads entries from the table in memory, not from this trace.
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
  -qtest unix:qtest,server=on,wait=off -qtest-log none -trace 'vtd_ir_*' -D trace.log 2> qemu.log &
qemu=$!
python3 - <<'PYTHON'
import os, re, socket, sys, time

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

config(0, 4, 0x18, 0x00030300)  # the root port: secondary and subordinate bus 3
config(0, 4, 0x20, BAR >> 16 | BAR & 0xFFF00000)  # its memory window, 1 MiB
config(0, 4, 0x04, 6)
config(3, 0, 0x10, BAR)
config(3, 0, 0x04, 6)
assert config(3, 0, 0) == 0x11E81234, "no edu device at 03:00.0"
msi = config(3, 0, 0x34) & 0xFF
while config(3, 0, msi) & 0xFF != 5:
    msi = config(3, 0, msi) >> 8 & 0xFF


low, high = 0x0000000000300001, 0x0000000000040300  # vector 0x30, present; SVT=1, SID 0x0300: 03:00.0 itself
ask("writeq", TABLE, low)
ask("writeq", TABLE + 8, high)
ask("writeq", IRTA, TABLE | 3)  # 16 entries
ask("writel", GCMD, 1 << 24)  # SIRTP
ask("writel", GCMD, 1 << 25)  # IRE
assert ask("readl", GSTS) >> 24 & 3 == 3, "interrupt remapping is not on"
for shv in (0, 1):
    config(3, 0, msi, config(3, 0, msi) & ~(1 << 16))
    config(3, 0, msi + 4, 0xFEE00010 | shv << 3)  # remappable format, handle 0
    config(3, 0, msi + 8, 0)
    config(3, 0, msi + 12, 0)
    config(3, 0, msi, config(3, 0, msi) | 1 << 16)
    ask("writel", BAR + 0x60, 1)  # edu: raise the interrupt
    ask("writel", BAR + 0x64, 1)  # and acknowledge it

with open("trace.log") as file:
    trace = file.read()
entries = re.findall(r"vtd_ir_irte_get index 0 low (\w+) high (\w+)", trace)
types = re.findall(r"vtd_ir_remap_type (\w+)", trace)
vectors = re.findall(r"vtd_ir_remap index 0 .*vector (\d+)", trace)
print(f"in the table                 low {low:#x}, high {high:#x}: vector {low >> 16 & 0xFF:#x}")
for shv, (first, second), kind, vector in zip((0, 1), entries, types, vectors):
    print(f"trace of an MSI with SHV={shv}   low {first}, high {second}; type {kind}, vector {int(vector):#x}")
same = entries == [(hex(high), hex(low))] * 2 and types == ["IOAPIC", "MSI"] and vectors == ["48"] * 2
sys.exit(0 if same else "the behaviour has changed")
PYTHON
