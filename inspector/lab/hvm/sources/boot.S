# An option ROM that starts Xen. The firmware calls it when it has set up its tables; Xen, its module and the multiboot
# information lie in RAM already. Source: Multiboot Specification 0.6.96, 3.2; PCI Firmware Specification 3.0, 5.2.
#
# Symbols given by who assembles it: information, the address of the multiboot information; entry, Xen's entry point.

	.set MULTIBOOT_BOOTLOADER_MAGIC, 0x2badb002
	.set CODE, 8
	.set DATA, 16

	.text
	.code16
	.globl _start
_start:	.byte 0x55, 0xaa, 1                     # signature, 1 unit of 512 bytes
	cli
	inb $0x92, %al                          # A20 on
	orb $2, %al
	outb %al, $0x92
	lgdtl %cs:descriptors - _start
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE, $flat

	.code32
flat:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movl $information, %ebx
	movl $MULTIBOOT_BOOTLOADER_MAGIC, %eax
	movl $entry, %edx
	jmp *%edx

	.balign 8
table:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
descriptors:
	.word descriptors - table - 1
	.long table
	.org 511
	.byte 0                                 # the checksum
