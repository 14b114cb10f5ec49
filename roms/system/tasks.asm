; tasks: switches by JMP, CALL, task gate, interrupt and IRET; busy bits, NT, back link, 16-bit TSS, LDT, T bit, faults.
; SDM 3A chapter 7.
%include "lib/rom.inc"

%macro NT_IS 1
        pushfd
        pop eax
        and eax, EFL_NT
        WANT eax, %1
%endmacro

%macro TYPE_IS 2        ; selector, access byte
        movzx eax, byte [gdt + %1 + 5]
        WANT eax, %2
%endmacro

%macro LINK_IS 2
        movzx eax, word [%1]
        WANT eax, %2
%endmacro

main:
TEST "JMP to a TSS: state out and in, busy bits, no link"
        mov dword [tss2 + TSS_EIP], .task
        mov dword [tss2 + TSS_EAX], 0xa1
        mov dword [tss2 + TSS_ECX], 0xa2
        mov dword [tss2 + TSS_EDX], 0xa3
        mov dword [tss2 + TSS_EBX], 0xa4
        mov dword [tss2 + TSS_EBP], 0xa5
        mov dword [tss2 + TSS_ESI], 0xa6
        mov dword [tss2 + TSS_EDI], 0xa7
        mov dword [tss2 + TSS_FS], SEL_DS3
        mov dword [tss2 + TSS_EFLAGS], 0x8d7 & ~0x100
        mov word [tss2 + TSS_LINK], 0x7777
        mov eax, 0xb1
        mov ecx, 0xb2
        mov edx, 0xb3
        mov ebx, 0xb4
        mov ebp, 0xb5
        mov esi, 0xb6
        mov edi, 0xb7
        jmp SEL_TSS2:0xdeadbeef
.back:
.task:  pushfd
        pushad
        mov ebp, esp
        WANT [ebp + 28], 0xa1
        WANT [ebp + 24], 0xa2
        WANT [ebp + 20], 0xa3
        WANT [ebp + 16], 0xa4
        WANT [ebp + 8], 0xa5
        WANT [ebp + 4], 0xa6
        WANT [ebp], 0xa7
        WANT [ebp + 12], task_stack_top - 4
        WANT [ebp + 32], 0x8d7 & ~0x100
        mov eax, fs
        WANT eax, SEL_DS3
        str eax
        WANT eax, SEL_TSS2
        WANT [tss + TSS_EAX], 0xb1
        WANT [tss + TSS_ECX], 0xb2
        WANT [tss + TSS_EDX], 0xb3
        WANT [tss + TSS_EBX], 0xb4
        WANT [tss + TSS_EBP], 0xb5
        WANT [tss + TSS_ESI], 0xb6
        WANT [tss + TSS_EDI], 0xb7
        WANT [tss + TSS_ESP], main_stack_top
        WANT [tss + TSS_EIP], .back
        WANT [tss + TSS_CS], SEL_CS0
        WANT [tss + TSS_SS], SEL_DS0
        TYPE_IS SEL_TSS, PRESENT | TSS32
        TYPE_IS SEL_TSS2, PRESENT | TSS32 | 2
        LINK_IS tss2, 0x7777
        NT_IS 0
        mov eax, cr0
        and eax, 8
        WANT eax, 8                     ; TS
        clts

TEST "CALL to a TSS and IRET back"
        mov dword [tss2 + TSS_EIP], .task
        clts
        call SEL_TSS2:0
        NT_IS 0
        str eax
        WANT eax, SEL_TSS
        TYPE_IS SEL_TSS, PRESENT | TSS32 | 2
        TYPE_IS SEL_TSS2, PRESENT | TSS32
        WANT [tss2 + TSS_EIP], .after
        mov eax, [tss2 + TSS_EFLAGS]
        and eax, EFL_NT
        WANT eax, 0
        mov eax, esp
        WANT eax, main_stack_top
        ; again: the task goes on behind its IRET
        call SEL_TSS2:0
        WANT [tss2 + TSS_EBX], 0x77
        jmp .end
.task:  NT_IS EFL_NT
        TYPE_IS SEL_TSS, PRESENT | TSS32 | 2
        TYPE_IS SEL_TSS2, PRESENT | TSS32 | 2
        LINK_IS tss2, SEL_TSS
        iretd
.after: mov ebx, 0x77
        iretd
.end:   clts

TEST "CALL through a task gate from ring 3"
        mov dword [tss2 + TSS_EIP], .task
        GATE SEL_A, SEL_TSS2, 0, PRESENT | DPL3 | TASKGATE
        FAULTS DONE
        RING3
        call SEL_A:0
        mov ebx, 0x66
        ENDF
        WANT [trap_cs], SEL_CS3
        WANT [trap_ebx], 0x66
        WANT [tss2 + TSS_ECX], SEL_CS0
        jmp .end
