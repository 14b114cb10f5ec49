; vm86: virtual-8086 mode: entry and exit, IOPL, segments, faults, ports, and the extensions of VME (VIF, VIP, the
; interrupt redirection map). SDM 3A chapter 20.
%include "lib/rom.inc"

VCODE           equ 0x1000              ; segments of the 8086 program
VSTACK          equ 0x2000
VDATA           equ 0x3000
CR4_VME         equ 1
IOPL3           equ 0x3000

; 16-bit code between V86 and V86END runs in virtual-8086 mode with these flags; it ends in INT 30h (a gate of DPL 3) unless
; it faults. FAULTS takes what is expected.
%macro V86 1
  %push v86
        mov esi, %$code
        mov edi, VCODE * 16
        mov ecx, %$end - %$code
        cld
        rep movsb
        push dword 0x6666               ; GS
        push dword 0x5555               ; FS
        push dword VDATA                ; DS
        push dword 0x4444               ; ES
        push dword VSTACK
        push dword 0x1000
        push dword EFL_VM | (%1) | 2
        push dword VCODE
        push dword 0
        iretd
bits 16
  %$code:
%endmacro

%macro V86END 0
        int DONE
  %$end:
bits 32
  %pop
%endmacro

; V86RUN vector, error, flags ... V86STOP: the code starts at offset 0, so trap_eip is an offset in it
%macro V86RUN 3
        FAULTS %1, %2
        V86 %3
%endmacro
%macro V86STOP 0
        V86END
        ENDF
%endmacro

%macro FLAGS_ARE 2      ; mask, value, of the flags pushed at the trap
        mov eax, [trap_eflags]
        and eax, %1
        WANT eax, %2
%endmacro

main:
TEST "entry by IRET, exit by an interrupt: frame and segments"
        V86RUN DONE, 0, IOPL3
        mov ax, 0x1234
        mov bx, sp
        V86STOP
        WANT [trap_cs], VCODE
        WANT [trap_ss], VSTACK
        WANT [trap_esp], 0x1000
        WANT [trap_es], 0x4444
        WANT [trap_ds], VDATA
        WANT [trap_fs], 0x5555
        WANT [trap_gs], 0x6666
        WANT [trap_entry_ds], 0
        WANT [trap_entry_es], 0
        WANT [trap_entry_fs], 0
        WANT [trap_entry_gs], 0
        WANT [trap_entry_esp], trap_stack_top - 40
        FLAGS_ARE EFL_VM | IOPL3, EFL_VM | IOPL3
        mov eax, [trap_entry_eflags]
        and eax, EFL_VM
        WANT eax, 0
        movzx eax, word [trap_eax]
        WANT eax, 0x1234

TEST "segments are selector times 16, 64 KiB, writable"
        mov dword [VDATA * 16 + 0xfffc], 0x11223344
        mov dword [0x54320], 0
        V86RUN DONE, 0, IOPL3
        mov ebx, [0xfffc]
        mov ax, 0x5432
        mov es, ax
        mov word [es:0], 0x7788
        mov [cs:0x800], ax
        mov cx, cs
        mov dx, es
        V86STOP
        WANT [trap_ebx], 0x11223344
        WANT [0x54320], 0x7788
        movzx eax, word [VCODE * 16 + 0x800]
        WANT eax, 0x5432
        movzx eax, word [trap_ecx]
        WANT eax, VCODE

TEST "an access over offset FFFFh is #GP, on the stack #SS"
        V86RUN 13, 0, IOPL3
        mov ax, [0xffff]
        V86STOP
        WANT [trap_eip], 0
        V86RUN 12, 0, IOPL3
        mov bp, 0xffff
        mov ax, [bp]
        V86STOP
        WANT [trap_eip], 3
        V86RUN 13, 0, IOPL3
        mov ebx, 0x10000
        mov al, [ebx]
        V86STOP
        WANT [trap_eip], 6

TEST "a far jump and a far return"
        V86RUN DONE, 0, IOPL3
        jmp VCODE - 1:0x15              ; offset 5 of the code
        push word VCODE - 2
        push word 0x20 + 11
        retf                            ; at offset 10; 11 is INT 30h
        V86STOP
        WANT [trap_cs], VCODE - 2
        WANT [trap_eip], 0x20 + 13

TEST "instructions of the IOPL: #GP below 3"
        V86RUN 13, 0, 0
        cli
        V86STOP
        V86RUN 13, 0, 0
        sti
        V86STOP
        V86RUN 13, 0, 0
        pushf
        V86STOP
        V86RUN 13, 0, 0
        popf
        V86STOP
        V86RUN 13, 0, 0
        iret
        V86STOP
        V86RUN 13, 0, 0x2000
        int 0x30
        V86STOP
        WANT [trap_cs], VCODE
        WANT [trap_eip], 0

TEST "INT3 and INTO do not need the IOPL"
        or byte [idt + 3 * 8 + 5], DPL3
        or byte [idt + 4 * 8 + 5], DPL3
        V86RUN 3, 0, 0
        int3
        V86STOP
        WANT [trap_eip], 1
        V86RUN 4, 0, 0
        mov al, 0x7f
        inc al
        into
        V86STOP

