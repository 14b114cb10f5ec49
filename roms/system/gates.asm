; gates: call gates and their parameters, returns to outer rings, IRET, interrupt and trap gates between rings, IOPL,
; I/O permission bitmap. SDM 3A 5.8, 6.12; 1 chapter 19.
%include "lib/rom.inc"

; doubleword n of the ring 0 stack as it was at a trap taken in ring 0
%macro ON_STACK 2
        mov eax, [trap_entry_esp]
        WANT [eax + 16 + (%1) * 4], %2
%endmacro

main:
TEST "call gate to the same ring"
        GATE SEL_A, SEL_CS0, .target, PRESENT | CALL32
        mov ebx, esp
        FAULTS 0x31
        call SEL_A:0xdeadbeef           ; the offset is not used
.back:  nop
.target:
        mov esi, [esp]
        mov edi, [esp + 4]
        int 0x31
        ENDF
        WANT esi, .back
        WANT edi, SEL_CS0
        mov eax, [trap_entry_esp]
        add eax, 16 + 8
        WANT eax, ebx

TEST "jump through a call gate"
        GATE SEL_A, SEL_CS0, .target, PRESENT | CALL32, 3
        mov ebx, esp
        FAULTS 0x31
        jmp SEL_A:0
.target:
        int 0x31
        ENDF
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, ebx

TEST "call gate to ring 0 copies its parameters"
        GATE SEL_A, SEL_CS0, .target, PRESENT | DPL3 | CALL32, 3
        FAULTS 0x31
        RING3
        push dword 0x11111111
        push dword 0x22222222
        push dword 0x33333333
        call SEL_A:0
.back:
.target:
        mov eax, cs
        mov ecx, ss
        mov edx, esp
        int 0x31
        ENDF
        WANT [trap_eax], SEL_CS0
        WANT [trap_ecx], SEL_DS0
        WANT [trap_edx], trap_stack_top - 28
        ON_STACK 0, .back
        ON_STACK 1, SEL_CS3
        ON_STACK 2, 0x33333333
        ON_STACK 3, 0x22222222
        ON_STACK 4, 0x11111111
        ON_STACK 5, ring3_stack_top - 12
        ON_STACK 6, SEL_DS3

TEST "call gate with 31 parameters"
        GATE SEL_A, SEL_CS0, .target, PRESENT | DPL3 | CALL32, 31
        FAULTS 0x31
        RING3
        mov ecx, 31
.push:  push ecx
        loop .push
        call SEL_A:0
.target:
        mov edx, esp
        int 0x31
        ENDF
        WANT [trap_edx], trap_stack_top - 16 - 124
        ON_STACK 2, 1
        ON_STACK 32, 31
        ON_STACK 33, ring3_stack_top - 124

TEST "RETF n gives both stacks their parameters back"
        GATE SEL_A, SEL_CS0, .target, PRESENT | DPL3 | CALL32, 2
        FAULTS DONE
        RING3
        push dword 0x44444444
        push dword 0x11111111
        push dword 0x22222222
        call SEL_A:0
        mov ebx, [esp]
        int DONE
.target:
        mov esi, [esp + 8]
        retf 8
        ENDF
        WANT [trap_cs], SEL_CS3
        WANT [trap_ebx], 0x44444444
        WANT [trap_esi], 0x22222222
        WANT [trap_esp], ring3_stack_top - 4
        WANT [trap_ss], SEL_DS3

TEST "RETF to ring 3 nulls segments that ring 3 may not use"
        mov ax, SEL_DS0
        mov fs, ax
        mov ax, SEL_DS3
        mov gs, ax
        FAULTS DONE
        push dword SEL_DS3
        push dword ring3_stack_top
        push dword SEL_CS3
        push dword .l
        retf
.l:
        ENDF
        WANT [trap_cs], SEL_CS3
        WANT [trap_entry_fs], 0
        WANT [trap_entry_gs], SEL_DS3
        WANT [trap_entry_ds], 0

TEST "call gate to ring 1"
        GATE SEL_A, SEL_CS1 & ~3, .target, PRESENT | DPL3 | CALL32, 1
        FAULTS DONE
        RING3
        push dword 0x5a5a5a5a
        call SEL_A:0
