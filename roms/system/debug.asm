; debug: breakpoints of DR0 to DR3, single step, INT1, general detect, RF, and what holds a trap off. SDM 3B chapter 17.
%include "lib/rom.inc"

RW_X            equ 0
RW_W            equ 1
RW_IO           equ 2
RW_RW           equ 3
LEN1            equ 0
LEN2            equ 1
LEN4            equ 3
DR7_GD          equ 1 << 13
DR6_BD          equ 1 << 13
DR6_BS          equ 1 << 14

; number, address, kind, length: globally enabled, alone
%macro BREAK 4
        mov eax, %2
        mov dr%1, eax
        mov eax, (2 << (%1 * 2)) | (%3) << (16 + %1 * 4) | (%4) << (18 + %1 * 4)
        mov dr7, eax
%endmacro
%macro NOBREAK 0
        xor eax, eax
        mov dr7, eax
        mov eax, 0xffff0ff0
        mov dr6, eax
%endmacro
%macro DR6_IS 1
        mov eax, [trap_dr6]
        and eax, 0xe00f
        WANT eax, %1
%endmacro
%macro TF_ON 0
        push dword EFL_TF | 2
        popfd
%endmacro

; instruction that must hit the data breakpoint: #DB behind it
%macro HITS 2+          ; DR6 bits
        FAULTS 1
        %2
        AT
        nop
        ENDF
        DR6_IS %1
        mov eax, 0xffff0ff0
        mov dr6, eax
%endmacro
%macro MISSES 1+
        FAULTS DONE
        %1
        nop
        ENDF
%endmacro

main:
TEST "instruction breakpoint: a fault, before the instruction"
        BREAK 0, .l, RW_X, LEN1
        xor ecx, ecx
        FAULTS 1
        nop
.l:     inc ecx
        ENDF
        WANT [trap_eip], .l
        WANT ecx, 0
        DR6_IS 1
        ; alone of the faults it pushes RF as 0 (17.3.1.1)
        mov eax, [trap_eflags]
        and eax, EFL_RF
        WANT eax, 0

TEST "each of the four registers"
        BREAK 1, .b, RW_X, LEN1
        FAULTS 1
.b:     nop
        ENDF
        DR6_IS 2
        NOBREAK
        BREAK 2, .c, RW_X, LEN1
        FAULTS 1
.c:     nop
        ENDF
        DR6_IS 4
        NOBREAK
        BREAK 3, .d, RW_X, LEN1
        FAULTS 1
.d:     nop
        ENDF
        DR6_IS 8

TEST "RF lets the instruction run"
        BREAK 0, .l, RW_X, LEN1
        xor ecx, ecx
        FAULTS DONE
        push dword EFL_RF | 2
        push cs
        push dword .l
        iretd
.l:     inc ecx
        ENDF
        WANT ecx, 1
        ; RF is clear again: the second time it breaks
        FAULTS 1
        jmp .l
        ENDF
        WANT [trap_eip], .l

TEST "POPFD does not set RF"
        BREAK 0, .l, RW_X, LEN1
        FAULTS 1
        push dword EFL_RF | 2
        popfd
.l:     nop
        ENDF
        pushfd
        pop eax
        and eax, EFL_RF
        WANT eax, 0

TEST "write breakpoint: a trap, behind the instruction"
        BREAK 0, scratch, RW_W, LEN4
        HITS 1, mov [scratch], ecx
        HITS 1, mov byte [scratch + 3], 1
        HITS 1, mov [scratch - 2], ecx
        HITS 1, inc dword [scratch]
        HITS 1, xchg ecx, [scratch]
        MISSES mov eax, [scratch]
        MISSES mov [scratch + 4], ecx
        MISSES mov [scratch - 4], ecx

TEST "read-write breakpoint and its lengths"
        BREAK 0, scratch + 2, RW_RW, LEN2
        HITS 1, mov al, [scratch + 2]
        HITS 1, mov al, [scratch + 3]
        HITS 1, mov eax, [scratch]
        HITS 1, cmp [scratch + 3], ecx
        MISSES mov al, [scratch + 1]
        MISSES mov al, [scratch + 4]
        MISSES mov ax, [scratch]
        NOBREAK
        BREAK 0, scratch + 1, RW_RW, LEN1
        HITS 1, mov ax, [scratch]
        MISSES mov al, [scratch]
        MISSES mov al, [scratch + 2]

