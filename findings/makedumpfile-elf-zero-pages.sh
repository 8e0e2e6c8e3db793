#!/bin/bash
# Zero pages that `makedumpfile -E -d 1` leaves out are lost on the way: libkdumpfile and `makedumpfile -c` take them for no memory.
#
# Documented:  gABI, Program Header: the bytes of a segment beyond p_filesz, up to p_memsz, are zero. makedumpfile(8), -d: level 0
#              excludes no page, level 1 only pages filled with zero.
# Seen:        `-E -d 1` writes such segments, which is right. libkdumpfile has no page there ("Page not found"). `-c -d 0` and `-c -d 1`
#              of that ELF exclude these pages (set in the 1st bitmap, not in the 2nd) and say "Completed"; from the whole core both
#              keep every page. An ELF does not tell its level, and with a higher one what is beyond p_filesz was not always zero;
#              libkdumpfile's file.zero_excluded gives zeros, for such pages too.
# For a user:  of a dump packed in two steps a table or bitmap of zeros cannot be read any more, or not be told from one left out.
#              Pack from the original, in one step.
# vtdpi:       reads what is beyond p_filesz as zeros where no note says that it may be a filtered Linux, and does not make up a page
#              that a kdump excludes: "does not hold it".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# Debian's packages with all they depend on, unpacked into ./root; nothing of the machine's own is touched.
mkdir -p lists/partial cache/archives/partial root
: > status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" > sources.list
apt="-qq -oDir::Etc::sourcelist=$dir/sources.list -oDir::Etc::sourceparts=/dev/null -oDir::State::Lists=$dir/lists -oDir::Cache=$dir/cache
     -oDir::State::status=$dir/status -oDebug::NoLocking=1 -oAPT::Sandbox::User=$(id -un) -oAPT::Architecture=amd64"
apt-get $apt update >&2
apt-get $apt -y --download-only --no-install-recommends install \
  makedumpfile=1:1.7.6-1 python3-libkdumpfile=0.5.4-3+b1 > apt.log
for deb in cache/archives/*.deb; do dpkg -x "$deb" root; done

# An ELF core of 4 MiB at 1 MiB; 600 of its 1,024 pages are zero.
python3 - <<'PYTHON'
import struct

PAGE, BASE = 4096, 0x100000
memory = b"".join(struct.pack("<Q", page + 1) * 512 if page < 100 or page >= 700 else bytes(PAGE) for page in range(1024))
note = struct.pack("<3I8s", 5, 336, 1, b"CORE") + bytes(336)  # NT_PRSTATUS
header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
segments = struct.pack("<IIQQQQQQ", 4, 0, 176, 0, 0, len(note), len(note), 0)
segments += struct.pack("<IIQQQQQQ", 1, 7, PAGE, 0xFFFF888000000000 + BASE, BASE, len(memory), len(memory), 0)
with open("core", "wb") as file:
    file.write((header + segments + note).ljust(PAGE, b"\0") + memory)
PYTHON

run="root/usr/lib64/ld-linux-x86-64.so.2 --library-path root/usr/lib/x86_64-linux-gnu"
$run root/usr/bin/makedumpfile -v | head -1
pack() { $run root/usr/bin/makedumpfile "$@" > pack.log 2>&1 && grep -q Completed pack.log || { cat pack.log >&2; exit 1; }; }
pack -E -d 1 core core-E-d1
pack -c -d 0 core core-c-d0
pack -c -d 1 core core-c-d1
pack -c -d 0 core-E-d1 core-E-d1-c-d0
pack -c -d 1 core-E-d1 core-E-d1-c-d1
PYTHONHOME=root/usr PYTHONPATH=root/usr/lib/python3/dist-packages $run root/usr/bin/python3.13 - <<'PYTHON'
import sys
import kdumpfile

known = {
    "core": "zeros",
    "core-E-d1": "Page not found",
    "core-c-d0": "zeros",
    "core-c-d1": "zeros",
    "core-E-d1-c-d0": "Excluded page",
    "core-E-d1-c-d1": "Excluded page",
}


def page(dump, number):
    try:
        data = dump.read(kdumpfile.KDUMP_MACHPHYSADDR, 0x100000 + number * 4096, 4096)
    except kdumpfile.exceptions.NoDataException as error:
        return str(error)
    return f"{data[0]:#x}, ..." if any(data) else "zeros"


seen = {}
print("libkdumpfile 0.5.4         page 50    page 300 (documented: zeros)")
for name in known:
    dump = kdumpfile.kdumpfile(name)
    seen[name] = page(dump, 300)
    assert page(dump, 50) == "0x33, ..."
    print(f"{name:26} {page(dump, 50):10} {seen[name]}")
sys.exit(0 if seen == known else "the behaviour has changed")
PYTHON
