; real: real-address mode as it is entered from protected mode, unreal mode, 16-bit code. SDM 3A 9.9, chapter 20.
%include "lib/rom.inc"

CODE16          equ 0x1000              ; segment that the code is copied to
STACK16         equ 0x2000
DATA16          equ 0x3000
; results, at DATA16:0 up
RESULT          equ DATA16 * 16
; offset of a label in the copied code
%define OFF(label) ((label) - real_code)
; selectors for the way back
SEL_REAL_CODE   equ SEL_A               ; 16-bit, base CODE16 * 16
SEL_REAL_DATA   equ SEL_B               ; 16-bit, base DATA16 * 16, 64 KiB

; 16-bit code between REAL and REALEND runs in real mode: CS = CODE16, SS = STACK16, DS = ES = FS = GS = DATA16.
; It leaves results in memory at DS:0.
%macro REAL 0
        call clear_results
        mov dword [real_entry], (CODE16 << 16) | OFF(%%code)
        call to_real
        jmp %%end
bits 16
  %%code:
  %push real
  %define %$end %%end
%endmacro
%macro REALEND 0
        jmp CODE16:OFF(real_return)
bits 32
  %$end:
  %pop
%endmacro
%macro RESULT_IS 2      ; doubleword number, value
        WANT [RESULT + (%1) * 4], %2
%endmacro

real_code:
main:
        ; everything from here to real_end runs in place as 32-bit code and as a copy below 1 MiB as 16-bit code
        mov esi, real_code
        mov edi, CODE16 * 16
        mov ecx, real_end - real_code
        cld
        rep movsb

TEST "there and back: CR0.PE, segments"
        REAL
        mov eax, cr0
        mov [0], eax
        mov ax, cs
        mov [4], ax
        mov ax, ss
        mov [8], ax
        mov [12], sp
        REALEND
        mov eax, [RESULT]
        and eax, 1
        WANT eax, 0
        RESULT_IS 1, CODE16
        RESULT_IS 2, STACK16
        RESULT_IS 3, 0x1000
        mov eax, cr0
        and eax, 1
        WANT eax, 1

TEST "segment loads give selector times 16 and keep the limit"
        mov dword [0x54320], 0x11223344
        REAL
        mov ax, 0x5432
        mov es, ax
        mov eax, [es:0]
        mov [0], eax
        mov bx, 0xfffc
        mov dword [es:bx], 0x55667788
        REALEND
        RESULT_IS 0, 0x11223344
        WANT [0x54320 + 0xfffc], 0x55667788

TEST "interrupts go through the vector table at 0"
        REAL
        push ds
        xor ax, ax
        mov ds, ax
        mov eax, [0x48 * 4]
        mov ebp, eax
        mov dword [0x48 * 4], (CODE16 << 16) | OFF(.handler)
        pop ds
        sti
        int 0x48
.after: cli
        mov [12], sp
        push ds
        xor ax, ax
        mov ds, ax
        mov [0x48 * 4], ebp
        pop ds
        jmp .done
.handler:
        mov [0], sp
        pushf
        pop ax
        mov [4], ax
        mov bx, sp
        mov ax, [ss:bx]
        mov [8], ax
        mov ax, [ss:bx + 2]
        mov [10], ax
        mov ax, [ss:bx + 4]
        mov [16], ax
        iret
.done:
        REALEND
        RESULT_IS 0, 0x1000 - 6
        mov eax, [RESULT + 4]
        and eax, EFL_IF | EFL_TF
        WANT eax, 0
        RESULT_IS 2, (CODE16 << 16) | OFF(.after)
        RESULT_IS 3, 0x1000
        mov eax, [RESULT + 16]
        and eax, EFL_IF
        WANT eax, EFL_IF

; vector and code of an exception in real mode: the handler notes its IP and leaves
%macro REALFAULT 1      ; vector
  %push fault
  %define %$over %%over
  %define %$ip %%ip
  %define %$old %%old
  %assign %$vector %1
        push ds
        xor ax, ax
        mov ds, ax
        mov eax, [%1 * 4]
        mov [cs:OFF(%%old)], eax
        mov dword [%1 * 4], (CODE16 << 16) | OFF(%%handler)
        pop ds
        jmp %%try
