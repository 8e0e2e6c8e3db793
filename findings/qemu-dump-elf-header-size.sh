#!/bin/bash
# The ELF core of QEMU's dump-guest-memory says that its ELF header has 8 bytes.
#
# Documented:  ELF-64 Object File Format, "File header": e_ehsize is the size, in bytes, of the ELF header: 64.
# Seen:        8, for a guest with 64-bit CPUs, paged or not. The header has 64 bytes all the same, and e_shoff, where the
#              section headers begin, is 64: right behind it.
# For a user:  a reader that steps over the header by e_ehsize, or that checks it, takes a sound dump for a damaged one.
#              binutils and gdb do not look; elfutils' eu-elflint calls it an error.
# vtdpi:       does not look at it either: what it reads of the header is e_phoff, e_phnum and what these lead to.
#
# No guest runs: the machine is stopped before its first instruction.
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
apt-get $apt -y --download-only --no-install-recommends install qemu-system-x86=1:10.0.13+ds-0+deb13u1 elfutils > apt.log
for deb in cache/archives/*.deb; do dpkg -x "$deb" root; done

loader="root/usr/lib64/ld-linux-x86-64.so.2 --library-path root/usr/lib/x86_64-linux-gnu"
qemu="$loader root/usr/bin/qemu-system-x86_64 -L root/usr/share/qemu -L root/usr/share/seabios -nodefaults -display none -m 16"
$qemu --version | head -1
printf '%s\n' '{"execute": "qmp_capabilities"}' \
  "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"file:$dir/memory.core\"}}" \
  '{"execute": "quit"}' | $qemu -machine q35 -S -qmp stdio > qmp.log

number() { od -An -v -tu"$2" -j"$1" -N"$2" memory.core | tr -d ' '; }
said=$(number 52 2) sections=$(number 40 8)
echo "e_ehsize                      $said (documented: 64)"
echo "e_shoff                       $sections"
echo "eu-elflint                    $($loader root/usr/bin/eu-elflint --gnu-ld memory.core 2>&1 | grep -i 'ELF header size' || true)"
[ "$said" = 8 ] && [ "$sections" = 64 ] || { echo "the behaviour has changed"; exit 1; }
