# The lab's dom0: a 64-bit PV kernel that creates one HVM (PVH) domain from the guest inside it, sends it MSIs, moves its
# vCPUs about, presses Xen's debug keys for `lab keys`, and does nothing else. Xen's public interface of 4.19 and 4.20; names and offsets are those of its
# headers (public/domctl.h, memory.h, sched.h, elfnote.h, hvm/dm_op.h, arch-x86/hvm/save.h).
#
# Symbols given by who assembles it: vcpus; post, the microseconds between two MSIs (0: none are sent); move, after how
# many sleeps a vCPU is moved to the next CPU (0: never); cpus.

	.set DOMID, 1
	.set BASE, 0xffffffff80000000           # where the kernel's physical memory is mapped
	.set GUEST, 0x100000                    # where the guest is loaded and begins
	.set GUEST_EXTENTS, 2                   # of 2 MiB each
	.set PTE, 0x67                          # present, writable, user, accessed, dirty
	.set MSI_VECTOR, 0x63
	.set PAUSE, 10000                       # microseconds of a sleep, if no MSIs are sent

	.set HYPERVISOR_memory_op, 12
	.set HYPERVISOR_update_va_mapping, 14
	.set HYPERVISOR_console_io, 18
	.set HYPERVISOR_update_va_mapping_otherdomain, 22
	.set HYPERVISOR_sched_op, 29
	.set HYPERVISOR_sysctl, 35
	.set HYPERVISOR_domctl, 36
	.set HYPERVISOR_dm_op, 41

	.set SYSCTL_INTERFACE_VERSION, 0x15
	.set SYSCTL_debug_keys, 7
	.set DOMCTL_INTERFACE_VERSION, 0x17
	.set DOMCTL_createdomain, 1
	.set DOMCTL_unpausedomain, 4
	.set DOMCTL_setvcpuaffinity, 9
	.set DOMCTL_max_mem, 11
	.set DOMCTL_max_vcpus, 15
	.set DOMCTL_sethvmcontext, 34
	.set DOMCTL_set_paging_mempool_size, 86
	.set DOMCTL_CDF_hvm_hap, 3
	.set X86_EMU_LAPIC, 1
	.set VCPUAFFINITY_HARD, 1
	.set MEM_populate_physmap, 6
	.set SCHEDOP_poll, 3
	.set DMOP_inject_msi, 14
	.set UVMF_INVLPG, 2
	.set HVM_FILE_MAGIC, 0x54381286
	.set SAVE_HEADER, 1
	.set SAVE_CPU, 2

	.set start_info.shared_info, 40
	.set time.version, 32                   # vcpu_info[0].time in struct shared_info
	.set time.tsc_timestamp, 40
	.set time.system_time, 48
	.set time.tsc_to_system_mul, 56
	.set time.tsc_shift, 60

	.macro note type, value:vararg
	.pushsection .note.Xen, "a", @note
	.balign 4
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	\value
2:	.balign 4
	.popsection
	.endm
	note 1, .quad _start                    # ENTRY
	note 2, .quad hypercalls                # HYPERCALL_PAGE
	note 3, .quad BASE                      # VIRT_BASE
	note 4, .quad 0                         # PADDR_OFFSET
	note 5, .asciz "xen-3.0"                # XEN_VERSION
	note 6, .asciz "vtdpi"                  # GUEST_OS
	note 8, .asciz "generic"                # LOADER
	note 9, .asciz "yes"                    # PAE_MODE

# A hypercall with its arguments in place; if it fails, that is said and all stops.
	.macro hypercall number, what
	lea 9f(%rip), %r12
	mov $\number, %eax
	syscall
	test %rax, %rax
	js failed
	.pushsection .rodata
9:	.asciz "\what"
	.popsection
	.endm

	.macro domctl structure
	lea \structure(%rip), %rdi
	hypercall HYPERVISOR_domctl, "\structure"
	.endm

	.macro say text
	lea 9f(%rip), %rsi
	call print
	.pushsection .rodata