%%handler:
        pop word [cs:OFF(%%ip)]
        add sp, 4
        jmp %%over
%%ip:   dw 0
%%old:  dd 0
%%try:
%endmacro
%macro REALFAULTEND 0
  %$over:
        mov ax, DATA16
        mov ds, ax
        mov ax, [cs:OFF(%$ip)]
        mov [0], ax
        mov [4], sp
        xor ax, ax
        mov es, ax
        mov eax, [cs:OFF(%$old)]
        mov [es:%$vector * 4], eax
  %pop
%endmacro

TEST "#DE in real mode pushes the instruction's address and no error code"
        REAL
        REALFAULT 0
        xor cx, cx
.at:    div cx
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at)
        RESULT_IS 1, 0x1000

TEST "a word at offset FFFFh is #GP"
        REAL
        REALFAULT 13
.at:    mov ax, [0xffff]
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at)
        RESULT_IS 1, 0x1000

TEST "#SS in real mode"
        REAL
        REALFAULT 12
        mov bp, 0xffff
.at:    mov ax, [bp]
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at)

TEST "32-bit offsets beyond 64 KiB are #GP"
        REAL
        REALFAULT 13
        mov ebx, 0x10000
.at:    mov al, [ebx]
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at)

TEST "protected-mode instructions are #UD in real mode"
        REAL
        REALFAULT 6
.at:    lldt ax
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at)
        REAL
        REALFAULT 6
        jmp .at2
.at2:   sldt ax
        REALFAULTEND
        REALEND
        RESULT_IS 0, OFF(.at2)

TEST "16-bit addresses wrap, 32-bit operands work"
        mov dword [RESULT + 0x100], 0xcafe1234
        REAL
        mov bx, 0xff00
        mov si, 0x0200
        mov eax, [bx + si]              ; 0100h
        mov [0], eax
        mov ebx, 0x100
        mov ecx, 0
        mov eax, [ebx + ecx * 4]
        mov [4], eax
        or esp, 0x12340000              ; SP alone counts
        push dword 0x12345678
        pop dword [8]
        REALEND
        RESULT_IS 0, 0xcafe1234
        RESULT_IS 1, 0xcafe1234
        RESULT_IS 2, 0x12345678

TEST "PUSH wraps from 0 to FFFEh"
        REAL
        mov sp, 0
        push word 0x4321
        mov [0], sp
        pop ax
        mov [4], ax
        mov [8], sp
        mov sp, 0x1000
        REALEND
        RESULT_IS 0, 0xfffe
        RESULT_IS 1, 0x4321
        RESULT_IS 2, 0

TEST "far calls and returns"
        REAL
        call CODE16:OFF(.target)
.back:  mov [4], sp
        jmp .done
.target:
        mov bx, sp
        mov eax, [ss:bx]
        mov [0], eax
        retf
.done:
        REALEND
        RESULT_IS 0, (CODE16 << 16) | OFF(.back)
        RESULT_IS 1, 0x1000

TEST "unreal mode: a large limit survives the way to real mode"
        mov dword [0x300000], 0x600dcafe
        mov byte [big_limits], 1
        REAL
        mov ax, 0                       ; a load in real mode changes the base and leaves the limit
        mov fs, ax
        mov ebx, 0x300000
        mov eax, [fs:ebx]
        mov [0], eax
        mov dword [fs:ebx + 4], 0x0badf00d
        REALEND
        mov byte [big_limits], 0
        RESULT_IS 0, 0x600dcafe
        WANT [0x300004], 0x0badf00d

TEST "the far jump behind CR0 loads CS; until then the old one runs"
        REAL
        cli
        mov eax, cr0
        or al, 1
        mov cr0, eax                    ; protected mode with the real-mode CS
        mov dword [0], 0x1111
        and al, 0xfe
        mov cr0, eax
        mov dword [4], 0x2222
        REALEND
        RESULT_IS 0, 0x1111
        RESULT_IS 1, 0x2222

