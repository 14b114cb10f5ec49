; segments: limits and types on data access, loads and their privilege, the accessed bit, LAR LSL VERR VERW ARPL.
; SDM 3A chapter 5, 3.4.
%include "lib/rom.inc"

; load of ax into a segment register that must fault
%macro BADLOAD 4        ; register, selector, vector, error
        mov ax, %2
        FAULTS %3, %4
        AT
        mov %1, ax
        ENDF
%endmacro

%macro GOODLOAD 2
        mov ax, %2
        FAULTS DONE
        mov %1, ax
        ENDF
%endmacro

main:
TEST "null selectors load into data segments and fault on use"
        xor eax, eax
        mov fs, ax
        mov ax, 3
        mov gs, ax
        mov eax, gs
        WANT eax, 3
        FAULTS 13, 0
        AT
        mov eax, [fs:scratch]
        ENDF
        FAULTS 13, 0
        AT
        mov [gs:scratch], al
        ENDF

TEST "a null selector in SS is #GP(0)"
        BADLOAD ss, 0, 13, 0
        BADLOAD ss, 3, 13, 0

TEST "selectors beyond the GDT and in the LDT"
        BADLOAD es, GDT_SIZE, 13, GDT_SIZE
        BADLOAD es, GDT_SIZE + 3, 13, GDT_SIZE
        BADLOAD es, 4, 13, 4                    ; LDTR is null
        mov ax, SEL_LDT
        lldt ax
        BADLOAD es, 8 + 4, 13, 8 + 4            ; an empty descriptor of the LDT
        BADLOAD es, 64 + 4, 13, 64 + 4
        mov dword [ldt + 8], 0x0000ffff
        mov dword [ldt + 12], 0x00cf9200
        GOODLOAD es, 8 + 4
        ; an LDT selector of index 0 is not null
        mov dword [ldt], 0x0000ffff
        mov dword [ldt + 4], 0x00cf9200
        GOODLOAD fs, 4
        mov dword [scratch], 0x12345678
        mov eax, [fs:scratch]
        WANT eax, 0x12345678

TEST "types that DS refuses"
        DESC SEL_A, 0, 0xfffff, PRESENT | XCODE, FLAG_G | FLAG_D
        BADLOAD ds, SEL_A, 13, SEL_A
        BADLOAD ds, SEL_TSS, 13, SEL_TSS
        BADLOAD ds, SEL_LDT, 13, SEL_LDT
        DESC SEL_A, 0, 0xfffff, DATA, FLAG_G | FLAG_D
        BADLOAD ds, SEL_A, 11, SEL_A
        ; the type comes before the present bit
        DESC SEL_A, 0, 0xfffff, XCODE, FLAG_G | FLAG_D
        BADLOAD ds, SEL_A, 13, SEL_A

TEST "types that SS refuses"
        DESC SEL_A, 0, 0xfffff, PRESENT | RODATA, FLAG_G | FLAG_D
        BADLOAD ss, SEL_A, 13, SEL_A
        BADLOAD ss, SEL_CS0, 13, SEL_CS0
        DESC SEL_A, 0, 0xfffff, DATA, FLAG_G | FLAG_D
        BADLOAD ss, SEL_A, 12, SEL_A
        BADLOAD ss, SEL_DS3, 13, SEL_DS3 & ~3
        BADLOAD ss, SEL_DS3 & ~3, 13, SEL_DS3 & ~3
        BADLOAD ss, SEL_DS0 + 1, 13, SEL_DS0

TEST "privilege of data segment loads"
        FAULTS 13, SEL_DS0
        RING3
        mov ax, SEL_DS0
        AT
        mov es, ax
        ENDF
        FAULTS 13, SEL_DS1 & ~3
        RING3
        mov ax, SEL_DS1 | 3
        AT
        mov es, ax
        ENDF
        BADLOAD es, SEL_DS0 + 3, 13, SEL_DS0
        BADLOAD es, SEL_DS1 + 1, 13, SEL_DS1 & ~3
        GOODLOAD es, SEL_DS3
        GOODLOAD es, SEL_DS1
        ; conforming code may be read from anywhere
        DESC SEL_A, 0, 0xfffff, PRESENT | CONF, FLAG_G | FLAG_D
        FAULTS DONE
        RING3
        mov ax, SEL_A | 3
        mov es, ax
        ENDF
        ; readable code that does not conform obeys privilege
        FAULTS 13, SEL_CS0
        RING3
        mov ax, SEL_CS0 | 3
        AT
        mov es, ax
        ENDF