.task:  mov ecx, cs
        iretd
.end:   clts

TEST "interrupt through a task gate and IRET"
        mov dword [tss2 + TSS_EIP], .task
        IDTGATE 0x40, SEL_TSS2, 0, PRESENT | DPL3 | TASKGATE
        FAULTS DONE
        RING3
        mov esi, 5
        int 0x40
.back:  inc esi
        ENDF
        WANT [trap_esi], 6
        WANT [tss2 + TSS_EDX], .back
        jmp .end
.task:  mov edx, [tss + TSS_EIP]
        iretd
.end:   clts

TEST "exception with an error code through a task gate"
        mov dword [tss2 + TSS_EIP], .task
        IDTGATE 13, SEL_TSS2, 0, PRESENT | TASKGATE
        mov ax, SEL_A
.at:    mov fs, ax
        WANT 0, 1
        jmp .end
.task:  mov ebx, [esp]
        WANT ebx, SEL_A
        mov eax, esp
        WANT eax, task_stack_top - 4
        WANT [tss + TSS_EIP], .at
        mov eax, [tss + TSS_EFLAGS]
        and eax, EFL_RF
        WANT eax, EFL_RF
.end:   clts

TEST "16-bit TSS"
        mov edi, tss2
        mov ecx, 26
        xor eax, eax
        rep stosd
        DESC SEL_TSS2, tss2, 43, PRESENT | TSS16, 0
        mov word [tss2 + 14], .task - IMAGE
        mov word [tss2 + 16], 2
        mov word [tss2 + 18], 0x1111
        mov word [tss2 + 20], 0x2222
        mov word [tss2 + 26], task_stack_top - IMAGE
        mov word [tss2 + 34], SEL_DS0
        mov word [tss2 + 36], SEL_CS16
        mov word [tss2 + 38], SEL_DS16
        mov word [tss2 + 40], SEL_DS0
        mov ebx, 0x12345678
        call SEL_TSS2:0
        jmp .next
bits 16
.task:  mov si, ax
        mov di, cx
        iret
        hlt
bits 32
.next:  WANT ebx, 0x12345678
        TYPE_IS SEL_TSS2, PRESENT | TSS16
        movzx eax, word [tss2 + 30]
        WANT eax, 0x1111
        movzx eax, word [tss2 + 32]
        WANT eax, 0x2222
        movzx eax, word [tss2 + 0]
        WANT eax, SEL_TSS
        clts

TEST "the new task's LDT is loaded"
        mov dword [ldt + 8], 0x0000ffff
        mov dword [ldt + 12], 0x00cf9300
        mov dword [tss2 + TSS_LDT], SEL_LDT
        mov dword [tss2 + TSS_FS], 8 + 4
        mov dword [tss2 + TSS_EIP], .task
        jmp SEL_TSS2:0
.task:  sldt eax
        WANT eax, SEL_LDT
        mov eax, fs
        WANT eax, 8 + 4
        clts

TEST "the T bit traps before the new task's first instruction"
        mov dword [tss2 + TSS_EIP], .task
        mov word [tss2 + TSS_T], 1
        xor ecx, ecx
        FAULTS 1
        jmp SEL_TSS2:0
.task:
        AT
        inc ecx
        ENDF
        mov eax, [trap_dr6]
        and eax, 0xe00f
        WANT eax, 0x8000                ; BT
        str eax
        WANT eax, SEL_TSS2
        WANT ecx, 0
        clts

TEST "a task in virtual-8086 mode"
        mov dword [tss2 + TSS_EFLAGS], EFL_VM | 0x3002
        mov dword [tss2 + TSS_EIP], 0
        mov dword [tss2 + TSS_CS], 0x800
        mov dword [tss2 + TSS_SS], 0x900
        mov dword [tss2 + TSS_ESP], 0x100
        mov dword [tss2 + TSS_FS], 0x1234
        mov word [0x8000], 0x30cd
        FAULTS DONE
        jmp SEL_TSS2:0
        ENDF
        WANT [trap_cs], 0x800
        WANT [trap_ss], 0x900
        WANT [trap_esp], 0x100
        WANT [trap_fs], 0x1234
        WANT [trap_eip], 2
        clts

