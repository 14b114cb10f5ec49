; cpuid: the leaves agree with one another, and every feature bit with what executes or is #UD. SDM 2A CPUID.
%include "lib/rom.inc"

; %1 leaf, %2 register, %3 bit: executes when the bit is set, #UD when not
%macro FEATURE 4+
        mov eax, %1
        xor ecx, ecx
        cpuid
        xor esi, esi
        bt %2, %3
        setc byte [expected]
        FAULTS_ANY
        %4
        ENDANY
%endmacro
%macro FAULTS_ANY 0
  %push any
        mov dword [trap_vector], NONE
        mov [trap_return_esp], esp
        mov dword [trap_resume], %$resume
%endmacro
%macro ENDANY 0
        int DONE
  %$resume:
        mov eax, 6
        cmp byte [expected], 0
        je %$compare
        mov eax, DONE
  %$compare:
        WANT [trap_vector], eax
  %pop
%endmacro
; a bit of CR4 can be set exactly when the feature is there
%macro CONTROL 4
        mov eax, %1
        xor ecx, ecx
        cpuid
        bt %2, %3
        setc byte [expected]
        mov dword [trap_vector], NONE
        mov [trap_return_esp], esp
        mov dword [trap_resume], %%resume
        mov eax, cr4
        or eax, 1 << %4
        mov cr4, eax
        int DONE
%%resume:
        mov ecx, 13
        cmp byte [expected], 0
        je %%compare
        mov ecx, DONE
%%compare:
        WANT [trap_vector], ecx
        mov eax, cr4
        and eax, ~(1 << %4)
        mov cr4, eax
%endmacro

main:
TEST "EFLAGS.ID can be changed"
        push dword EFL_ID | 2
        popfd
        pushfd
        pop eax
        and eax, EFL_ID
        WANT eax, EFL_ID
        push dword 2
        popfd
        pushfd
        pop eax
        and eax, EFL_ID
        WANT eax, 0

TEST "CPUID serves ring 3 and fills all four registers"
        FAULTS DONE
        RING3
        or eax, -1
        mov ebx, eax
        mov ecx, eax
        mov edx, eax
        xor eax, eax
        cpuid
        ENDF
        mov esi, [trap_ebx]
        mov edi, [trap_ecx]
        mov ebp, [trap_edx]
        xor eax, eax
        cpuid
        WANT ebx, esi
        WANT ecx, edi
        WANT edx, ebp

TEST "leaf 1: family, APIC ID, the required features"
        xor eax, eax
        cpuid
        cmp eax, 1
        setae al
        movzx eax, al
        WANT eax, 1
        mov eax, 1
        cpuid
        mov eax, edx
        and eax, 0x0000813f             ; FPU VME DE PSE TSC MSR.. CX8 CMOV: those that both machines have
        and eax, 0x00008139
        WANT eax, 0x00008139
        shr ebx, 24
        WANT ebx, 0                     ; initial APIC ID of the bootstrap processor

TEST "leaves beyond the last give the last's data, and 80000000h its own"
        mov eax, 0x80000000
        cpuid
        mov esi, eax
        shr eax, 16
        WANT eax, 0x8000
        cmp esi, 0x80000004
        setae al
        movzx eax, al
        WANT eax, 1
        xor eax, eax
        cpuid
        mov esi, eax
        ; basic leaves beyond the maximum
        mov eax, esi
        xor ecx, ecx
        cpuid
        push eax
        push ebx
        lea eax, [esi + 1]
        xor ecx, ecx
        cpuid
        mov ebp, esp
        WANT eax, [ebp + 4]
        WANT ebx, [ebp]

TEST "the brand string is text"
        mov ebp, 0x80000002
.leaf:  mov eax, ebp
        cpuid
        mov [scratch], eax
        mov [scratch + 4], ebx
        mov [scratch + 8], ecx
        mov [scratch + 12], edx
        xor esi, esi