TEST "LIDT in real mode moves the vector table"
        REAL
        mov word [0x40], 0x3ff
        mov dword [0x42], RESULT + 0x400
        mov dword [0x400 + 0x21 * 4], (CODE16 << 16) | OFF(.handler)
        lidt [0x40]
        int 0x21
        jmp .done
.handler:
        mov dword [0], 0x77
        iret
.done:
        REALEND
        RESULT_IS 0, 0x77

TEST "an interrupt beyond the IDT's limit is #GP"
        REAL
        mov word [0x40], 0x7f           ; 32 vectors
        mov dword [0x42], RESULT + 0x400
        mov dword [0x400 + 13 * 4], (CODE16 << 16) | OFF(.handler)
        lidt [0x40]
.at:    int 0x21
        jmp .done
.handler:
        pop ax
        mov [0], ax
        add sp, 4
.done:
        REALEND
        RESULT_IS 0, OFF(.at)

TEST "SMSW, LMSW and CLTS in real mode"
        REAL
        clts
        smsw eax
        mov [0], eax
        smsw ax
        or al, 8
        lmsw ax
        smsw ax
        and ax, 8
        mov [4], ax
        clts
        REALEND
        mov eax, [RESULT]
        and eax, 9
        WANT eax, 0
        RESULT_IS 1, 8

TEST "A20 by port 92h: without it 1 MiB is 0 again"
        REAL
        push ds
        mov ax, 0xffff
        mov fs, ax
        xor ax, ax
        mov ds, ax
        mov dword [0x600], 0x1234
        in al, 0x92
        and al, 0xfc
        out 0x92, al
        mov eax, [fs:0x610]             ; 100600h, or 600h without the line
        mov ebx, eax
        in al, 0x92
        or al, 2
        and al, 0xfe
        out 0x92, al
        mov ecx, [fs:0x610]
        pop ds
        mov [0], ebx
        mov [4], ecx
        REALEND
        RESULT_IS 0, 0x1234
        mov eax, [0x100600]
        RESULT_IS 1, eax

FINISH

; ---------------------------------------------------------------- the way to real mode and back
clear_results:
        push edi
        mov edi, RESULT
        mov ecx, 32
        xor eax, eax
        rep stosd
        pop edi
        ret

; returns, in protected mode, to its caller when the real-mode code is done
to_real:
        pushad
        mov [saved_stack], esp
        DESC SEL_REAL_CODE, CODE16 * 16, 0xffff, PRESENT | CODE, 0
        DESC SEL_REAL_DATA, DATA16 * 16, 0xffff, PRESENT | DATA, 0
        mov eax, [real_entry]
        mov [CODE16 * 16 + OFF(entry)], eax
        mov al, [big_limits]
        mov [CODE16 * 16 + OFF(keep_fs)], al
        lidt [real_idt]
        mov ax, SEL_REAL_DATA
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        cmp byte [cs:big_limits], 0
        je .limits
        mov ax, SEL_DS0
        mov fs, ax
.limits:
        jmp SEL_REAL_CODE:OFF(to_real16)
bits 16
to_real16:
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp CODE16:OFF(.real)
.real:  mov ax, STACK16
        mov ss, ax
        mov esp, 0x1000
        mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov gs, ax
        cmp byte [cs:OFF(keep_fs)], 0
        jne .fs
        mov fs, ax
.fs:    jmp far [cs:OFF(entry)]
real_return:
        cli
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword SEL_CS0:protected
        align 4
entry:  dd 0
keep_fs: db 0
bits 32
protected:
        mov ax, SEL_DS0
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, [saved_stack]
        lidt [idt_pointer]
        popad
        ret
real_end:

section .data
        align 4
real_idt:
        dw 0x3ff
        dd 0
big_limits: db 0
section .bss
        alignb 4
saved_stack: resd 1
real_entry: resd 1