.target:
        mov ebx, [esp + 8]
        mov ecx, ss
        mov edx, esp
        ENDF
        WANT [trap_cs], SEL_CS1
        WANT [trap_ss], SEL_DS1
        WANT [trap_ebx], 0x5a5a5a5a
        WANT [trap_ecx], SEL_DS1
        WANT [trap_edx], ring1_stack_top - 20

TEST "16-bit call gate from ring 3 pushes words"
        GATE SEL_A, SEL_CS16, .target - IMAGE, PRESENT | DPL3 | CALL16, 2
        FAULTS 0x31
        RING3
        push word 0x1111
        push word 0x2222
        call SEL_A:0
.back:
bits 16
.target:
        int 0x31
bits 32
        ENDF
        ; the trap was taken from 16-bit code of ring 0 through a 32-bit gate
        WANT [trap_cs], SEL_CS16
        ON_STACK 0, (SEL_CS3 << 16) | ((.back - $$) & 0xffff)
        ON_STACK 1, 0x11112222
        mov ecx, ring3_stack_top - 4
        and ecx, 0xffff
        or ecx, SEL_DS3 << 16
        ON_STACK 2, ecx
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, trap_stack_top - 12

TEST "a call gate of ring 0 is closed to ring 3"
        GATE SEL_A, SEL_CS0, 0, PRESENT | CALL32
        FAULTS 13, SEL_A
        RING3
        AT
        call SEL_A:0
        ENDF

TEST "a gate's present bit, code segment, and the RPL of its selector"
        GATE SEL_A, SEL_CS0, 0, DPL3 | CALL32
        FAULTS 11, SEL_A
        AT
        call SEL_A:0
        ENDF
        GATE SEL_A, 0, 0, PRESENT | DPL3 | CALL32
        FAULTS 13, 0
        AT
        call SEL_A:0
        ENDF
        GATE SEL_A, SEL_DS0, 0, PRESENT | DPL3 | CALL32
        FAULTS 13, SEL_DS0
        AT
        call SEL_A:0
        ENDF
        GATE SEL_A, GDT_SIZE + 8, 0, PRESENT | DPL3 | CALL32
        FAULTS 13, GDT_SIZE + 8
        AT
        call SEL_A:0
        ENDF
        DESC SEL_B, 0, 0xfffff, CODE, FLAG_G | FLAG_D
        GATE SEL_A, SEL_B, 0, PRESENT | DPL3 | CALL32
        FAULTS 11, SEL_B
        AT
        call SEL_A:0
        ENDF
        ; the RPL of the selector counts
        GATE SEL_A, SEL_CS0, 0, PRESENT | CALL32
        FAULTS 13, SEL_A
        AT
        call SEL_A + 3:0
        ENDF
        ; ring 3 code from ring 0
        GATE SEL_A, SEL_CS3, 0, PRESENT | CALL32
        FAULTS 13, SEL_CS3 & ~3
        AT
        call SEL_A:0
        ENDF
        ; JMP does not change rings
        GATE SEL_A, SEL_CS0, 0, PRESENT | DPL3 | CALL32
        FAULTS 13, SEL_CS0
        RING3
        AT
        jmp SEL_A:0
        ENDF

TEST "stack of the inner ring: null, wrong ring, not present"
        GATE SEL_A, SEL_CS1 & ~3, 0, PRESENT | DPL3 | CALL32
        mov dword [tss + TSS_SS1], 0
        FAULTS 10, 0
        RING3
        AT
        call SEL_A:0
        ENDF
        WANT [trap_cs], SEL_CS3
        mov dword [tss + TSS_SS1], SEL_DS3
        FAULTS 10, SEL_DS3 & ~3
        RING3
        AT
        call SEL_A:0
        ENDF
        mov dword [tss + TSS_SS1], SEL_CS1
        FAULTS 10, SEL_CS1 & ~3
        RING3
        AT
        call SEL_A:0
        ENDF
        and byte [gdt + (SEL_DS1 & ~3) + 5], 0x7f
        mov dword [tss + TSS_SS1], SEL_DS1
        FAULTS 12, SEL_DS1 & ~3
        RING3
        AT
        call SEL_A:0
        ENDF