.char:  movzx eax, byte [scratch + esi]
        test al, al
        jz .next
        cmp al, 0x20
        jb .bad
        cmp al, 0x7e
        jbe .next
.bad:   WANT eax, 0
.next:  inc esi
        cmp esi, 16
        jb .char
        inc ebp
        cmp ebp, 0x80000004
        jbe .leaf

TEST "feature bits and instructions of leaf 1"
        mov eax, cr4
        or eax, 0x600                   ; OSFXSR, OSXMMEXCPT
        mov cr4, eax
        fninit
        FEATURE 1, edx, 4, rdtsc
        FEATURE 1, edx, 8, cmpxchg8b [scratch]
        FEATURE 1, edx, 15, cmovz eax, ecx
        FEATURE 1, edx, 19, clflush [scratch]
        FEATURE 1, edx, 23, emms
        FEATURE 1, edx, 24, fxsave [scratch + 64]
        FEATURE 1, edx, 25, addps xmm0, xmm1
        FEATURE 1, edx, 26, addpd xmm0, xmm1
        FEATURE 1, ecx, 0, addsubps xmm0, xmm1
        FEATURE 1, ecx, 9, pshufb xmm0, xmm1
        FEATURE 1, ecx, 19, pminud xmm0, xmm1
        FEATURE 1, ecx, 20, pcmpgtq xmm0, xmm1
        FEATURE 1, ecx, 22, {movbe eax, [scratch]}
        FEATURE 1, ecx, 23, {popcnt eax, ecx}
        FEATURE 1, ecx, 1, {pclmulqdq xmm0, xmm1, 0}
        FEATURE 1, ecx, 25, {aesenc xmm0, xmm1}
        mov eax, cr4
        and eax, ~0x600
        mov cr4, eax

TEST "feature bits and instructions of leaves 7 and 80000001h"
        FEATURE 0x80000001, edx, 27, rdtscp
        FEATURE 7, ebx, 20, clac

TEST "feature bits and bits of CR4"
        CONTROL 1, edx, 2, 3            ; DE
        CONTROL 1, edx, 3, 4            ; PSE
        CONTROL 1, edx, 6, 5            ; PAE
        CONTROL 1, edx, 13, 7           ; PGE
        CONTROL 1, edx, 24, 9           ; OSFXSR
        CONTROL 1, edx, 25, 10          ; OSXMMEXCPT
        CONTROL 7, ebx, 7, 20           ; SMEP
        CONTROL 7, ebx, 20, 21          ; SMAP
        CONTROL 7, ecx, 2, 11           ; UMIP

TEST "UMIP: SGDT SIDT SLDT STR SMSW are #GP in ring 3"
        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ecx, 2
        jnc .end
        mov eax, cr4
        or eax, 1 << 11
        mov cr4, eax
%macro USER_GP 1+
        FAULTS 13, 0
        RING3
        AT
        %1
        ENDF
%endmacro
        USER_GP sgdt [scratch]
        USER_GP sidt [scratch]
        USER_GP sldt eax
        USER_GP str eax
        USER_GP smsw eax
        str eax
        mov eax, cr4
        and eax, ~(1 << 11)
        mov cr4, eax
.end:

TEST "OSXSAVE follows CR4 and XGETBV needs it"
        mov eax, 1
        cpuid
        bt ecx, 26
        jc .end
        WANT 0, 0
        bt ecx, 27
        sbb eax, eax
        WANT eax, 0
        FAULTS 6, 0
        xor ecx, ecx
        AT
        xgetbv
        ENDF
.end:

TEST "the APIC bit follows the APIC's enable"
        mov ecx, 0x1b
        rdmsr
        and eax, ~(1 << 11)
        wrmsr
        mov eax, 1
        cpuid
        shr edx, 9
        and edx, 1
        WANT edx, 0

FINISH

section .bss
        alignb 64
scratch: resb 1024
expected: resd 1
