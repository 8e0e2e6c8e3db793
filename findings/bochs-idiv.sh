#!/bin/bash
# Debian's Bochs 3.1 divides signed 64-bit numbers wrongly: IDIV of 1000 by 7 is not 142. DIV, and the 32-bit IDIV, are right.
#
# Documented:  Intel SDM, volume 2, IDIV: REX.W + F7 /7 divides RDX:RAX by r/m64; the quotient, truncated towards zero, goes to
#              RAX. For positive numbers that is what DIV gives.
# Seen:        the quotient of the 64-bit IDIV is another number for all operands tried; no exception, no message. Bochs' issue 668
#              has it of a build by gcc 15 ("long_idiv writes uninitialized value as result"), closed as no bug of Bochs.
# For a user:  a Linux kernel in this Bochs stops early (its clock code divides so), and Xen's credit2 scheduler computes wrong
#              time slices: sched=credit avoids that. Whatever a guest computes with int64_t is not to be trusted there.
# vtdpi:       its HVM lab runs Xen with sched=credit and a dom0 and guests of its own that use no 64-bit IDIV.
#
# A boot sector goes into long mode, divides, prints the quotients to Bochs' port 0xe9 and ends Bochs.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# Debian's packages and the libraries that they need, unpacked into ./root; nothing of the machine's own is touched.
mkdir -p lists/partial cache/archives/partial debs root
: > status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} sid main" > sources.list
apt="-qq -oDir::Etc::sourcelist=$dir/sources.list -oDir::Etc::sourceparts=/dev/null -oDir::State::Lists=$dir/lists -oDir::Cache=$dir/cache
     -oDir::State::status=$dir/status -oDebug::NoLocking=1 -oAPT::Sandbox::User=$(id -un) -oAPT::Architecture=amd64"
apt-get $apt update >&2
apt-get $apt -s --no-install-recommends install bochs=3.1+dfsg-1 bochs-sdl=3.1+dfsg-1 bochsbios=3.1+dfsg-1 vgabios \
  binutils-x86-64-linux-gnu > simulated
sed -En 's/^Inst (\S+) \((\S+) .*/\1=\2/p' simulated | grep -E '^(lib|zlib1g|bochs|vgabios|binutils)' |
  grep -Ev '^lib(llvm|z3-|gl1-mesa|glx-mesa|gallium|systemd-shared)' > wanted  # none of these is loaded with no display
(cd debs && xargs apt-get $apt download < ../wanted)
for deb in debs/*.deb; do dpkg -x "$deb" root; done

lib=root/usr/lib/x86_64-linux-gnu
run="$lib/ld-linux-x86-64.so.2 --library-path $lib:$lib/pulseaudio"
cat > boot.S <<'ASSEMBLY'
	.code16
	.globl _start
_start:	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x1000, %di                       # three page tables: the first 2 MiB, mapped to themselves
	movw $0x3000 / 2, %cx
	cld
	rep stosw
	movw $0x2003, 0x1000
	movw $0x3003, 0x2000
	movw $0x0083, 0x3000
	movl $0x1000, %eax
	movl %eax, %cr3
	movl $0x20, %eax                        # PAE
	movl %eax, %cr4
	movl $0xc0000080, %ecx                  # EFER.LME
	rdmsr
	orl $0x100, %eax
	wrmsr
	lgdtl descriptors
	movl %cr0, %eax
	orl $0x80000001, %eax                   # paging and protection
	movl %eax, %cr0
	ljmpl $8, $long
	.code64
long:	movl $16, %eax
	movl %eax, %ss
	movl $0x7c00, %esp
	movl $cases, %ebx
1:	movq (%rbx), %rax
	cqto
	idivq 8(%rbx)
	call print
	movq (%rbx), %rax
	xorl %edx, %edx
	divq 8(%rbx)
	call print
	movl (%rbx), %eax
	cltd
	idivl 8(%rbx)
	call print
	movb $'\n', %al
	outb %al, $0xe9
	addl $16, %ebx
	cmpl $end, %ebx
	jb 1b
	movl $bye, %esi                         # Bochs ends when it gets this at port 0x8900
	movl $8, %ecx
	movw $0x8900, %dx
	rep outsb
	hlt
print:	movq %rax, %rsi
	movl $16, %ecx
2:	rolq $4, %rsi
	movl %esi, %eax
	andl $15, %eax
	movb digits(%rax), %al
	outb %al, $0xe9
	loop 2b
	movb $' ', %al
	outb %al, $0xe9
	ret
digits:	.ascii "0123456789abcdef"
bye:	.ascii "Shutdown"
	.balign 8
cases:	.quad 1000, 7, 7, 7, 1 << 30, 3
end:
table:	.quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
descriptors:
	.word descriptors - table - 1
	.long table
	.org 510
	.word 0xaa55
ASSEMBLY
$run root/usr/bin/x86_64-linux-gnu-as --64 -o boot.o boot.S
$run root/usr/bin/x86_64-linux-gnu-ld -m elf_x86_64 -Ttext=0x7c00 --oformat=binary -o boot.img boot.o
truncate -s 1474560 boot.img
cat > bochsrc <<'END'
config_interface: textconfig
display_library: sdl2
cpu: count=1, ips=5000000, model=corei7_skylake_x
memory: guest=32, host=32
romimage: file=root/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=root/usr/share/vgabios/vgabios.bin
floppya: 1_44=boot.img, status=inserted
boot: floppy
port_e9_hack: enabled=1
clock: sync=none, time0=1700000000
log: bochs.log
END
# Told to shut down, it ends with status 1.
SDL_VIDEODRIVER=dummy SDL_VIDEO_DRIVER=dummy SDL_AUDIODRIVER=dummy SDL_AUDIO_DRIVER=dummy LTDL_LIBRARY_PATH=$lib/bochs/plugins \
  BXSHARE=root/usr/share/bochs timeout 120 $run root/usr/bin/bochs-bin -q -f bochsrc < /dev/null > out 2> err || true
grep -q "shutdown requested" err || { tail -3 out err bochs.log; echo "the boot sector did not run to its end"; exit 1; } >&2

sed -n 's/^bochs=/Debian bochs /p' wanted
python3 - <<'PYTHON'
import sys

operands = [(1000, 7), (7, 7), (1 << 30, 3)]
words = [line.split() for line in open("out")]
found = [[int(word, 16) for word in line] for line in words if len(line) == 3 and all(len(word) == 16 for word in line)]
assert len(found) == len(operands), found
same = True
for (a, b), (idiv, div, idiv32) in zip(operands, found):
    right = a // b
    same &= idiv != right and div == right and idiv32 == right
    print(f"{a} / {b}: expected {right}; 64-bit IDIV {idiv}, 64-bit DIV {div}, 32-bit IDIV {idiv32}")
sys.exit(0 if same else "the behaviour has changed")
PYTHON