TEST "inner stack without room is #SS"
        GATE SEL_A, SEL_CS1 & ~3, 0, PRESENT | DPL3 | CALL32
        DESC SEL_B, ring1_stack_top - 4096, 0xfff, PRESENT | 0x20 | DATA, FLAG_D
        mov dword [tss + TSS_SS1], SEL_B + 1
        mov dword [tss + TSS_ESP1], 12
        FAULTS 12, SEL_B
        RING3
        AT
        call SEL_A:0
        ENDF

TEST "INT from ring 3 through a trap gate to ring 1"
        IDTGATE 0x40, SEL_CS1 & ~3, .h, PRESENT | DPL3 | TRAP32
        FAULTS DONE
        RING3
        int 0x40
.back:
.h:     mov ebx, [esp]
        mov ecx, [esp + 4]
        mov edx, [esp + 12]
        mov esi, [esp + 16]
        mov edi, esp
        ENDF
        WANT [trap_cs], SEL_CS1
        WANT [trap_ebx], .back
        WANT [trap_ecx], SEL_CS3
        WANT [trap_edx], ring3_stack_top
        WANT [trap_esi], SEL_DS3
        WANT [trap_edi], ring1_stack_top - 20

TEST "16-bit interrupt gate from ring 3"
        IDTGATE 0x40, SEL_CS16, .h - IMAGE, PRESENT | DPL3 | INT16
        FAULTS 0x31
        RING3
        int 0x40
.back:
bits 16
.h:     int 0x31
bits 32
        ENDF
        ON_STACK 0, (SEL_CS3 << 16) | ((.back - $$) & 0xffff)
        mov eax, [trap_entry_esp]
        movzx ecx, word [eax + 16 + 6]
        mov edx, ring3_stack_top
        and edx, 0xffff
        WANT ecx, edx
        movzx ecx, word [eax + 16 + 8]
        WANT ecx, SEL_DS3
        add eax, 16
        WANT eax, trap_stack_top - 10

TEST "conforming handler keeps ring 3 and its stack"
        DESC SEL_A, 0, 0xfffff, PRESENT | CONF, FLAG_G | FLAG_D
        IDTGATE 0x40, SEL_A, .h, PRESENT | DPL3 | INT32
        FAULTS DONE
        RING3
        int 0x40
.h:     mov edx, esp
        ENDF
        WANT [trap_cs], SEL_A | 3
        WANT [trap_edx], ring3_stack_top - 12

TEST "IRET to the same ring and to 16-bit code"
        pushfd
        push dword SEL_CS16
        push dword .l - IMAGE
        FAULTS 0x31
        iretd
bits 16
.l:     int 0x31
bits 32
        ENDF
        WANT [trap_cs], SEL_CS16

TEST "IRET to ring 3 takes IOPL and IF from ring 0, nulls segments"
        FAULTS DONE
        RING3 0x3202
        ENDF
        mov eax, [trap_eflags]
        and eax, 0x3200
        WANT eax, 0x3200
        WANT [trap_entry_fs], 0

TEST "ring 3 cannot change IOPL, nor IF without IOPL"
        FAULTS DONE
        RING3 0x202
        push dword 0x3002
        popfd
        ENDF
        mov eax, [trap_eflags]
        and eax, 0x3200
        WANT eax, 0x200
        FAULTS DONE
        RING3 0x3202
        push dword 0x0002
        popfd
        ENDF
        mov eax, [trap_eflags]
        and eax, 0x3200
        WANT eax, 0x3000

TEST "IRET in ring 3 cannot change IOPL"
        FAULTS DONE
        RING3 0x202
        push dword 0x3002
        push cs
        push dword .l
        iretd
.l:
        ENDF
        mov eax, [trap_eflags]
        and eax, 0x3200
        WANT eax, 0x200