TEST "the accessed bit is set by a load"
        DESC SEL_A, 0, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        mov ax, SEL_A
        mov fs, ax
        movzx eax, byte [gdt + SEL_A + 5]
        WANT eax, PRESENT | DATA | 1
        DESC SEL_A, 0, 0xfffff, PRESENT | CODE, FLAG_G | FLAG_D
        jmp SEL_A:.l
.l:     movzx eax, byte [gdt + SEL_A + 5]
        WANT eax, PRESENT | CODE | 1
        DESC SEL_A, 0, 0xfffff, DATA, FLAG_G | FLAG_D
        BADLOAD fs, SEL_A, 11, SEL_A
        movzx eax, byte [gdt + SEL_A + 5]
        WANT eax, DATA

TEST "the descriptor cache outlives the table"
        DESC SEL_A, 0x1000, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        mov ax, SEL_A
        mov fs, ax
        mov dword [gdt + SEL_A], 0
        mov dword [gdt + SEL_A + 4], 0
        mov dword [scratch], 0x55aa
        mov eax, [fs:scratch - 0x1000]
        WANT eax, 0x55aa

TEST "writes to read-only data and to code"
        DESC SEL_A, 0, 0xfffff, PRESENT | RODATA, FLAG_G | FLAG_D
        mov ax, SEL_A
        mov fs, ax
        mov eax, [fs:scratch]
        FAULTS 13, 0
        AT
        mov [fs:scratch], eax
        ENDF
        FAULTS 13, 0
        AT
        inc dword [fs:scratch]
        ENDF
        FAULTS 13, 0
        AT
        xchg eax, [fs:scratch]
        ENDF
        FAULTS 13, 0
        AT
        mov [cs:scratch], eax
        ENDF
        mov ax, SEL_A
        mov es, ax
        mov edi, scratch
        FAULTS 13, 0
        AT
        stosd
        ENDF
        WANT [trap_edi], scratch

TEST "reads of code that is not readable"
        DESC SEL_A, 0, 0xfffff, PRESENT | XCODE, FLAG_G | FLAG_D
        jmp SEL_A:.l
.l:     FAULTS 13, 0
        AT
        mov eax, [cs:scratch]
        ENDF

%macro LIMITS 2         ; selector in fs, first offset beyond
        mov ax, %1
        mov fs, ax
        FAULTS DONE
        mov al, [fs:%2 - 1]
        mov ax, [fs:%2 - 2]
        mov eax, [fs:%2 - 4]
        mov [fs:%2 - 1], al
        fld qword [fs:%2 - 8]
        fstp st0
        ENDF
        FAULTS 13, 0
        AT
        mov al, [fs:%2]
        ENDF
        FAULTS 13, 0
        AT
        mov ax, [fs:%2 - 1]
        ENDF
        FAULTS 13, 0
        AT
        mov [fs:%2 - 3], eax
        ENDF
        FAULTS 13, 0
        AT
        fld qword [fs:%2 - 7]
        ENDF
        FAULTS 13, 0
        AT
        push dword [fs:%2 - 2]
        ENDF
%endmacro

TEST "limit of a byte-granular segment"
        fninit
        DESC SEL_A, scratch, 0xff, PRESENT | DATA, FLAG_D
        LIMITS SEL_A, 0x100

TEST "limit of a page-granular segment"
        fninit
        DESC SEL_A, scratch, 0, PRESENT | DATA, FLAG_G | FLAG_D
        LIMITS SEL_A, 0x1000

TEST "expand-down segment, B = 1"
        DESC SEL_A, scratch, 0xfff, PRESENT | DOWN, FLAG_D
        mov ax, SEL_A
        mov fs, ax
        FAULTS DONE
        mov al, [fs:0x1000]
        mov eax, [fs:0x1000]
        mov [fs:0x1ffc], eax
        ENDF
        FAULTS 13, 0
        AT
        mov al, [fs:0xfff]
        ENDF
        FAULTS 13, 0
        AT
        mov eax, [fs:0xffe]
        ENDF
        FAULTS 13, 0
        AT
        mov [fs:0], al
        ENDF
        FAULTS 13, 0
        AT
        mov eax, [fs:0xfffffffd]        ; wraps
        ENDF