TEST "an address is aligned to its length"
        BREAK 0, scratch + 3, RW_W, LEN4
        HITS 1, mov byte [scratch], 1
        MISSES mov byte [scratch + 4], 1

TEST "several breakpoints at once, and one that is not enabled"
        mov eax, scratch
        mov dr0, eax
        mov dr1, eax
        mov dr2, eax
        mov eax, scratch + 4
        mov dr3, eax
        mov eax, 0x11110088             ; 1 and 3 enabled, writes of one byte
        mov dr7, eax
        FAULTS 1
        mov byte [scratch], 1
        AT
        nop
        ENDF
        mov eax, [trap_dr6]
        and eax, 2 + 8
        WANT eax, 2

TEST "local and global enable bits"
        mov eax, scratch
        mov dr0, eax
        mov eax, 0x00010001
        mov dr7, eax
        HITS 1, mov byte [scratch], 1
        mov eax, 0x00010000
        mov dr7, eax
        MISSES mov byte [scratch], 1

TEST "a data breakpoint and the next instruction's fault: the trap comes first"
        BREAK 0, scratch, RW_W, LEN1
        FAULTS 1
        mov byte [scratch], 1
        AT
        ud2
        ENDF

TEST "REP MOVSB traps behind the iteration"
        BREAK 0, scratch + 0x12, RW_W, LEN1
        mov esi, scratch
        mov edi, scratch + 0x10
        mov ecx, 8
        FAULTS 1
.rep:   rep movsb
        nop
        ENDF
        DR6_IS 1
        WANT [trap_ecx], 5
        WANT [trap_eip], .rep

TEST "writes of PUSH and CALL"
        BREAK 0, scratch + 28, RW_RW, LEN4
        FAULTS 1
        mov esp, scratch + 32
        push ecx
        AT
        nop
        ENDF
        FAULTS 1
        mov esp, scratch + 32
        call .l
.l:
        AT
        nop
        ENDF

TEST "single step"
        xor ecx, ecx
        FAULTS 1
        TF_ON
        inc ecx
        AT
        inc ecx
        ENDF
        WANT ecx, 1
        DR6_IS DR6_BS
        mov eax, [trap_eflags]
        and eax, EFL_TF | EFL_RF
        WANT eax, EFL_TF
        mov eax, [trap_entry_eflags]
        and eax, EFL_TF
        WANT eax, 0

TEST "single step: the instruction that clears TF is still stepped"
        FAULTS 1
        push dword 2
        TF_ON
        popfd
        AT
        nop
        ENDF
        DR6_IS DR6_BS

TEST "single step over IRET that sets TF"
        FAULTS 1
        push dword EFL_TF | 2
        push cs
        push dword .l
        iretd
.l:     nop
        AT
        nop
        ENDF

TEST "single step goes through each iteration of REP"
        mov ecx, 3
        mov edi, scratch
        FAULTS 1
        TF_ON
.rep:   rep stosb
        nop
        ENDF
        WANT [trap_ecx], 2
        WANT [trap_eip], .rep
        mov ecx, 1
        mov edi, scratch
        FAULTS 1
        TF_ON
.last:  rep stosb
.behind: nop
        ENDF
        WANT [trap_ecx], 0
        WANT [trap_eip], .behind

TEST "INT n in single step: TF is pushed, the handler is not stepped"
        FAULTS 0x40
        TF_ON
        int 0x40
        AT
        nop
        ENDF
        mov eax, [trap_eflags]
        and eax, EFL_TF
        WANT eax, EFL_TF
        DR6_IS 0

TEST "MOV SS and POP SS hold the trap off for one instruction"
        mov dx, ss
        FAULTS 1
        TF_ON
        mov ss, dx
        nop
        AT
        nop
        ENDF
        push ss
        push dword EFL_TF | 2
        FAULTS 1
        popfd
        pop ss
        nop
        AT
        nop
        ENDF

