# The lab's guest: a 32-bit PVH kernel whose vCPUs work, halt, take APIC timers and send each other IPIs, as a table
# tells. Loaded at 0x100000 and entered there.
#
# Symbols given by who assembles it: vcpus; and profile: 0 idle, 1 storm, 2 ipi, 3 migrate.

	.set TIMER, 0x30
	.set IPIS, 0x40                         # IPIs have the vectors from here to 0xef
	.set CODE, 8
	.set DATA, 16
	.set STACK, 1024
	.set TRAMPOLINE, 0x8000
	.set PATIENCE, 40000000                 # loops after which an IPI that is not answered is lost

	.set LAPIC, 0xfee00000
	.set lapic.id, LAPIC + 0x20
	.set lapic.tpr, LAPIC + 0x80
	.set lapic.eoi, LAPIC + 0xb0
	.set lapic.svr, LAPIC + 0xf0
	.set lapic.icr, LAPIC + 0x300
	.set lapic.icr2, LAPIC + 0x310
	.set lapic.lvtt, LAPIC + 0x320
	.set lapic.tmict, LAPIC + 0x380
	.set lapic.tdcr, LAPIC + 0x3e0

# A vCPU's role: repeatedly work so many loops; then so many with interrupts masked; send `vector`, or one of the seven after it, to vCPU `peer`;
# wait for the answer if `answered`; halt if `halt`. Its timer, if any, comes every so many ticks.
	.macro role timer=0, work=1, masked=0, vector=0, peer=0, answered=0, halt=0
	.long \timer, \work, \masked, \vector, \peer, \answered, \halt, 0
	.endm
	.set role.timer, 0
	.set role.work, 4
	.set role.masked, 8
	.set role.vector, 12
	.set role.peer, 16
	.set role.answered, 20
	.set role.halt, 24
	.set role.size, 32
	.set ROLES, 6

	.code32
	.text
	.globl _start
_start:	cli
	cld
	movl $stacks + STACK, %esp
	lgdt descriptors
	ljmp $CODE, $1f
1:	call flat
	movl $256, %ecx
	movl $gates, %edi
	movl $unexpected, %eax
2:	call gate
	loop 2b
	movl $gates + 8 * TIMER, %edi
	movl $timer, %eax
	call gate
	movl $0xf0 - IPIS, %ecx
	movl $gates + 8 * IPIS, %edi
	movl $ipi, %eax
3:	call gate
	loop 3b
	movl $gates + 8 * 0xff, %edi
	movl $spurious, %eax
	call gate
	movl $trampoline, %esi
	movl $TRAMPOLINE, %edi
	movl $trampoline_end - trampoline, %ecx
	rep movsb
	call lapic
	movl $0x000c4500, lapic.icr             # INIT to all but itself
	call rest
	movl $0x000c4600 | TRAMPOLINE >> 12, lapic.icr
	call rest
	jmp run

rest:	movl $100000, %ecx
1:	pause
	loop 1b
	ret

# An interrupt gate at edi to eax; edi moves on.
gate:	movw %ax, (%edi)
	movw $CODE, 2(%edi)
	movl %eax, %edx
	movw $0x8e00, %dx
	movl %edx, 4(%edi)
	addl $8, %edi
	ret

flat:	movl $DATA, %edx
	movl %edx, %ds
	movl %edx, %es
	movl %edx, %ss
	ret

lapic:	lidt gates_descriptor
	movl $0x1ff, lapic.svr
	movl $0, lapic.tpr
	movl $0xb, lapic.tdcr                   # divide by 1
	ret

# Another vCPU, from the trampoline.
other:	movl $DATA, %edx
	movl %edx, %ds
	movl %edx, %es
	movl %edx, %ss
	movl lapic.id, %eax
	shrl $25, %eax
	incl %eax
	imull $STACK, %eax
	addl $stacks, %eax
	movl %eax, %esp
	call lapic

run:	movl lapic.id, %ebp
	shrl $25, %ebp                          # the APIC ID is twice the vCPU's number
	movl $1, %eax
	lock xaddl %eax, awake
	incl %eax
	cmpl $vcpus, %eax
	jne 1f
	movl $all_up, %esi
	call print
1:	pause                                   # until the lab opens the gate
	cmpb $0, opened
	je 1b
	movl %ebp, %eax
	xorl %edx, %edx
	movl $ROLES, %ecx
	divl %ecx
	imull $role.size, %edx, %ebx
	addl $roles, %ebx                       # ebx: its role
	movl role.timer(%ebx), %eax
	testl %eax, %eax
	jz again
	movl $0x20000 | TIMER, lapic.lvtt       # periodic
	movl %eax, lapic.tmict
