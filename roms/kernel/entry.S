# The ways into the kernel and out of it. Every entry leaves a `struct frame` (trap.h) on the stack and calls C with it.
# DS and ES are the same in kernel and user mode.
        .text

# Vectors that push an error code: 8, 10 to 14, 17, 21.
        .macro stub vector
        .align 16
        .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
        .else
        pushl $0
        .endif
        pushl $\vector
        jmp trap_entry
        .endm

        .globl trap_stubs
        .align 16
trap_stubs:
        .altmacro
        .set n, 0
        .rept 128
        stub %n
        .set n, n + 1
        .endr
        .noaltmacro

        .align 16
trap_entry:
        pushal
        cld
        pushl %esp
        call trap
        addl $4, %esp
        .globl return_to_user
return_to_user:
        popal
        addl $8, %esp
        iretl

        .globl syscall_entry
        .align 16
syscall_entry:
        pushl $0
        pushl $0x80
        pushal
        cld
        pushl %esp
        call syscall
        addl $4, %esp
        popal
        addl $8, %esp
        iretl

# SYSENTER saves nothing: the program has put its stack into ECX and where it goes on into EDX.
        .globl sysenter_entry
        .align 16
sysenter_entry:
        movl (%esp), %esp                       # MSR 175h points at the TSS's ESP0
        pushl $0x23                             # USER_DATA
        pushl %ecx
        pushfl
        orl $0x200, (%esp)
        pushl $0x1b                             # USER_CODE
        pushl %edx
        pushl $0
        pushl $0x80
        pushal
        cld
        pushl %esp
        call syscall
        addl $4, %esp
        popal
        addl $8, %esp
        popl %edx
        addl $8, %esp
        popl %ecx
        sti                                     # holds interrupts off until SYSEXIT is done
        sysexit

# void switch_stacks(u32 *save_esp, u32 esp): goes on where the other task left off.
        .globl switch_stacks
        .align 16
switch_stacks:
        movl 4(%esp), %eax
        movl 8(%esp), %edx
        pushl %ebp
        pushl %ebx
        pushl %esi
        pushl %edi
        movl %esp, (%eax)
        movl %edx, %esp
        popl %edi
        popl %esi
        popl %ebx
        popl %ebp
        ret