TEST "expand-down segment, B = 0: ends at FFFFh"
        DESC SEL_A, scratch, 0xfff, PRESENT | DOWN, 0
        mov ax, SEL_A
        mov fs, ax
        FAULTS DONE
        mov al, [fs:0xffff]
        mov eax, [fs:0xfffc]
        mov eax, [fs:0x1000]
        ENDF
        FAULTS 13, 0
        AT
        mov al, [fs:0x10000]
        ENDF
        FAULTS 13, 0
        AT
        mov eax, [fs:0xfffd]
        ENDF
        FAULTS 13, 0
        AT
        mov al, [fs:0xfff]
        ENDF

TEST "expand-down segment, page-granular"
        DESC SEL_A, scratch, 0, PRESENT | DOWN, FLAG_G | FLAG_D
        mov ax, SEL_A
        mov fs, ax
        FAULTS DONE
        mov al, [fs:0x1000]
        ENDF
        FAULTS 13, 0
        AT
        mov al, [fs:0xfff]
        ENDF

TEST "stack segment limit is #SS(0)"
        ; handlers push on this stack too, so it is large enough for them: ring 0 keeps SS
        DESC SEL_A, scratch, 0xfff, PRESENT | DATA, FLAG_D
        mov ax, SEL_A
        FAULTS 12, 0
        mov ss, ax
        mov esp, 0x800
        AT
        mov eax, [esp + 0x7fd]
        ENDF
        mov ax, SEL_A
        FAULTS 12, 0
        mov ss, ax
        mov esp, 0x800
        mov ebp, 0xffe
        AT
        mov [ebp], eax
        ENDF
        mov ax, SEL_A
        FAULTS 13, 0
        mov ss, ax
        mov esp, 0x800
        DESC SEL_B, scratch, 0xfff, PRESENT | DATA, FLAG_D
        mov ax, SEL_B
        mov fs, ax
        mov ebp, 0xffe
        AT
        mov [fs:ebp], eax
        ENDF

TEST "push beyond a stack's limit is #SS(0), in ring 3"
        DESC SEL_A, scratch, 0xff, PRESENT | DPL3 | DATA, FLAG_D
        FAULTS 12, 0
        RING3
        mov ax, SEL_A | 3
        mov ss, ax
        mov esp, 0x102
        AT
        push eax
        ENDF
        WANT [trap_esp], 0x102
        FAULTS 12, 0
        RING3
        mov ax, SEL_A | 3
        mov ss, ax
        mov esp, 0xfe
        AT
        pop eax
        ENDF
        WANT [trap_esp], 0xfe
        FAULTS 12, 0
        RING3
        mov ax, SEL_A | 3
        mov ss, ax
        mov esp, 0x2
        AT
        call .never
        ENDF
        FAULTS DONE
        RING3
        mov ax, SEL_A | 3
        mov ss, ax
        mov esp, 0x100
        push eax
        pop eax
        ENDF
        jmp .end
.never: ret
.end:

TEST "code beyond the limit is #GP(0)"
        DESC SEL_A, IMAGE, .cut - IMAGE - 1, PRESENT | CODE, FLAG_D
        FAULTS 13, 0
        jmp SEL_A:.l - IMAGE
.l:     nop
.jump:  jmp .cut
        nop
.cut:   ENDF
        WANT [trap_cs], SEL_A
        WANT [trap_eip], .jump - IMAGE

TEST "running over the limit is #GP(0)"
        DESC SEL_A, IMAGE, .cut - IMAGE - 1, PRESENT | CODE, FLAG_D
        FAULTS 13, 0
        jmp SEL_A:.l - IMAGE
.l:     mov eax, 0x11
        inc eax
.cut:   ENDF
        WANT [trap_cs], SEL_A
        WANT [trap_eip], .cut - IMAGE
        WANT [trap_eax], 0x12

TEST "CS limit ends inside an instruction"
        DESC SEL_A, IMAGE, .cut - IMAGE - 1, PRESENT | CODE, FLAG_D
        FAULTS 13, 0
        jmp SEL_A:.l - IMAGE
.l:     nop
.at:    db 0xb8, 1, 2                   ; mov eax, imm32 whose last bytes lie beyond
.cut:   db 3, 4
        ENDF
        WANT [trap_cs], SEL_A
        WANT [trap_eip], .at - IMAGE

TEST "far jump beyond the limit is #GP(0)"
        DESC SEL_A, 0, 0xfff, PRESENT | CODE, FLAG_D
        FAULTS 13, 0
        AT
        jmp SEL_A:0x1000
        ENDF
        WANT [trap_cs], SEL_CS0

