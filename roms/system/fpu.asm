; fpu: what the system sees of the x87, MMX and SSE units: CR0.EM MP TS NE, CR4.OSFXSR, errors by #MF and by IRQ13,
; images of FSAVE and FXSAVE, lazy switching. SDM 3A 2.5, 6.15, chapters 12 and 13; 1 chapters 8 and 11.
%include "lib/rom.inc"

CR0_MP          equ 2
CR0_EM          equ 4
CR0_TS          equ 8
CR0_NE          equ 0x20
CR4_OSFXSR      equ 0x200
CR4_OSXMMEXCPT  equ 0x400

; check with these of EM MP TS NE, SSE on, the FPU as new
%macro FTEST 2
        TEST %1
        mov ebx, %2
        call fpu_ready
%endmacro
%macro NM 1+
        FAULTS 7, 0
        AT
        %1
        ENDF
%endmacro
%macro UD 1+
        FAULTS 6, 0
        AT
        %1
        ENDF
%endmacro
%macro OK 1+
        FAULTS DONE
        %1
        ENDF
%endmacro
; zero divide, unmasked and pending
%macro ERROR 0
        fninit
        fldz
        fld1
        fldcw [cw_zero]
        fdiv st0, st1
%endmacro

main:
FTEST "TS: x87, MMX and SSE are #NM; WAIT only with MP", CR0_NE | CR0_TS
        NM fld1
        NM fninit
        NM fnstsw ax
        NM paddb mm0, mm1
        NM addps xmm0, xmm1
        NM fxsave [image]
        NM movd mm0, eax
        OK fwait
        mov eax, cr0
        or eax, CR0_MP
        mov cr0, eax
        NM fwait
        clts
        OK fwait
        OK fld1

FTEST "EM: x87 is #NM, MMX and SSE are #UD, WAIT passes", CR0_NE | CR0_EM
        NM fld1
        NM fnstsw ax
        UD paddb mm0, mm1
        UD addps xmm0, xmm1
        OK fwait

FTEST "EM and TS: #UD of MMX comes before #NM", CR0_NE | CR0_EM | CR0_TS | CR0_MP
        NM fld1
        UD paddb mm0, mm1
        NM fwait

FTEST "MP alone changes nothing", CR0_NE | CR0_MP
        OK fwait
        OK fld1

FTEST "no OSFXSR: SSE is #UD, FXSAVE and MMX are not", CR0_NE
        mov eax, cr4
        and eax, ~CR4_OSFXSR
        mov cr4, eax
        UD addps xmm0, xmm1
        UD ldmxcsr [image]
        UD movaps xmm0, [image]
        OK fxsave [image]
        OK emms
        OK sfence

FTEST "NE: #MF at the next waiting instruction", CR0_NE
        ERROR
        FAULTS 16, 0
        AT
        fld1
        ENDF
        fninit
        ERROR
        FAULTS 16, 0
        nop
        AT
        fwait
        ENDF
        fninit
        ERROR
        FAULTS 16, 0
        AT
        paddb mm0, mm1
        ENDF
        fninit
        ERROR
        FAULTS 16, 0
        AT
        emms
        ENDF
        fninit

FTEST "instructions that do not wait", CR0_NE
        ERROR
        OK fnstsw ax
        and eax, 0x8084
        WANT eax, 0x8084                ; B, ES, ZE
        OK fnstcw [image]
        OK fnstenv [image]
        ERROR
        OK fnclex
        OK fwait
        ERROR
        OK fnsave [image]
        OK fwait
        ERROR
        OK fninit
        OK fxsave [image]

FTEST "the failing instruction's address and operand", CR0_NE
        fninit
        fld1
        fldcw [cw_zero]
.div:   fdiv dword [zero]
        fnstenv [image]
        WANT [image + 12], .div
        movzx eax, word [image + 16]
        WANT eax, SEL_CS0
        WANT [image + 20], zero
        movzx eax, word [image + 24]
        WANT eax, SEL_DS0
        movzx eax, word [image + 4]
        and eax, 0x84
        WANT eax, 0x84
        fninit