TEST "IRET faults: null CS, data CS, ring, stack"
        push dword 2
        push dword 0
        push dword 0
        FAULTS 13, 0
        AT
        iretd
        ENDF
        mov dword [esp + 4], SEL_DS0
        FAULTS 13, SEL_DS0
        AT
        iretd
        ENDF
        push dword 0
        push dword ring3_stack_top
        push dword 2
        push dword SEL_CS3
        push dword .never
        FAULTS 13, 0
        AT
        iretd
        ENDF
        mov dword [esp + 16], SEL_DS0
        FAULTS 13, SEL_DS0
        AT
        iretd
        ENDF
        DESC SEL_A, 0, 0xfffff, DPL3 | DATA, FLAG_G | FLAG_D
        mov dword [esp + 16], SEL_A + 3
        FAULTS 12, SEL_A
        AT
        iretd
        ENDF
.never: nop

TEST "IRET from ring 3 to ring 0 is #GP"
        FAULTS 13, SEL_CS0
        RING3
        push dword 2
        push dword SEL_CS0
        push dword 0
        AT
        iretd
        ENDF

TEST "a 16-bit inner stack, ESP loaded as a whole"
        DESC SEL_B, trap_stack_top - 0x8000, 0xffff, PRESENT | DATA, 0
        mov dword [tss + TSS_SS0], SEL_B
        mov dword [tss + TSS_ESP0], 0x8000
        FAULTS DONE
        RING3
        ENDF
        WANT [trap_entry_ss], SEL_B
        mov eax, [trap_entry_esp]
        and eax, 0xffff
        WANT eax, 0x8000 - 24

%macro PORT 3+          ; IOPL flags, vector, instruction
        FAULTS %2
        RING3 %1
        mov dx, 0x80
        xor eax, eax
        AT
        %3
        ENDF
%endmacro
%macro PORTOK 2+        ; flags, instruction
        FAULTS DONE
        RING3 %1
        mov dx, 0x80
        xor eax, eax
        %2
        ENDF
%endmacro

TEST "IOPL 3 opens all ports"
        PORTOK 0x3002, out dx, al
        PORTOK 0x3002, in al, dx
        PORTOK 0x3002, cli

TEST "I/O bitmap: a bit a port"
        mov word [tss + TSS_IOMAP], 104
        mov edi, tss + 104
        mov ecx, 8192 / 4
        or eax, -1
        rep stosd
        mov byte [edi], 0xff
        and byte [tss + 104 + 0x80 / 8], ~1
        DESC SEL_TSS, tss, 104 + 8192, PRESENT | TSS32, 0
        mov ax, SEL_TSS
        ltr ax
        PORTOK 2, out dx, al
        PORTOK 2, out 0x80, al
        PORT 2, 13, out dx, ax          ; port 81h is closed
        PORT 2, 13, out dx, eax
        PORT 2, 13, in ax, dx
        PORT 2, 13, out 0x81, al
        PORT 2, 13, out 0x7f, al
        PORT 2, 13, out 0x7f, ax
        and byte [tss + 104 + 0x80 / 8], ~0x0f
        PORTOK 2, out dx, eax
        PORTOK 2, out dx, ax

TEST "I/O bitmap: a word across a byte of the map"
        mov word [tss + TSS_IOMAP], 104
        mov edi, tss + 104
        mov ecx, 64
        or eax, -1
        rep stosd
        and byte [tss + 104 + 0x80 / 8], 0x7f
        and byte [tss + 104 + 0x88 / 8], 0xfe
        DESC SEL_TSS, tss, 104 + 32, PRESENT | TSS32, 0
        mov ax, SEL_TSS
        ltr ax
        PORTOK 2, in ax, 0x87
        PORT 2, 13, in eax, 0x87
        PORT 2, 13, in ax, 0x86

TEST "I/O bitmap ends with the TSS limit"
        mov word [tss + TSS_IOMAP], 104
        mov edi, tss + 104
        mov ecx, 64
        xor eax, eax
        rep stosd
        DESC SEL_TSS, tss, 104 + 0x80 / 8, PRESENT | TSS32, 0
        mov ax, SEL_TSS
        ltr ax
        PORTOK 2, out 0x70, al
        PORT 2, 13, out 0x80, al        ; two bytes of the map are read for any port
        PORT 2, 13, out 0x90, al

FINISH