TEST "the same with IOPL 3"
        V86RUN DONE, 0, IOPL3
        sti
        pushf
        cli
        pushf
        pop bx
        pop cx
        V86STOP
        movzx eax, word [trap_ebx]
        and eax, 0x3200
        WANT eax, IOPL3
        movzx eax, word [trap_ecx]
        and eax, 0x3200
        WANT eax, IOPL3 | EFL_IF

TEST "POPF and IRET cannot change IOPL and VM"
        V86RUN DONE, 0, IOPL3
        push dword 0x00020002
        popfd
        push word 0x0002
        popf
        V86STOP
        FLAGS_ARE EFL_VM | IOPL3, EFL_VM | IOPL3

TEST "INT n to a gate of DPL 0 is #GP, exceptions pass"
        V86RUN 13, 0x40 * 8 + 2, IOPL3
        int 0x40
        V86STOP
        V86RUN 6, 0, IOPL3
        ud2
        V86STOP
        V86RUN 0, 0, IOPL3
        xor cx, cx
        div cx
        V86STOP
        WANT [trap_eip], 2

TEST "a gate to a ring other than 0 is #GP with its selector"
        IDTGATE 0x40, SEL_CS1 & ~3, trap_stubs, PRESENT | DPL3 | INT32
        V86RUN 13, SEL_CS1 & ~3, IOPL3
        int 0x40
        V86STOP

TEST "protected-mode instructions are #UD"
        V86RUN 6, 0, IOPL3
        lldt ax
        V86STOP
        V86RUN 6, 0, IOPL3
        ltr ax
        V86STOP
        V86RUN 6, 0, IOPL3
        lar ax, bx
        V86STOP
        V86RUN 6, 0, IOPL3
        verr ax
        V86STOP
        V86RUN 6, 0, IOPL3
        db 0x63, 0xc0                   ; arpl
        V86STOP
        V86RUN 6, 0, IOPL3
        sldt ax
        V86STOP

TEST "privileged instructions are #GP"
        V86RUN 13, 0, IOPL3
        hlt
        V86STOP
        V86RUN 13, 0, IOPL3
        mov eax, cr0
        V86STOP
        V86RUN 13, 0, IOPL3
        lgdt [0]
        V86STOP
        V86RUN 13, 0, IOPL3
        clts
        V86STOP
        V86RUN DONE, 0, IOPL3
        smsw ax
        V86STOP

TEST "ports go by the I/O map whatever the IOPL"
        V86RUN 13, 0, IOPL3
        out 0x80, al
        V86STOP
        mov edi, tss + 104
        mov ecx, 33
        or eax, -1
        rep stosb
        and byte [tss + 104 + 0x80 / 8], ~1
        DESC SEL_TSS, tss, 104 + 32, PRESENT | TSS32, 0
        mov ax, SEL_TSS
        ltr ax
        V86RUN DONE, 0, IOPL3
        xor ax, ax
        out 0x80, al
        V86STOP
        V86RUN 13, 0, 0
        xor ax, ax
        out 0x80, al                    ; passes; INT 30h does not
        V86STOP
        WANT [trap_eip], 4
        V86RUN 13, 0, IOPL3
        out 0x80, ax
        V86STOP

TEST "single step in virtual-8086 mode"
        V86RUN 1, 0, IOPL3 | EFL_TF
        nop
        nop
        V86STOP
        WANT [trap_eip], 1
        FLAGS_ARE EFL_VM | EFL_TF, EFL_VM | EFL_TF

TEST "IRET to virtual-8086 mode from ring 3 ignores VM"
        FAULTS DONE
        RING3
        push dword EFL_VM | 2
        push dword SEL_CS3
        push dword .l
        iretd
.l:
        ENDF
        WANT [trap_cs], SEL_CS3
        FLAGS_ARE EFL_VM, 0

; ---------------------------------------------------------------- VME: the map of 32 bytes lies below the I/O map
%macro VME_ON 1         ; byte that fills the redirection map: 0 = through the program's vectors, FFh = through the IDT
        mov edi, tss + 104
        mov ecx, 32
        mov al, %1
        rep stosb
        mov ecx, 33
        mov al, 0xff
        rep stosb
        mov word [tss + TSS_IOMAP], 104 + 32
        DESC SEL_TSS, tss, 104 + 64, PRESENT | TSS32, 0
        mov ax, SEL_TSS
        ltr ax
        mov eax, cr4
        or eax, CR4_VME
        mov cr4, eax
%endmacro
%macro VME_OFF 0
        mov eax, cr4
        and eax, ~CR4_VME
        mov cr4, eax
%endmacro

TEST "VME: CLI and STI change VIF at IOPL 0"
        VME_ON 0xff
        V86RUN 13, 0, EFL_IF            ; INT 30h itself is an instruction of the IOPL here
        sti
        int 0x40
        V86STOP
        FLAGS_ARE EFL_IF | EFL_VIF, EFL_IF | EFL_VIF
        V86RUN 13, 0, EFL_IF | EFL_VIF
        cli
        hlt
        V86STOP
        FLAGS_ARE EFL_IF | EFL_VIF, EFL_IF
        VME_OFF

