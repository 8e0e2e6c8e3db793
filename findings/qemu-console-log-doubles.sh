#!/bin/bash
# QEMU's log of a console has characters twice when the reader of the console's socket is slow.
#
# Documented:  QEMU manual, -chardev: `logfile` is the file that records all data transmitted via the backend.
# Seen:        a character that the full socket refuses is logged, and logged again when the serial port has sent it. The reader
#              of the socket gets each character once; the log has one too many for each time that the socket was full.
# For a user:  "row 013" stands in the log as "row 0113": rows of Xen's debug keys read from it are wrong or lost. A log that must
#              be right comes from the socket itself, or from a backend that does not refuse (file, pipe to a file).
# vtdpi:       its lab lets QEMU write the console to a file, with no socket and no `logfile`.
#
# No guest runs: qtest is the driver of the serial port, and sends a byte only when the port says that the last one is sent.
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
$run -machine q35 -S -chardev socket,id=console,path=console,server=on,wait=on,logfile=console.log -serial chardev:console \
  -qtest unix:qtest,server=on,wait=off -qtest-log none 2> qemu.log &
qemu=$!
python3 - <<'PYTHON'
import os, socket, sys, time


def connect(path):
    deadline = time.monotonic() + 60
    while True:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(30)
        try:
            link.connect(path)
            return link
        except (FileNotFoundError, ConnectionRefusedError):
            link.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


console = connect("console")
lines = connect("qtest").makefile("rw")
DATA, STATUS, SENT = 0x3F8, 0x3FD, 0x40  # of COM1: transmitter, line status, "the transmitter is empty"


def ask(*words):
    print(*(word if isinstance(word, str) else hex(word) for word in words), file=lines, flush=True)
    answer = lines.readline().split()
    assert answer[:1] == ["OK"], answer
    return int(answer[1], 0) if len(answer) > 1 else None


def is_sent(tries):
    for _ in range(tries):
        if ask("inb", STATUS) & SENT:
            return True
        time.sleep(0.005)
    return False


sent, received, refused = b"".join(b"row %03d of the table\n" % row for row in range(100)), b"", set()
for index in range(len(sent)):
    ask("outb", DATA, sent[index])
    if not is_sent(10):  # the socket is full: only now does the reader read
        refused.add(index)
        received += console.recv(65536)
        assert is_sent(6000), "the serial port stands still"
while len(received) < len(sent):
    received += console.recv(65536)
with open("console.log", "rb") as file:
    log = file.read()

doubled = b"".join(sent[index : index + 1] * (2 if index in refused else 1) for index in range(len(sent)))
wrong = sorted(set(log.splitlines()) - set(sent.splitlines()) - {b""})
print(f"sent by the serial port     {len(sent)} bytes, the socket was full {len(refused)} times")
print(f"read from the socket        {len(received)} bytes, as sent: {received == sent}")
print(f"logfile (documented: same)  {len(log)} bytes, as sent: {log == sent}, each refused byte twice: {log == doubled}")
print("rows that nobody sent       " + ", ".join(repr(row.decode()) for row in wrong))
sys.exit(0 if received == sent and refused and log == doubled and wrong else "the behaviour has changed")
PYTHON
