; triple: a fault while #DF is delivered ends the machine (shutdown). SDM 3A 6.15, interrupt 8.
%include "lib/rom.inc"

main:
TEST "before"
        WANT 0, 0

        call end_check
        cli
        lidt [no_idt]
        ud2                             ; no gate: #GP, #DF, and no gate for that either
        call fail_name                  ; still here
        jmp finish

check_1: jmp finish                     ; where an unexpected exception goes on

section .data
no_idt: dw 0
        dd 0