TEST "VME: PUSHF shows VIF as IF and IOPL 3, POPF sets VIF"
        VME_ON 0xff
        V86RUN 13, 0, EFL_IF
        pushf
        pop bx
        sti
        pushf
        pop cx
        push word 0x202
        popf
        hlt
        V86STOP
        movzx eax, word [trap_ebx]
        and eax, 0x3200
        WANT eax, IOPL3
        movzx eax, word [trap_ecx]
        and eax, 0x3200
        WANT eax, IOPL3 | EFL_IF
        FLAGS_ARE EFL_VIF | 0x3000, EFL_VIF
        VME_OFF

TEST "VME: STI and POPF with VIP pending are #GP"
        VME_ON 0xff
        V86RUN 13, 0, EFL_IF | EFL_VIP
        sti
        V86STOP
        WANT [trap_eip], 0
        V86RUN 13, 0, EFL_IF | EFL_VIP
        push word 0x202
        popf
        V86STOP
        WANT [trap_eip], 3
        VME_OFF

TEST "VME: POPF with TF and 32-bit PUSHF are #GP"
        VME_ON 0xff
        V86RUN 13, 0, EFL_IF
        push word 0x102
        popf
        V86STOP
        WANT [trap_eip], 3
        V86RUN 13, 0, EFL_IF
        pushfd
        V86STOP
        WANT [trap_eip], 0
        VME_OFF

TEST "VME: INT n redirected to the program's own vector"
        VME_ON 0
        mov eax, [0x41 * 4]
        mov [saved], eax
        mov dword [0x41 * 4], (VCODE << 16) | 0x80
        mov dword [VCODE * 16 + 0x80], 0xcf11b3 | 0xf4000000    ; mov bl, 11h; iret
        V86RUN 13, 0, EFL_IF | EFL_VIF
        mov sp, 0x1000
        int 0x41
        pushf
        pop cx
        hlt
        V86STOP
        movzx eax, byte [trap_ebx]
        WANT eax, 0x11
        movzx eax, word [trap_ecx]
        and eax, 0x3200
        WANT eax, IOPL3 | EFL_IF        ; IRET gave VIF back
        WANT [trap_eip], 7
        WANT [trap_esp], 0x1000
        mov eax, [saved]
        mov [0x41 * 4], eax
        VME_OFF

TEST "VME: the redirected frame has IF from VIF and IOPL 3; VIF is cleared"
        VME_ON 0
        mov eax, [0x41 * 4]
        mov [saved], eax
        mov dword [0x41 * 4], (VCODE << 16) | 0x80
        mov byte [VCODE * 16 + 0x80], 0xf4      ; hlt: #GP
        V86RUN 13, 0, EFL_IF | EFL_VIF
        int 0x41
        V86STOP
        WANT [trap_eip], 0x80
        WANT [trap_esp], 0x1000 - 6
        movzx eax, word [VSTACK * 16 + 0x1000 - 2]
        and eax, 0x3200
        WANT eax, IOPL3 | EFL_IF
        movzx eax, word [VSTACK * 16 + 0x1000 - 6]
        WANT eax, 2
        FLAGS_ARE EFL_VIF | EFL_IF, EFL_IF
        mov eax, [saved]
        mov [0x41 * 4], eax
        VME_OFF

TEST "VME: with IOPL 3 the map decides too"
        VME_ON 0
        mov eax, [0x41 * 4]
        mov [saved], eax
        mov dword [0x41 * 4], (VCODE << 16) | 0x80
        mov byte [VCODE * 16 + 0x80], 0xf4
        V86RUN 13, 0, IOPL3 | EFL_IF
        int 0x41
        V86STOP
        WANT [trap_eip], 0x80
        FLAGS_ARE EFL_IF, 0             ; the real IF
        or byte [tss + 104 + 0x41 / 8], 2
        or byte [idt + 0x41 * 8 + 5], DPL3
        V86RUN 0x41, 0, IOPL3 | EFL_IF
        int 0x41
        V86STOP
        mov eax, [saved]
        mov [0x41 * 4], eax
        VME_OFF

TEST "VME: PVI gives ring 3 VIF by CLI and STI"
        mov eax, cr4
        or eax, 2
        mov cr4, eax
        FAULTS DONE
        RING3 0x202
        sti
        ENDF
        FLAGS_ARE EFL_VIF | EFL_IF, EFL_VIF | EFL_IF
        FAULTS DONE
        RING3 0x202 | EFL_VIF
        cli
        ENDF
        FLAGS_ARE EFL_VIF | EFL_IF, EFL_IF
        FAULTS 13, 0
        RING3 0x202 | EFL_VIP
        sti
        ENDF
        mov eax, cr4
        and eax, ~2
        mov cr4, eax

FINISH

section .bss
        alignb 4
saved:  resd 1