TEST "a busy TSS cannot be entered"
        FAULTS 13, SEL_TSS
        AT
        jmp SEL_TSS:0
        ENDF
        FAULTS 13, SEL_TSS
        AT
        call SEL_TSS:0
        ENDF
        GATE SEL_A, SEL_TSS, 0, PRESENT | TASKGATE
        FAULTS 13, SEL_TSS
        AT
        jmp SEL_A:0
        ENDF

TEST "TSS and task gate that are not present or too private"
        DESC SEL_TSS2, tss2, 103, TSS32, 0
        FAULTS 11, SEL_TSS2
        AT
        jmp SEL_TSS2:0
        ENDF
        DESC SEL_TSS2, tss2, 103, PRESENT | TSS32, 0
        GATE SEL_A, SEL_TSS2, 0, TASKGATE
        FAULTS 11, SEL_A
        AT
        jmp SEL_A:0
        ENDF
        FAULTS 13, SEL_TSS2
        RING3
        AT
        jmp SEL_TSS2:0
        ENDF
        GATE SEL_A, SEL_TSS2, 0, PRESENT | TASKGATE
        FAULTS 13, SEL_A
        RING3
        AT
        call SEL_A:0
        ENDF
        GATE SEL_A, SEL_DS0, 0, PRESENT | TASKGATE
        FAULTS 13, SEL_DS0
        AT
        jmp SEL_A:0
        ENDF
        GATE SEL_A, SEL_TSS2 | 4, 0, PRESENT | TASKGATE
        FAULTS 13, SEL_TSS2 | 4
        AT
        jmp SEL_A:0
        ENDF

TEST "a TSS that is too short is #TS, in the old task"
        DESC SEL_TSS2, tss2, 102, PRESENT | TSS32, 0
        FAULTS 10, SEL_TSS2
        AT
        jmp SEL_TSS2:0
        ENDF
        TYPE_IS SEL_TSS2, PRESENT | TSS32
        TYPE_IS SEL_TSS, PRESENT | TSS32 | 2

TEST "IRET with NT: links that are no busy TSS"
        mov word [tss + TSS_LINK], 0
        push dword EFL_NT | 2
        popfd
        FAULTS 10, 0
        AT
        iretd
        ENDF
        mov word [tss + TSS_LINK], SEL_TSS2     ; not busy
        push dword EFL_NT | 2
        popfd
        FAULTS 10, SEL_TSS2
        AT
        iretd
        ENDF
        mov word [tss + TSS_LINK], SEL_TSS2 + 4
        push dword EFL_NT | 2
        popfd
        FAULTS 10, SEL_TSS2 + 4
        AT
        iretd
        ENDF

; A fault while the new task's state is loaded: taken in the new task, through the IDT. SS comes before DS, ES, FS and GS,
; so the handler has a stack.
%macro NEWTASK 4        ; field, value, vector, error
        mov dword [tss2 + TSS_EIP], %%task
        mov dword [tss2 + %1], %2
        FAULTS %3, %4
        jmp SEL_TSS2:0
%%task:
        ENDF
        str eax
        WANT eax, SEL_TSS2
        TYPE_IS SEL_TSS, PRESENT | TSS32
        TYPE_IS SEL_TSS2, PRESENT | TSS32 | 2
        WANT [trap_eip], %%task
        clts
%endmacro

TEST "new task with a bad DS is #TS in the new task"
        NEWTASK TSS_DS, SEL_TSS, 10, SEL_TSS
TEST "new task with an FS that is not present is #NP"
        DESC SEL_A, 0, 0xfffff, DATA, FLAG_G | FLAG_D
        NEWTASK TSS_FS, SEL_A, 11, SEL_A
TEST "new task with a read-only ES is allowed, an execute-only one is #TS"
        DESC SEL_A, 0, 0xfffff, PRESENT | XCODE, FLAG_G | FLAG_D
        NEWTASK TSS_ES, SEL_A, 10, SEL_A

TEST "a switch saves the flags of the old task"
        mov dword [tss2 + TSS_EIP], .task
        push dword 0x30d7 & ~0x100
        popfd
        jmp SEL_TSS2:0
.task:  WANT [tss + TSS_EFLAGS], 0x30d7 & ~0x100
        clts

TEST "no switch to a task writes beyond its static part"
        mov dword [tss + TSS_ESP0], 0x11223344
        mov dword [tss + TSS_LDT], 0x55
        mov dword [tss + TSS_CR3], 0x00aa0000
        mov dword [tss2 + TSS_EIP], .task
        jmp SEL_TSS2:0
.task:  WANT [tss + TSS_ESP0], 0x11223344
        WANT [tss + TSS_LDT], 0x55
        WANT [tss + TSS_CR3], 0x00aa0000
        clts

FINISH