FTEST "NE = 0: FERR# and IRQ13", 0
        call pics_ready
        mov dword [count], 0
        HOOK 0x68 + 5, .irq13
        mov al, 0xfb
        out 0x21, al
        mov al, 0xdf
        out 0xa1, al
        ERROR
        sti
        fwait                           ; freezes until the interrupt
        mov ecx, 1000
.l:     loop .l
        cli
        WANT [count], 1
        fnstsw ax
        and eax, 0x80
        WANT eax, 0
        jmp .end
.irq13: inc dword [count]
        xor eax, eax
        out 0xf0, al
        fnclex
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        ret
.end:   mov al, 0xff
        out 0x21, al
        out 0xa1, al

FTEST "#XM of an unmasked SSE exception", CR0_NE
        ldmxcsr [mxcsr_zero]
        movss xmm0, [one]
        xorps xmm1, xmm1
        FAULTS 19, 0
        AT
        divss xmm0, xmm1
        ENDF
        stmxcsr [image]
        mov eax, [image]
        and eax, 0x3f
        WANT eax, 4
        movss [image], xmm0             ; unchanged
        WANT [image], 0x3f800000
        ldmxcsr [mxcsr_default]

FTEST "without OSXMMEXCPT it is #UD", CR0_NE
        mov eax, cr4
        and eax, ~CR4_OSXMMEXCPT
        mov cr4, eax
        ldmxcsr [mxcsr_zero]
        movss xmm0, [one]
        xorps xmm1, xmm1
        UD divss xmm0, xmm1
        ldmxcsr [mxcsr_default]

FTEST "reserved bits of MXCSR are #GP", CR0_NE
        mov dword [image], 0x10000
        FAULTS 13, 0
        AT
        ldmxcsr [image]
        ENDF
        fxsave [image]
        mov eax, [image + 24]
        mov dword [image + 24], 0x80000000
        FAULTS 13, 0
        AT
        fxrstor [image]
        ENDF

FTEST "FXSAVE and FXRSTOR need 16-byte alignment", CR0_NE
        FAULTS 13, 0
        AT
        fxsave [image + 8]
        ENDF
        FAULTS 13, 0
        AT
        fxrstor [image + 8]
        ENDF
        FAULTS 13, 0
        AT
        movaps xmm0, [image + 4]
        ENDF

FTEST "the FXSAVE image", CR0_NE
        mov edi, image
        mov ecx, 128
        or eax, -1
        rep stosd
        fldpi
        fld1
        mov eax, 0x11223344
        movd xmm3, eax
.store: fst dword [scratch]
        fxsave [image]
        movzx eax, word [image]
        WANT eax, 0x37f
        movzx eax, word [image + 2]
        and eax, 0x3800
        WANT eax, 0x3000                ; TOP = 6
        movzx eax, byte [image + 4]
        WANT eax, 0xc0                  ; abridged tag: R6 and R7
        WANT [image + 8], .store
        WANT [image + 16], scratch
        WANT [image + 24], 0x1f80
        mov eax, [image + 28]
        or eax, 0x40
        WANT eax, 0xffff
        ; ST0 first: 1.0
        WANT [image + 32], 0
        WANT [image + 36], 0x80000000
        movzx eax, word [image + 40]
        WANT eax, 0x3fff
        WANT [image + 52], 0xc90fdaa2
        WANT [image + 160 + 48], 0x11223344
        WANT [image + 160 + 52], 0
        ; the state is unchanged by FXSAVE
        fnstsw ax
        and eax, 0x3800
        WANT eax, 0x3000

FTEST "FXRSTOR brings everything back", CR0_NE
        fldpi
        mov eax, 0x11223344
        movd xmm7, eax
        fldcw [cw_zero]
        ldmxcsr [mxcsr_zero]
        fxsave [image]
        fninit
        xorps xmm7, xmm7
        ldmxcsr [mxcsr_default]
        fxrstor [image]
        movd eax, xmm7
        WANT eax, 0x11223344
        fnstcw [scratch]
        movzx eax, word [scratch]
        WANT eax, 0x37b
        stmxcsr [scratch]
        WANT [scratch], 0x1d80
        fstp tword [scratch]
        WANT [scratch + 4], 0xc90fdaa2
        ldmxcsr [mxcsr_default]
        fninit