9:	.asciz "\text"
	.popsection
	.endm

	.text
	.globl _start
_start:	cld
	lea stack_end(%rip), %rsp
	mov start_info.shared_info(%rsi), %rsi
	or $PTE, %rsi
	lea shared(%rip), %rdi
	mov $UVMF_INVLPG, %edx
	hypercall HYPERVISOR_update_va_mapping, "update_va_mapping"

	domctl createdomain
	domctl set_paging_mempool_size
	domctl max_mem
	domctl max_vcpus
	mov $MEM_populate_physmap, %edi
	lea reservation(%rip), %rsi
	hypercall HYPERVISOR_memory_op, "populate_physmap"

# Load the guest through a window of one page.
	lea guest(%rip), %rbx
	mov $GUEST | PTE, %ebp
1:	lea window(%rip), %rdi
	mov %rbp, %rsi
	mov $UVMF_INVLPG, %edx
	mov $DOMID, %r10d
	hypercall HYPERVISOR_update_va_mapping_otherdomain, "update_va_mapping_otherdomain"
	lea window(%rip), %rdi
	mov %rbx, %rsi
	mov $4096 / 8, %ecx
	rep movsq
	add $4096, %rbx
	add $4096, %rbp
	lea guest_end(%rip), %rax
	cmp %rax, %rbx
	jb 1b

	domctl sethvmcontext
	domctl unpausedomain
	say "vtdpi dom0: the guest runs\n"

	call now
	mov %rax, %r13                          # when to wake up
	xor %r14d, %r14d                        # how often it has
	xor %ebx, %ebx                          # the vCPU whose turn it is
	xor %ebp, %ebp                          # the CPU that one is moved to
again:
	.if post
	add $post * 1000, %r13
	.else
	add $PAUSE * 1000, %r13
	.endif
	mov %r13, timeout(%rip)
	mov $SCHEDOP_poll, %edi
	lea poll(%rip), %rsi
	hypercall HYPERVISOR_sched_op, "poll"
	cmpb $0, key(%rip)
	je 1f
	lea debug_keys(%rip), %rdi
	hypercall HYPERVISOR_sysctl, "debug_keys"
	movb $0, key(%rip)
1:	inc %r14
	inc %ebx
	cmp $vcpus, %ebx
	jb 1f
	xor %ebx, %ebx
1:
	.if move
	mov %r14, %rax
	xor %edx, %edx
	mov $move, %ecx
	div %rcx
	test %rdx, %rdx
	jnz 2f
	inc %ebp
	cmp $cpus, %ebp
	jb 1f
	xor %ebp, %ebp
1:	mov %ebp, %ecx
	mov $1, %eax
	shl %cl, %rax
	mov %rax, mask(%rip)
	mov %ebx, moved(%rip)
	domctl setvcpuaffinity
2:
	.endif
	.if post
	mov %ebx, %eax
	shl $13, %eax                           # its APIC ID is twice its number
	or $0xfee00000, %eax
	mov %rax, address(%rip)
	mov $DOMID, %edi
	mov $1, %esi
	lea buffer(%rip), %rdx
	hypercall HYPERVISOR_dm_op, "inject_msi"
	.endif
	jmp again

failed:	say "vtdpi dom0: failed: "
	mov %r12, %rsi
	call print
	say "\n"
1:	movq $-1, timeout(%rip)
	mov $SCHEDOP_poll, %edi
	lea poll(%rip), %rsi
	mov $HYPERVISOR_sched_op, %eax
	syscall
	jmp 1b

# Print the text at rsi on Xen's console.
print:	mov %rsi, %rdx
	xor %eax, %eax
1:	cmpb $0, (%rsi, %rax)
	je 2f
	inc %rax
	jmp 1b
2:	xor %edi, %edi                          # CONSOLEIO_write
	mov %rax, %rsi
	mov $HYPERVISOR_console_io, %eax
	syscall
	ret

# Xen's time in nanoseconds, as struct vcpu_time_info tells it, in rax.
now:	lea shared(%rip), %rsi
1:	mov time.version(%rsi), %edi
	test $1, %edi
	jnz 1b
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	sub time.tsc_timestamp(%rsi), %rax
	movsbl time.tsc_shift(%rsi), %ecx
	test %ecx, %ecx
	jns 2f
	neg %ecx
	shr %cl, %rax
	jmp 3f
2:	shl %cl, %rax
3:	mov time.tsc_to_system_mul(%rsi), %edx
	mul %rdx
	shrd $32, %rdx, %rax
	add time.system_time(%rsi), %rax
	cmp time.version(%rsi), %edi
	jne 1b
	ret

	.balign 4096
hypercalls:
	.skip 4096

	.data
	.macro structure name, command
	.balign 8
\name:	.long DOMCTL_\command, DOMCTL_INTERFACE_VERSION
	.quad DOMID
	.endm
	.macro end name
	.org \name + 144
	.endm

	structure createdomain, createdomain
	.long 0, 0x69647476, 0, 0, 0            # ssidref, handle
	.long DOMCTL_CDF_hvm_hap, 0, vcpus, 1023, 4, 0, 1, 0, 0, 0, X86_EMU_LAPIC, 0
	end createdomain
	structure set_paging_mempool_size, set_paging_mempool_size
	.quad 2 << 20
	end set_paging_mempool_size
	structure max_mem, max_mem
	.quad (2 * GUEST_EXTENTS + 4) << 10
	end max_mem
	structure max_vcpus, max_vcpus
	.long vcpus
	end max_vcpus
	structure sethvmcontext, sethvmcontext
	.quad context_end - context, context
	end sethvmcontext
	structure unpausedomain, unpausedomain
	end unpausedomain
	structure setvcpuaffinity, setvcpuaffinity
moved:	.long 0, VCPUAFFINITY_HARD
	.quad mask, 64, 0, 0
	end setvcpuaffinity
mask:	.quad 0

	.balign 8
debug_keys:
	.long SYSCTL_debug_keys, SYSCTL_INTERFACE_VERSION
	.quad key, 1
	.org debug_keys + 136

# Whoever watches from outside puts a debug key of Xen's here; it is 0 again when Xen was told.
	.ascii "vtdpi dom0: key:"
key:	.byte 0

	.balign 8
reservation:
	.quad extents, GUEST_EXTENTS
	.long 9, 0
	.quad DOMID
extents:
	.set extent, 0
	.rept GUEST_EXTENTS
	.quad extent
	.set extent, extent + 512
	.endr

poll:	.quad 0, 0
timeout:
	.quad 0

	.balign 8
message:
	.quad DMOP_inject_msi, MSI_VECTOR
address:
	.quad 0, 0
buffer:	.quad message, 32

# The first vCPU in flat 32-bit mode at GUEST. struct hvm_hw_cpu, 1032 bytes, starts at `cpu`.
	.balign 8
context:
	.word SAVE_HEADER, 0
	.long 24
	.long HVM_FILE_MAGIC, 1, 0, 0, 0, 0
	.word SAVE_CPU, 0
	.long 1032
cpu:	.org cpu + 640
	.quad GUEST, 2                          # rip, rflags
	.quad 0x11                              # cr0: PE, ET
	.org cpu + 720
	.quad 0xffff0ff0, 0x400                 # dr6, dr7
	.org cpu + 768
	.rept 6
	.long 0xffffffff                        # limits of cs, ds, es, fs, gs, ss
	.endr
	.long 0x67                              # of tr
	.org cpu + 888
	.long 0xc9b, 0xc93, 0xc93, 0xc93, 0xc93, 0xc93, 0x8b
	.org cpu + 1032
	.quad 0                                 # end marker
context_end:

	.balign 4096
guest:	.incbin "guest"
	.balign 4096
guest_end:

	.bss
	.balign 4096
window:	.skip 4096
shared:	.skip 4096
	.skip 8192
stack_end:
