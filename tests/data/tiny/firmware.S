# Firmware of a machine that holds nothing but what is written here. It enters 64-bit mode, fills some pages, halts.
        .globl  _start
        .code16
_start: cli
        lgdtl   %cs:(gdt_pointer - _start)
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $protected

        .code32
protected:
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $0x2003, 0x1000                 # PML4: one entry
        movl    $0x3003, 0x2000                 # PDPT: a page directory, and the last GiB below 4 GiB
        movl    $0xc0000083, 0x2018
        movl    $0x83, 0x3000                   # page directory: 4 MiB as they are, the upper 2 MiB at 10 MiB once more
        movl    $0x200083, 0x3008
        movl    $0x200083, 0x3028
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x20, %eax                     # PAE
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               # EFER.LME
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        ljmpl   $24, $long

        .code64
long:   movl    $0x200000, %edi                 # page 0x200: 512 numbers that no packer can shrink
        movl    $512, %ecx
        movabsq $6364136223846793005, %rbx
        movabsq $1442695040888963407, %rdx
        xorl    %eax, %eax
1:      imulq   %rbx, %rax
        addq    %rdx, %rax
        stosq
        loop    1b
        movl    $0x300000, %edi                 # pages 0x300..0x303: each 8 bytes hold their own address
        movl    $2048, %ecx
2:      movq    %rdi, %rax
        stosq
        loop    2b
        movl    $0xc0000101, %ecx               # GS.base
        movl    $0x11112222, %eax
        movl    $0xffff8300, %edx
        wrmsr
        movl    $0xc0000102, %ecx               # KERNEL_GS_BASE
        movl    $0x33334444, %eax
        wrmsr
        movabsq $0x0123456789abcdef, %r15
        movl    $0x6ff8, %esp
        cli
3:      hlt
        jmp     3b

        .balign 8
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .org    0xfff0
        .code16
        jmp     _start
        .org    0x10000
