#!/bin/bash
# pyelftools names the ELF notes of Xen as if they were GNU's: XEN_ELFNOTE_VIRT_BASE becomes 'NT_GNU_BUILD_ID'.
#
# Documented:  gABI, Note Section: the name identifies the owner, "each program interprets descriptors in its own way" and
#              types are the owner's. Xen's are in xen/include/public/elfnote.h: 1 ENTRY, 3 VIRT_BASE, 5 XEN_VERSION.
# Seen:        n_type is looked up in GNU's names whatever n_name is.
# For a user:  code that takes the note whose type is NT_GNU_BUILD_ID gets the base address of a Xen guest kernel, not its
#              build-id, and no error. n_name must be compared too.
# vtdpi:       looks for a build-id by owner ("GNU") and type together.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pyelftools==0.32
"$dir/venv/bin/python" - <<'PYTHON'
import io, struct, sys
from importlib.metadata import version
from elftools.elf.elffile import ELFFile

names = {1: "XEN_ELFNOTE_ENTRY", 3: "XEN_ELFNOTE_VIRT_BASE", 5: "XEN_ELFNOTE_XEN_VERSION"}
known = {1: "NT_GNU_ABI_TAG", 3: "NT_GNU_BUILD_ID", 5: "NT_GNU_PROPERTY_TYPE_0"}
notes = b"".join(struct.pack("<3I4s8s", 4, 8, kind, b"Xen", b"xen-3.0") for kind in names)
ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)  # an executable, one PT_NOTE
segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4)

elf = ELFFile(io.BytesIO(header + segment + notes))
seen = [note["n_type"] for note in elf.get_segment(0).iter_notes()]
print("pyelftools", version("pyelftools"))
for kind, name in zip(names, seen):
    print(f"owner Xen, type {kind}: expected {kind} ({names[kind]}), seen {name}")
sys.exit(0 if seen == list(known.values()) else "the behaviour has changed")
PYTHON