FTEST "FNSAVE empties the FPU, FRSTOR fills it", CR0_NE
        fldpi
        fld1
        fnsave [image]
        fnstsw ax
        and eax, 0xffff
        WANT eax, 0
        fnstenv [scratch]
        movzx eax, word [scratch + 8]
        WANT eax, 0xffff                ; all empty
        movzx eax, word [image + 8]
        WANT eax, 0x0fff
        movzx eax, word [image + 4]
        and eax, 0x3800
        WANT eax, 0x3000
        frstor [image]
        fstp st0
        fstp tword [scratch]
        WANT [scratch + 4], 0xc90fdaa2
        fnsave [image]

FTEST "MMX instructions make all tags valid, EMMS empties them", CR0_NE
        mov eax, 0x12345678
        movd mm2, eax
        fxsave [image]
        movzx eax, byte [image + 4]
        WANT eax, 0xff
        WANT [image + 32 + 2 * 16], 0x12345678
        movzx eax, word [image + 32 + 2 * 16 + 8]
        WANT eax, 0xffff
        emms
        fnstenv [scratch]
        movzx eax, word [scratch + 8]
        WANT eax, 0xffff

FTEST "lazy switching by #NM", CR0_NE | CR0_MP
        ; two tasks' images, switched in by the handler when the unit is touched
        HOOK 7, .nm
        mov dword [count], 0
        fninit
        fldpi
        fxsave [task_a]
        fninit
        fld1
        fxsave [task_b]
        mov dword [loaded], task_b
        mov dword [current], task_a
        call set_ts
        fst dword [scratch]             ; #NM: b out, a in
        WANT [scratch], 0x40490fdb
        fst dword [scratch + 4]         ; no #NM
        WANT [count], 1
        mov dword [current], task_b
        call set_ts
        fst dword [scratch]
        WANT [scratch], 0x3f800000
        WANT [count], 2
        jmp .end
.nm:    inc dword [count]
        clts
        mov eax, [loaded]
        fxsave [eax]
        mov eax, [current]
        fxrstor [eax]
        mov [loaded], eax
        ret
.end:   fninit

FTEST "a task switch sets TS", CR0_NE | CR0_MP
        mov dword [tss2 + TSS_EIP], .task
        jmp SEL_TSS2:0
.task:  mov eax, cr0
        and eax, CR0_TS
        WANT eax, CR0_TS
        NM fld1
        clts

FTEST "SMSW and LMSW", CR0_NE
        smsw eax
        or al, CR0_TS | CR0_MP
        lmsw ax
        NM fwait
        clts
        smsw eax
        and al, ~1
        lmsw ax                         ; cannot clear PE
        mov eax, cr0
        and eax, 1
        WANT eax, 1

FINISH

fpu_ready:
        mov eax, cr4
        or eax, CR4_OSFXSR | CR4_OSXMMEXCPT
        mov cr4, eax
        mov eax, cr0
        and eax, ~(CR0_EM | CR0_MP | CR0_TS | CR0_NE)
        mov cr0, eax
        fninit
        ldmxcsr [mxcsr_default]
        or eax, ebx
        mov cr0, eax
        ret

set_ts: mov eax, cr0
        or eax, CR0_TS
        mov cr0, eax
        ret

pics_ready:
        mov al, 0x11
        out 0x20, al
        out 0xa0, al
        mov al, 0x60
        out 0x21, al
        mov al, 0x68
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        ret

section .data
        align 4
mxcsr_default: dd 0x1f80
mxcsr_zero: dd 0x1d80
one:    dd 0x3f800000
zero:   dd 0
cw_zero: dw 0x37b

section .bss
        alignb 16
image:  resb 512
task_a: resb 512
task_b: resb 512
scratch: resb 128
count:  resd 1
loaded: resd 1
current: resd 1
