#!/bin/bash
# QEMU's gdb stub hands one debugger's settings to the next: physical memory mode and `multiprocess`.
#
# Documented:  QEMU, docs/system/gdb.rst: "by default GDB will show the current process memory respecting the virtual address
#              translation". GDB manual, qSupported and D packet: features are agreed between this gdb and this stub;
#              `D` without a process is right as long as multiprocess was not agreed.
# Seen:        after a debugger that sent Qqemu.PhyMemMode:1 and left, the next one reads physical memory at virtual addresses,
#              with no error. After one that asked for multiprocess, a plain `D` is refused (E22). A physical read where
#              nothing is gives zeros, not an error.
# For a user:  a tool that dies in physical mode makes the next debugger show wrong bytes; zeros may be no memory at all.
# vtdpi:       asks for the mode first, sets the one it needs, puts the found one back, and detaches with `D;1`.
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
$run -machine q35 -S -gdb unix:gdb,server=on,wait=off 2> qemu.log &
qemu=$!
python3 - <<'PYTHON'
import os, re, socket, sys, time


class Debugger:
    def __init__(self):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(30)
        self.link.connect("gdb")

    def ask(self, packet):
        self.link.sendall(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 255))
        data = b""
        while not (answer := re.search(rb"\$([^#]*)#..", data)):
            data += self.link.recv(4096)
        self.link.sendall(b"+")
        return answer[1].decode()


deadline = time.monotonic() + 60
while not os.path.exists("gdb") and time.monotonic() < deadline:
    time.sleep(0.05)
first = Debugger()
steps = []
steps.append(("first: qSupported agrees on multiprocess", True, "multiprocess+" in first.ask("qSupported:multiprocess+")))
steps.append(("first: physical mode at the start", "0", first.ask("qqemu.PhyMemMode")))
steps.append(("first: Qqemu.PhyMemMode:1", "OK", first.ask("Qqemu.PhyMemMode:1")))
steps.append(("first: 8 bytes at 0x90000000, where nothing is", "0" * 16, first.ask("m90000000,8")))
first.link.close()
time.sleep(1)
second = Debugger()
steps.append(("second: physical mode (documented: 0)", "1", second.ask("qqemu.PhyMemMode")))
steps.append(("second: D without multiprocess (documented: OK)", "E22", second.ask("D")))
for what, known, seen in steps:
    print(f"{what:50} {seen}")
sys.exit(0 if all(known == seen for _, known, seen in steps) else "the behaviour has changed")
PYTHON
