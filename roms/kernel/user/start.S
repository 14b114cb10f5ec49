# Where user mode begins: the shell. The stack is the kernel's gift.
        .section .entry, "ax"
        .globl _start
_start: call shell
1:      jmp 1b