TEST "far transfers to segments that are no code"
        FAULTS 13, SEL_DS0
        AT
        jmp SEL_DS0:0
        ENDF
        FAULTS 13, 0
        AT
        jmp 0:0
        ENDF
        FAULTS 13, SEL_LDT
        AT
        call SEL_LDT:0
        ENDF
        FAULTS 13, GDT_SIZE
        AT
        jmp GDT_SIZE:0
        ENDF
        DESC SEL_A, 0, 0xfffff, CODE, FLAG_G | FLAG_D
        FAULTS 11, SEL_A
        AT
        jmp SEL_A:0
        ENDF
        FAULTS 13, SEL_CS3 & ~3
        AT
        jmp SEL_CS3:0
        ENDF
        FAULTS 13, SEL_CS0
        RING3
        AT
        jmp SEL_CS0:0
        ENDF
        FAULTS 13, SEL_CS0
        RING3
        AT
        call SEL_CS0 | 3:0
        ENDF

TEST "conforming code runs with the caller's privilege"
        DESC SEL_A, 0, 0xfffff, PRESENT | CONF, FLAG_G | FLAG_D
        FAULTS 13, 0
        RING3
        jmp SEL_A:.l
.l:
        AT
        hlt
        ENDF
        WANT [trap_cs], SEL_A | 3
        ; but not to a lower privilege
        DESC SEL_A, 0, 0xfffff, PRESENT | DPL3 | CONF, FLAG_G | FLAG_D
        FAULTS 13, SEL_A
        AT
        jmp SEL_A:0
        ENDF

%macro RIGHTS 5         ; selector, LAR (or NONE), LSL (or NONE), VERR, VERW
        mov ecx, NONE
        mov edx, NONE
        mov eax, %1
        lar ecx, eax
        jnz %%none
        and ecx, 0x00f0ff00             ; 19:16 are undefined
        jmp %%a
%%none: mov ecx, NONE
%%a:    lsl edx, eax
        jz %%b
        mov edx, NONE
%%b:    mov esi, 1
        verr ax
        jz %%c
        dec esi
%%c:    mov edi, 1
        verw ax
        jz %%d
        dec edi
%%d:
        WANT ecx, %2
        WANT edx, %3
        WANT esi, %4
        WANT edi, %5
%endmacro

TEST "LAR LSL VERR VERW of segments"
        RIGHTS SEL_CS0, 0x00c09b00, 0xffffffff, 1, 0
        RIGHTS SEL_DS0, 0x00c09300, 0xffffffff, 1, 1
        RIGHTS SEL_DS0 + 3, NONE, NONE, 0, 0
        RIGHTS 0, NONE, NONE, 0, 0
        RIGHTS GDT_SIZE, NONE, NONE, 0, 0
        RIGHTS SEL_A, NONE, NONE, 0, 0
        RIGHTS 4, NONE, NONE, 0, 0
        DESC SEL_A, 0, 0x12345, PRESENT | RODATA, FLAG_D
        RIGHTS SEL_A, 0x00409000, 0x12345, 1, 0
        DESC SEL_A, 0, 0x12345, XCODE, FLAG_G
        RIGHTS SEL_A, 0x00801800, 0x12345fff, 0, 0
        DESC SEL_A, 0, 0x12345, PRESENT | CONF, FLAG_G
        RIGHTS SEL_A + 3, 0x00809e00, 0x12345fff, 1, 0

TEST "LAR and LSL of system descriptors"
        RIGHTS SEL_TSS, 0x00008b00, 103, 0, 0
        RIGHTS SEL_TSS2, 0x00008900, 103, 0, 0
        RIGHTS SEL_LDT, 0x00008200, 63, 0, 0
        GATE SEL_A, SEL_CS0, 0x12345678, PRESENT | CALL32, 0
        RIGHTS SEL_A, 0x00308c00, NONE, 0, 0 ; bits of its offset
        GATE SEL_A, SEL_CS0, 0, PRESENT | CALL16, 3
        RIGHTS SEL_A, 0x00008400, NONE, 0, 0
        GATE SEL_A, SEL_TSS2, 0, PRESENT | TASKGATE, 0
        RIGHTS SEL_A, 0x00008500, NONE, 0, 0
        GATE SEL_A, SEL_CS0, 0, PRESENT | INT32, 0
        RIGHTS SEL_A, NONE, NONE, 0, 0
        DESC SEL_A, 0, 0x67, PRESENT | TSS16, 0
        RIGHTS SEL_A, 0x00008100, 0x67, 0, 0