TEST "MOV SS with a data breakpoint"
        mov [scratch], ss
        BREAK 0, scratch, RW_RW, LEN2
        FAULTS 1
        mov ss, [scratch]
        nop
        AT
        nop
        ENDF
        DR6_IS 1

TEST "STI does not hold a debug trap off"
        FAULTS 1
        TF_ON
        sti
        AT
        nop
        ENDF
        cli

TEST "a fault in a stepped instruction is taken, TF pushed"
        FAULTS 6
        TF_ON
        AT
        ud2
        ENDF
        mov eax, [trap_eflags]
        and eax, EFL_TF
        WANT eax, EFL_TF

TEST "single step in ring 3"
        FAULTS 1
        RING3 EFL_TF | 2
        nop
        AT
        nop
        ENDF
        WANT [trap_cs], SEL_CS3

TEST "single step of a taken jump and of a far call"
        FAULTS 1
        TF_ON
        jmp .l
        nop
.l:
        AT
        nop
        ENDF
        FAULTS 1
        TF_ON
        call SEL_CS0:.m
        nop
.m:
        AT
        nop
        ENDF

TEST "INT1 is a trap and leaves DR6 alone"
        FAULTS 1
        db 0xf1
        AT
        nop
        ENDF
        DR6_IS 0

TEST "general detect"
        mov eax, DR7_GD
        mov dr7, eax
        FAULTS 1
        AT
        mov dr0, eax
        ENDF
        DR6_IS DR6_BD
        mov eax, [trap_dr7]             ; the processor cleared GD for the handler
        and eax, DR7_GD
        WANT eax, 0

TEST "general detect on a read"
        mov eax, DR7_GD
        mov dr7, eax
        FAULTS 1
        AT
        mov eax, dr0
        ENDF
        DR6_IS DR6_BD

TEST "DR4 and DR5 are DR6 and DR7, or #UD with DE"
        mov eax, 0x12345678
        mov dr3, eax
        mov eax, dr3
        WANT eax, 0x12345678
        mov eax, dr6
        db 0x0f, 0x21, 0xe1             ; mov ecx, dr4
        WANT ecx, eax
        mov eax, dr7
        db 0x0f, 0x21, 0xe9             ; mov ecx, dr5
        WANT ecx, eax
        mov eax, cr4
        or eax, 8
        mov cr4, eax
        FAULTS 6
        AT
        db 0x0f, 0x21, 0xe1
        ENDF
        FAULTS 6
        AT
        db 0x0f, 0x23, 0xe9
        ENDF
        mov eax, cr4
        and eax, ~8
        mov cr4, eax

TEST "fixed bits of DR6 and DR7"
        xor eax, eax
        mov dr6, eax
        mov eax, dr6
        and eax, 0xfffe1ff0             ; bit 16 may be RTM's
        WANT eax, 0xfffe0ff0
        xor eax, eax
        mov dr7, eax
        mov eax, dr7
        WANT eax, 0x400
        mov eax, 0xffff0ff0
        mov dr6, eax

TEST "I/O breakpoint with DE"
        mov eax, cr4
        or eax, 8
        mov cr4, eax
        BREAK 0, 0x80, RW_IO, LEN1
        HITS 1, out 0x80, al
        HITS 1, in al, 0x80
        MISSES out 0x81, al
        mov eax, cr4
        and eax, ~8
        mov cr4, eax

TEST "DR6 keeps BS and BD until software clears them"
        mov eax, 0xffff6ff0
        mov dr6, eax
        BREAK 0, scratch, RW_W, LEN1
        FAULTS 1
        mov byte [scratch], 1
        AT
        nop
        ENDF
        DR6_IS DR6_BS | DR6_BD | 1

TEST "a task switch clears the local enable bits"
        mov eax, 0x00000355
        mov dr7, eax
        mov dword [tss2 + TSS_EIP], .task
        jmp SEL_TSS2:0
.task:  mov eax, dr7
        WANT eax, 0x00000400 | 0x200
        clts

TEST "an instruction breakpoint before the instruction's own fault"
        BREAK 0, .l, RW_X, LEN1
        FAULTS 1
.l:     ud2
        ENDF

FINISH

section .bss
        alignb 16
        resb 16
scratch: resb 64
