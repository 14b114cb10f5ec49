# Where the loader enters (multiboot 0.6.96): protected mode, flat segments, no paging. Goes on in main().
        .set MAGIC, 0x1badb002
        .set FLAGS, 0x00000003                  # modules on page borders, memory information

        .section .multiboot, "a"
        .align 4
        .long MAGIC
        .long FLAGS
        .long -(MAGIC + FLAGS)

        .text
        .globl start
start:  cli
        cld
        movl $boot_stack_end, %esp
        pushl $0
        popfl
        xorl %ebp, %ebp
        movl %eax, %esi                         # the loader's magic; EBX: its information
        movl $bss_start, %edi
        movl $bss_end, %ecx
        subl %edi, %ecx
        xorl %eax, %eax
        rep stosb
        pushl %ebx
        pushl %esi
        call main
1:      hlt
        jmp 1b

        .section .stack, "aw", @nobits
        .align 16
boot_stack:
        .skip 8192
        .globl boot_stack_end
boot_stack_end:

# The programs of user mode, linked by themselves: see build.sh.
        .section .rodata
        .globl user_image, user_image_end
        .align 4
user_image:
        .incbin "user.bin"
user_image_end:
