; msr: RDMSR and WRMSR: registers that keep their value, reserved bits, registers that do not exist; the TSC.
; SDM 4; 3A 9.4, 11.11, 11.12; 3B 17.17.
%include "lib/rom.inc"

TSC             equ 0x10
APIC_BASE       equ 0x1b
MTRRCAP         equ 0xfe
MTRR_PHYSBASE0  equ 0x200
MTRR_FIX64K     equ 0x250
MTRR_DEF_TYPE   equ 0x2ff
PAT             equ 0x277
EFER            equ 0xc0000080
TSC_AUX         equ 0xc0000103

%macro SETMSR 2-3 0
        mov ecx, %1
        mov eax, %2
        mov edx, %3
        wrmsr
%endmacro
%macro MSR_IS 2-3 0
        mov ecx, %1
        rdmsr
        WANT eax, %2
        WANT edx, %3
%endmacro

main:
TEST "registers that do not exist are #GP(0)"
        mov ecx, 0x12345678
        FAULTS 13, 0
        AT
        rdmsr
        ENDF
        FAULTS 13, 0
        AT
        wrmsr
        ENDF
        mov ecx, 0xc0001fff
        FAULTS 13, 0
        AT
        rdmsr
        ENDF

TEST "RDMSR leaves the registers when it faults"
        mov ecx, 0x12345678
        mov eax, 0x1111
        mov edx, 0x2222
        FAULTS 13, 0
        rdmsr
        ENDF
        WANT [trap_eax], 0x1111
        WANT [trap_edx], 0x2222

TEST "the TSC counts up, RDTSC and the MSR are one"
        rdtsc
        mov esi, eax
        mov edi, edx
        mov ecx, 1000
.spin:  loop .spin
        mov ecx, TSC
        rdmsr
        mov ebx, eax
        mov ebp, edx
        rdtsc
        ; edx:eax >= ebp:ebx > edi:esi
        sub eax, ebx
        sbb edx, ebp
        sbb ecx, ecx
        WANT ecx, 0
        sub esi, ebx
        sbb edi, ebp
        sbb ecx, ecx
        WANT ecx, NONE

TEST "the TSC can be written"
        SETMSR TSC, 0, 0x100
        rdtsc
        WANT edx, 0x100

TEST "RDTSC in ring 3 and TSD"
        FAULTS DONE
        RING3
        rdtsc
        ENDF
        mov eax, cr4
        or eax, 4
        mov cr4, eax
        FAULTS 13, 0
        RING3
        AT
        rdtsc
        ENDF
        rdtsc
        mov eax, cr4
        and eax, ~4
        mov cr4, eax

TEST "RDTSCP gives TSC_AUX, and obeys TSD"
        mov eax, 0x80000001
        cpuid
        test edx, 1 << 27
        jz .end
        SETMSR TSC_AUX, 0x5a5a
        rdtscp
        WANT ecx, 0x5a5a
        mov eax, cr4
        or eax, 4
        mov cr4, eax
        FAULTS 13, 0
        RING3
        AT
        rdtscp
        ENDF
        mov eax, cr4
        and eax, ~4
        mov cr4, eax
.end:

TEST "EFER: NXE can be set, reserved bits are #GP(0)"
        mov ecx, EFER
        rdmsr
        mov esi, eax
        or eax, 1 << 11
        wrmsr
        rdmsr
        and eax, 1 << 11
        WANT eax, 1 << 11
        mov ecx, EFER
        mov eax, esi
        xor edx, edx
        wrmsr
        or eax, 1 << 9
        FAULTS 13, 0
        AT
        wrmsr
        ENDF
        mov ecx, EFER
        mov eax, esi
        mov edx, 1
        FAULTS 13, 0
        AT
        wrmsr
        ENDF

TEST "PAT: its reset value, types, reserved types"
        MSR_IS PAT, 0x00070406, 0x00070406
        SETMSR PAT, 0x01040506, 0x00070406
        MSR_IS PAT, 0x01040506, 0x00070406
        mov ecx, PAT
        mov eax, 0x00070402             ; 2 is reserved
        mov edx, 0x00070406
        FAULTS 13, 0
        AT
        wrmsr
        ENDF
        mov ecx, PAT
        mov eax, 0x00070406
        mov edx, 0x08070406
        FAULTS 13, 0
        AT
        wrmsr
        ENDF
        SETMSR PAT, 0x00070406, 0x00070406

TEST "MTRRs: capabilities, variable, fixed and default"
        mov ecx, MTRRCAP
        rdmsr
        mov ebx, eax
        movzx ecx, al
        cmp ecx, 8
        seta al
        movzx eax, al
        WANT eax, 0
        SETMSR MTRR_PHYSBASE0, 0x00100006
        MSR_IS MTRR_PHYSBASE0, 0x00100006
        SETMSR MTRR_PHYSBASE0 + 1, 0xfff00800
        MSR_IS MTRR_PHYSBASE0 + 1, 0xfff00800
        SETMSR MTRR_PHYSBASE0 + 1, 0
        SETMSR MTRR_PHYSBASE0, 0
        SETMSR MTRR_FIX64K, 0x06060606, 0x05040100
        MSR_IS MTRR_FIX64K, 0x06060606, 0x05040100
        SETMSR MTRR_DEF_TYPE, 0x0c06
        MSR_IS MTRR_DEF_TYPE, 0x0c06

TEST "MTRRs: a reserved type is #GP(0)"
        mov ecx, MTRR_DEF_TYPE
        mov eax, 0x0c02
        xor edx, edx
        FAULTS 13, 0
        AT
        wrmsr
        ENDF
        mov ecx, MTRRCAP
        FAULTS 13, 0
        AT
        wrmsr                           ; read-only
        ENDF

TEST "the APIC base: bootstrap processor, enabled, FEE00000h"
        MSR_IS APIC_BASE, 0xfee00900
        mov ecx, APIC_BASE
        mov eax, 0xfee00901             ; a reserved bit
        xor edx, edx
        FAULTS 13, 0
        AT
        wrmsr
        ENDF

TEST "MSRs in ring 3 are #GP(0)"
        FAULTS 13, 0
        RING3
        mov ecx, TSC
        AT
        rdmsr
        ENDF
        FAULTS 13, 0
        RING3
        mov ecx, 0x12345678
        AT
        wrmsr
        ENDF

FINISH