TEST "LAR and LSL write 16 bits with a 16-bit operand"
        mov ecx, 0x11111111
        mov eax, SEL_DS0
        lar cx, ax
        WANT ecx, 0x11119300
        mov ecx, 0x22222222
        DESC SEL_A, 0, 0x12345, PRESENT | DATA, 0
        mov eax, SEL_A
        lsl cx, ax
        WANT ecx, 0x22222345

TEST "LAR in ring 3 sees what ring 3 may see"
        FAULTS DONE
        RING3
        mov ecx, NONE
        mov eax, SEL_DS0
        lar ecx, eax
        setz bl
        mov eax, SEL_DS3
        lar edx, eax
        setz bh
        and edx, 0x00f0ff00
        ENDF
        movzx eax, word [trap_ebx]
        WANT eax, 0x0100
        WANT [trap_ecx], NONE
        WANT [trap_edx], 0x00c0f300

TEST "ARPL"
        mov ecx, SEL_DS0
        mov edx, SEL_DS3
        arpl cx, dx
        setz al
        movzx eax, al
        WANT eax, 1
        WANT ecx, SEL_DS0 + 3
        arpl cx, dx
        setz al
        movzx eax, al
        WANT eax, 0
        mov ecx, SEL_DS0 + 3
        mov edx, 1
        arpl cx, dx
        setz al
        movzx eax, al
        WANT eax, 0
        WANT ecx, SEL_DS0 + 3

TEST "LLDT and LTR refuse other types"
        mov ax, SEL_TSS
        FAULTS 13, SEL_TSS
        AT
        lldt ax
        ENDF
        mov ax, SEL_LDT
        FAULTS 13, SEL_LDT
        AT
        ltr ax
        ENDF
        xor eax, eax
        FAULTS 13, 0
        AT
        ltr ax
        ENDF
        mov ax, SEL_TSS                 ; busy
        FAULTS 13, SEL_TSS
        AT
        ltr ax
        ENDF
        DESC SEL_TSS2, tss2, 103, TSS32, 0
        mov ax, SEL_TSS2
        FAULTS 11, SEL_TSS2
        AT
        ltr ax
        ENDF
        DESC SEL_LDT, ldt, 63, LDT, 0
        mov ax, SEL_LDT
        FAULTS 11, SEL_LDT
        AT
        lldt ax
        ENDF
        FAULTS 13, 8 + 4
        mov ax, 8 + 4
        AT
        lldt ax
        ENDF

TEST "stores of system registers"
        sgdt [scratch]
        movzx eax, word [scratch]
        WANT eax, GDT_SIZE - 1
        WANT [scratch + 2], gdt
        sidt [scratch]
        movzx eax, word [scratch]
        WANT eax, 0x7ff
        WANT [scratch + 2], idt
        str eax
        WANT eax, SEL_TSS
        mov ax, SEL_LDT
        lldt ax
        sldt eax
        WANT eax, SEL_LDT
        mov ecx, cr0
        smsw eax
        WANT eax, ecx

TEST "MOV from a segment register fills the upper half"
        mov eax, 0xffffffff
        mov eax, ds
        WANT eax, SEL_DS0
        mov dword [scratch], 0xffffffff
        mov [scratch], ds
        WANT [scratch], 0xffff0000 | SEL_DS0
        mov ebx, 0xffffffff
        mov bx, ds
        WANT ebx, 0xffff0000 | SEL_DS0

TEST "segment bases wrap at 4 GiB"
        DESC SEL_A, scratch + 0x1000, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        mov ax, SEL_A
        mov fs, ax
        mov dword [scratch], 0x600d600d
        mov eax, [fs:-0x1000]
        WANT eax, 0x600d600d

TEST "a 16-bit stack segment uses SP"
        DESC SEL_A, scratch, 0xffff, PRESENT | DPL3 | DATA, 0
        FAULTS DONE
        RING3
        mov eax, SEL_A | 3
        mov ss, ax
        mov esp, 0xabcd0004
        push dword 0x01020304
        push dword 0x05060708
        ENDF
        WANT [trap_esp], 0xabcdfffc
        WANT [scratch], 0x01020304
        WANT [scratch + 0xfffc], 0x05060708

FINISH

section .bss
        alignb 4096
scratch: resb 0x10010
