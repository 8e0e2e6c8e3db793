#!/bin/bash
# makedumpfile looks for the program headers right behind the ELF header, and so refuses every ELF core of QEMU.
#
# Documented:  ELF-64 Object File Format, "File header": e_phoff is where the program headers begin. makedumpfile(8) takes a
#              VMCORE in ELF format.
# Seen:        QEMU 7.2 and 10.0 write section headers behind the ELF header, and e_phoff is 192. makedumpfile 1.7.2 and 1.7.6
#              take the section headers for program headers, find no memory among them, and stop: "Can't get the number of
#              PT_LOAD". The same file with its program headers moved to 64 is taken.
# For a user:  such a core is whole, and only cannot be made smaller; format "kdump-zlib" of dump-guest-memory is small at once.
# vtdpi:       goes by e_phoff.
#
# No guest runs: the machine is stopped before its first instruction. The pair run here is QEMU 10.0 with makedumpfile 1.7.6.
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
apt-get $apt -y --download-only --no-install-recommends install qemu-system-x86=1:10.0.13+ds-0+deb13u1 makedumpfile=1:1.7.6-1 > apt.log
for deb in cache/archives/*.deb; do dpkg -x "$deb" root; done

loader="root/usr/lib64/ld-linux-x86-64.so.2 --library-path root/usr/lib/x86_64-linux-gnu"
qemu="$loader root/usr/bin/qemu-system-x86_64 -L root/usr/share/qemu -L root/usr/share/seabios -nodefaults -display none -m 16"
makedumpfile="$loader root/usr/bin/makedumpfile"
$qemu --version | head -1
$makedumpfile -v | head -1
printf '%s\n' '{"execute": "qmp_capabilities"}' \
  "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"file:$dir/memory.core\"}}" \
  '{"execute": "quit"}' | $qemu -machine q35 -S -qmp stdio > qmp.log

number() { od -An -v -tu"$2" -j"$1" -N"$2" memory.core | tr -d ' '; }
place=$(number 32 8) count=$(number 56 2)
answer() { $makedumpfile -d 1 "$1" "$1.smaller" 2>&1 | tr '\r' '\n' | grep -E '^get_elf_info|Completed' || true; }

# The same file with its program headers at 64, and without section headers.
cp memory.core moved.core
dd if=memory.core of=moved.core bs=1 skip="$place" seek=64 count=$((56 * count)) conv=notrunc status=none
printf '\100\0\0\0\0\0\0\0' | dd of=moved.core bs=1 seek=32 conv=notrunc status=none
head -c 8 /dev/zero | dd of=moved.core bs=1 seek=40 conv=notrunc status=none
head -c 6 /dev/zero | dd of=moved.core bs=1 seek=58 conv=notrunc status=none

as_written=$(answer memory.core) moved=$(answer moved.core)
echo "program headers               $count, at $place"
echo "makedumpfile                  $as_written"
echo "with them at 64               $moved"
[ "$place" = 192 ] && [[ $as_written == *"number of PT_LOAD"* ]] && [[ $moved == *Completed* ]] ||
  { echo "the behaviour has changed"; exit 1; }