again:	sti
	movl role.work(%ebx), %ecx
1:	incl worked(, %ebp, 4)
	loop 1b
	movl role.masked(%ebx), %ecx
	jecxz 3f
	cli
2:	incl worked(, %ebp, 4)
	loop 2b
	sti
3:	movl role.vector(%ebx), %eax
	testl %eax, %eax
	jz 6f
	.if profile != 2
	# Another vector each time: one that was lost keeps posts of the same from waking anybody, and not those of others.
	incl sent(, %ebp, 4)
	movl sent(, %ebp, 4), %ecx
	andl $7, %ecx
	addl %ecx, %eax
	.endif
	movl role.peer(%ebx), %edx
	movl answers(, %edx, 4), %edi
	movl %edx, %ecx
	shll $25, %ecx
	cli
	movl %ecx, lapic.icr2
	movl %eax, lapic.icr
	sti
	cmpl $0, role.answered(%ebx)
	je 6f
	movl $PATIENCE, %ecx
4:	pause
	cmpl answers(, %edx, 4), %edi
	jne 6f
	loop 4b
	movl $lost, %esi
	call print
5:	incl worked(, %ebp, 4)
	jmp 5b
6:	cmpl $0, role.halt(%ebx)
	je again
	hlt
	jmp again

timer:	lock incl ticks
	movl $0, lapic.eoi
	iret

# ebp tells the vCPU, wherever it was interrupted.
ipi:	lock incl answers(, %ebp, 4)
	movl $0, lapic.eoi
spurious:
	iret

unexpected:
	movl $surprised, %esi
	call print
	cli
1:	hlt
	jmp 1b

print:	movb (%esi), %al
	testb %al, %al
	jz 1f
	outb %al, $0xe9                         # Xen prints what comes here on its console
	incl %esi
	jmp print
1:	ret

	.code16
trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl TRAMPOLINE + (trampoline_descriptors - trampoline)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE, $other
	.balign 8
trampoline_descriptors:
	.word 23
	.long table
trampoline_end:

	.data
	.balign 8
table:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
descriptors:
	.word 23
	.long table
gates_descriptor:
	.word 256 * 8 - 1
	.long gates
	.ascii "vtdpi guest: gate:"             # who starts the lab finds it by this
opened:	.byte 0
all_up:	.asciz "vtdpi guest: all vCPUs run\n"
lost:	.asciz "vtdpi guest: an IPI is lost\n"
surprised:
	.asciz "vtdpi guest: an unexpected interrupt\n"

	.balign 8
roles:
	.if profile == 0                        # idle: halted but for a timer now and then; two for ever
	.rept 2
	role timer=5000000, halt=1
	role halt=1
	role timer=2000000, halt=1
	.endr
	.elseif profile == 1                    # storm: IPIs and timers, on busy and halting vCPUs
	# A tick that a vCPU had no time for comes later, after the others: with shorter periods they take all of its time.
	role timer=4000000, work=30000, vector=0x41, peer=1
	role halt=1
	role timer=8000000, work=15000, vector=0x72, peer=5, halt=1
	role timer=2000000, work=5000, masked=40000, vector=0xe4, peer=1
	role work=2000, vector=0x52, peer=2
	role halt=1
	.elseif profile == 2                    # ipi: vCPU 2 is woken by an IPI and by nothing else, and answers it
	role work=30000, vector=0x52, peer=2, answered=1
	role halt=1
	role work=150000, halt=1
	role
	role
	role halt=1
	.else                                   # migrate: all halt and work in turn, each wakes the next
	role timer=1000000, work=10000, vector=0x41, peer=1, halt=1
	role work=10000, vector=0x52, peer=2, halt=1
	role timer=2000000, work=20000, vector=0x72, peer=5, halt=1
	role timer=500000, work=10000, vector=0x63, peer=4
	role work=10000, vector=0x41, peer=1, halt=1
	role timer=3000000, work=5000, halt=1
	.endif

	.balign 64
worked:	.skip 4 * vcpus
	.balign 64
answers:
	.skip 4 * vcpus
sent:	.skip 4 * vcpus
ticks:	.long 0
awake:	.long 0
	.balign 4096
gates:	.skip 4096
stacks:	.skip STACK * vcpus
