; sysenter: SYSENTER and SYSEXIT: MSRs, flat segments, flags, faults. SDM 2B SYSENTER, SYSEXIT; 3A 5.8.7.
%include "lib/rom.inc"

SYSENTER_CS     equ 0x174
SYSENTER_ESP    equ 0x175
SYSENTER_EIP    equ 0x176

%macro SETMSR 2
        mov ecx, %1
        mov eax, %2
        xor edx, edx
        wrmsr
%endmacro
; the four descriptors that SYSENTER_CS = SEL_A stands for need not be there: nothing is read from the GDT
%macro FAST 1
        SETMSR SYSENTER_CS, SEL_A
        SETMSR SYSENTER_ESP, trap_stack_top - 256
        SETMSR SYSENTER_EIP, %1
%endmacro

main:
TEST "the MSRs keep what is written"
        SETMSR SYSENTER_CS, 0x1234
        SETMSR SYSENTER_ESP, 0x12345678
        SETMSR SYSENTER_EIP, 0x9abcdef0
        mov ecx, SYSENTER_CS
        rdmsr
        movzx eax, ax
        WANT eax, 0x1234
        mov ecx, SYSENTER_ESP
        rdmsr
        WANT eax, 0x12345678
        WANT edx, 0
        mov ecx, SYSENTER_EIP
        rdmsr
        WANT eax, 0x9abcdef0

TEST "SYSENTER: selectors, stack, flags"
        FAST .entry
        ; for the trap back, whose gate keeps the ring: descriptors as SYSENTER makes them
        DESC SEL_A, 0, 0xfffff, PRESENT | CODE, FLAG_G | FLAG_D
        DESC SEL_B, 0, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        FAULTS DONE
        RING3 0x3202
        mov ebp, 0x77
        sysenter
.entry: mov eax, cs
        mov ebx, ss
        mov ecx, esp
        mov edx, ds
        pushfd
        pop esi
        ENDF
        WANT [trap_eax], SEL_A
        WANT [trap_ebx], SEL_B
        WANT [trap_ecx], trap_stack_top - 256
        WANT [trap_edx], SEL_DS3        ; not touched
        WANT [trap_ebp], 0x77
        mov eax, [trap_esi]
        and eax, EFL_IF | EFL_VM | EFL_RF
        WANT eax, 0

TEST "SYSENTER from ring 0"
        DESC SEL_A, 0, 0xfffff, PRESENT | CODE, FLAG_G | FLAG_D
        DESC SEL_B, 0, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        FAST .entry
        FAULTS DONE
        sysenter
        ud2
.entry:
        ENDF
        WANT [trap_cs], SEL_A

TEST "the GDT is not read"
        FAST .entry
        FAULTS DONE
        RING3
        sysenter
.entry: mov eax, cs
        mov ebx, [esp - 4]
        jmp SEL_CS0:.back               ; the empty descriptors would not take a trap's IRET
.back:  mov cx, SEL_DS0
        mov ss, cx
        ENDF
        WANT [trap_eax], SEL_A

TEST "SYSEXIT: to ring 3 with EDX and ECX"
        SETMSR SYSENTER_CS, SEL_A
        DESC SEL_C, 0, 0xfffff, PRESENT | DPL3 | CODE, FLAG_G | FLAG_D
        DESC SEL_D, 0, 0xfffff, PRESENT | DPL3 | DATA, FLAG_G | FLAG_D
        mov edx, .user
        mov ecx, ring3_stack_top - 64
        FAULTS DONE
        sysexit
        ud2
.user:  mov eax, ds
        mov ebx, ss
        ENDF
        WANT [trap_cs], SEL_C | 3
        WANT [trap_ss], SEL_D | 3
        WANT [trap_esp], ring3_stack_top - 64
        WANT [trap_ebx], SEL_D | 3

TEST "there and back"
        FAST .entry
        DESC SEL_C, 0, 0xfffff, PRESENT | DPL3 | CODE, FLAG_G | FLAG_D
        DESC SEL_D, 0, 0xfffff, PRESENT | DPL3 | DATA, FLAG_G | FLAG_D
        FAULTS DONE
        RING3
        mov edi, 1000
        xor esi, esi
.loop:  mov ebp, esp
        sysenter
.entry: inc esi
        mov edx, .return
        mov ecx, ebp
        sysexit
.return:
        dec edi
        jnz .loop
        ENDF
        WANT [trap_esi], 1000
        WANT [trap_esp], ring3_stack_top

TEST "a null SYSENTER_CS is #GP(0)"
        SETMSR SYSENTER_CS, 0
        FAULTS 13, 0
        RING3
        AT
        sysenter
        ENDF
        FAULTS 13, 0
        AT
        sysexit
        ENDF
        SETMSR SYSENTER_CS, 3
        FAULTS 13, 0
        RING3
        AT
        sysenter
        ENDF

TEST "SYSEXIT in ring 3 is #GP(0)"
        SETMSR SYSENTER_CS, SEL_A
        FAULTS 13, 0
        RING3
        AT
        sysexit
        ENDF

TEST "the RPL in SYSENTER_CS does not matter"
        DESC SEL_A, 0, 0xfffff, PRESENT | CODE, FLAG_G | FLAG_D
        DESC SEL_B, 0, 0xfffff, PRESENT | DATA, FLAG_G | FLAG_D
        FAST .entry
        SETMSR SYSENTER_CS, SEL_A | 3
        FAULTS DONE
        RING3
        sysenter
.entry: mov eax, cs
        mov ebx, ss
        ENDF
        WANT [trap_eax], SEL_A
        WANT [trap_ebx], SEL_B

FINISH
