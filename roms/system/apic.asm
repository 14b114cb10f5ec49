; apic: local APIC (self-IPIs, priorities, timer, errors, NMI) and I/O APIC (edges, levels). SDM 3A chapter 10;
; 82093AA data sheet.
%include "lib/rom.inc"

APIC            equ 0xfee00000
APIC_ID         equ APIC + 0x20
APIC_VERSION    equ APIC + 0x30
APIC_TPR        equ APIC + 0x80
APIC_PPR        equ APIC + 0xa0
APIC_EOI        equ APIC + 0xb0
APIC_LDR        equ APIC + 0xd0
APIC_DFR        equ APIC + 0xe0
APIC_SVR        equ APIC + 0xf0
APIC_ISR        equ APIC + 0x100
APIC_TMR        equ APIC + 0x180
APIC_IRR        equ APIC + 0x200
APIC_ESR        equ APIC + 0x280
APIC_ICR        equ APIC + 0x300
APIC_ICR_HIGH   equ APIC + 0x310
APIC_TIMER      equ APIC + 0x320
APIC_LINT0      equ APIC + 0x350
APIC_LINT1      equ APIC + 0x360
APIC_ERROR      equ APIC + 0x370
APIC_INITIAL    equ APIC + 0x380
APIC_CURRENT    equ APIC + 0x390
APIC_DIVIDE     equ APIC + 0x3e0
MASKED          equ 0x10000
PERIODIC        equ 0x20000
TSC_DEADLINE    equ 0x40000
SELF            equ 0x40000
IOAPIC          equ 0xfec00000
IOWIN           equ IOAPIC + 0x10

; check with the APIC enabled, all of its own sources off, nothing in service
%macro ATEST 1
        TEST %1
        call apic_ready
%endmacro
%macro IPI 1            ; vector, to this processor
        mov dword [APIC_ICR], SELF | (%1)
%endmacro
; bit of vector %2 in the 256-bit register %1 -> must be %3
%macro BIT_IS 3
        mov eax, [%1 + ((%2) >> 5) * 16]
        shr eax, (%2) & 31
        and eax, 1
        WANT eax, %3
%endmacro
%macro TAKES 1          ; with interrupts on for a moment, this vector arrives
        FAULTS %1
        sti
        times 8 nop
        cli
        ENDF
%endmacro
; time for a request to travel
%macro SETTLE 0
        mov ecx, 1000
%%l:    loop %%l
%endmacro
%macro QUIET 0
        FAULTS DONE
        sti
        times 8 nop
        cli
        ENDF
%endmacro
%macro EOI 0
        mov dword [APIC_EOI], 0
%endmacro
%macro IOREG 2          ; register, value
        mov dword [IOAPIC], %1
        mov dword [IOWIN], %2
%endmacro
%macro IOREAD 1
        mov dword [IOAPIC], %1
        mov eax, [IOWIN]
%endmacro

main:   mov al, 0x11                    ; the 8259s out of the way of the exceptions
        out 0x20, al
        mov al, 0x60
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xff
        out 0x21, al

ATEST "identity and version"
        mov eax, [APIC_ID]
        shr eax, 24
        WANT eax, 0
        mov eax, [APIC_VERSION]
        and eax, 0xf0
        WANT eax, 0x10
        mov eax, [APIC_VERSION]
        shr eax, 16
        and eax, 0xff
        cmp eax, 3
        setae al
        movzx eax, al
        WANT eax, 1

ATEST "self-IPI: IRR, ISR, end of interrupt"
        IPI 0x50
        BIT_IS APIC_IRR, 0x50, 1
        BIT_IS APIC_ISR, 0x50, 0
        TAKES 0x50
        BIT_IS APIC_IRR, 0x50, 0
        BIT_IS APIC_ISR, 0x50, 1
        BIT_IS APIC_TMR, 0x50, 0
        EOI
        BIT_IS APIC_ISR, 0x50, 0

ATEST "an IPI is accepted with interrupts on behind the write"
        FAULTS 0x51
        sti
        nop
        IPI 0x51
        SETTLE
        ENDF
        EOI

ATEST "IPI by physical and logical destination, to all with self"
        mov dword [APIC_ICR_HIGH], 0
        mov dword [APIC_ICR], 0x52
        TAKES 0x52
        EOI
        mov dword [APIC_DFR], 0xffffffff
        mov dword [APIC_LDR], 0x02000000
        mov dword [APIC_ICR_HIGH], 0x02000000
        mov dword [APIC_ICR], 0x853     ; logical
        TAKES 0x53
        EOI
        mov dword [APIC_ICR_HIGH], 0x04000000
        mov dword [APIC_ICR], 0x854     ; another's
        QUIET
        mov dword [APIC_ICR], 0x80055   ; all including self
        TAKES 0x55
        EOI
        mov dword [APIC_ICR], 0xc0056   ; all but self
        QUIET

ATEST "the highest vector comes first"
        IPI 0x51
        IPI 0x91
        IPI 0x71
        TAKES 0x91
        QUIET                           ; in service: lower ones wait
        EOI
        TAKES 0x71
        EOI
        TAKES 0x51
        EOI

ATEST "one request of a vector is kept while another is in service"
        IPI 0x60
        TAKES 0x60
        IPI 0x60
        IPI 0x60
        BIT_IS APIC_IRR, 0x60, 1
        QUIET
        EOI
        TAKES 0x60
        EOI
        QUIET

ATEST "TPR and PPR"
        mov dword [APIC_TPR], 0x55
        WANT [APIC_TPR], 0x55
        mov eax, [APIC_PPR]
        WANT eax, 0x55
        IPI 0x5f
        QUIET
        IPI 0x60
        TAKES 0x60
        mov eax, [APIC_PPR]
        WANT eax, 0x60
        mov dword [APIC_TPR], 0x70
        mov eax, [APIC_PPR]
        WANT eax, 0x70
        EOI
        mov dword [APIC_TPR], 0
        TAKES 0x5f
        mov eax, [APIC_PPR]
        WANT eax, 0x50
        EOI
        mov eax, [APIC_PPR]
        WANT eax, 0

ATEST "a higher class interrupts, the same class does not"
        IPI 0x61
        TAKES 0x61
        IPI 0x6f
        QUIET
        IPI 0x70
        TAKES 0x70
        EOI
        QUIET
        EOI
        TAKES 0x6f
        EOI

ATEST "timer: one shot"
        mov dword [APIC_DIVIDE], 0x0b   ; by 1
        mov dword [APIC_TIMER], 0x40
        HOOK 0x40, count_apic
        mov dword [count], 0
        mov dword [APIC_INITIAL], 20000
        call wait_count
        mov eax, [APIC_CURRENT]
        WANT eax, 0
        mov ecx, 100000
        sti
.wait:  pause
        loop .wait
        cli
        WANT [count], 1

ATEST "timer: periodic"
        mov dword [APIC_DIVIDE], 0x0b
        mov dword [APIC_TIMER], PERIODIC | 0x40
        HOOK 0x40, count_apic
        mov dword [count], 0
        mov dword [APIC_INITIAL], 100000
        sti
.wait:  hlt
        cmp dword [count], 10
        jb .wait
        cli
        mov eax, [APIC_CURRENT]
        cmp eax, 100001
        setb al
        movzx eax, al
        WANT eax, 1
        mov dword [APIC_INITIAL], 0
        mov eax, [APIC_CURRENT]
        WANT eax, 0

ATEST "timer: masked it counts but does not interrupt"
        mov dword [APIC_DIVIDE], 0x0b
        mov dword [APIC_TIMER], MASKED | 0x40
        mov dword [APIC_INITIAL], 1000
.wait:  cmp dword [APIC_CURRENT], 0
        jne .wait
        QUIET
        BIT_IS APIC_IRR, 0x40, 0

ATEST "timer: the divisor slows it"
        mov dword [APIC_DIVIDE], 0x0a   ; by 128
        mov dword [APIC_TIMER], MASKED | 0x40
        mov dword [APIC_INITIAL], 0xffffffff
        rdtsc
        mov esi, eax
        mov ecx, 300000
.a:     loop .a
        rdtsc
        sub eax, esi
        mov edi, NONE
        sub edi, [APIC_CURRENT]         ; ticks by 128
        mov dword [APIC_DIVIDE], 0x00   ; by 2
        mov dword [APIC_INITIAL], 0xffffffff
        rdtsc
        mov esi, eax
        mov ecx, 300000
.b:     loop .b
        mov ebx, NONE
        sub ebx, [APIC_CURRENT]         ; ticks by 2: some 64 times as many
        shr ebx, 3
        cmp ebx, edi
        seta al
        movzx eax, al
        WANT eax, 1
        mov dword [APIC_INITIAL], 0

ATEST "timer: TSC deadline"
        mov eax, 1
        cpuid
        bt ecx, 24
        jnc .end
        mov dword [APIC_TIMER], TSC_DEADLINE | 0x40
        HOOK 0x40, count_apic
        mov dword [count], 0
        rdtsc
        add eax, 100000
        adc edx, 0
        mov ecx, 0x6e0
        wrmsr
        call wait_count
        WANT [count], 1
        mov ecx, 0x6e0
        rdmsr
        or eax, edx
        WANT eax, 0
.end:

ATEST "NMI by IPI: with IF = 0, and blocked until IRET"
        HOOK 2, .nmi
        mov dword [count], 0
        mov dword [APIC_ICR_HIGH], 0
        mov dword [APIC_ICR], 0x400
        SETTLE
        WANT [count], 2
        WANT [nested], 0
        jmp .end
.nmi:   inc dword [count]
        cmp dword [count], 1
        jne .out
        mov dword [APIC_ICR], 0x400     ; waits for this handler's IRET
        SETTLE
        mov eax, [count]
        dec eax
        mov [nested], eax
.out:   ret
.end:

ATEST "software disable masks the local vectors"
        mov dword [APIC_TIMER], 0x40
        mov dword [APIC_SVR], 0xff
        mov eax, [APIC_TIMER]
        and eax, MASKED
        WANT eax, MASKED
        mov dword [APIC_TIMER], 0x40    ; the bit cannot be cleared now
        mov eax, [APIC_TIMER]
        and eax, MASKED
        WANT eax, MASKED
        mov dword [APIC_SVR], 0x1ff
        mov dword [APIC_TIMER], 0x40
        mov eax, [APIC_TIMER]
        and eax, MASKED
        WANT eax, 0

ATEST "an illegal vector: ESR and the error interrupt"
        mov dword [APIC_ESR], 0
        mov dword [APIC_ERROR], 0x48
        IPI 5
        TAKES 0x48
        mov dword [APIC_ESR], 0
        mov eax, [APIC_ESR]
        and eax, 0x20
        WANT eax, 0x20                  ; send illegal vector
        mov dword [APIC_ESR], 0
        mov eax, [APIC_ESR]
        WANT eax, 0
        EOI
        mov dword [APIC_ERROR], MASKED

ATEST "8259 through LINT0 as ExtINT"
        mov dword [APIC_LINT0], 0x700
        call pit_request
        TAKES 0x60
        mov al, 0x20
        out 0x20, al
        BIT_IS APIC_ISR, 0x60, 0        ; the APIC knows nothing of it
        mov dword [APIC_LINT0], MASKED | 0x700
        call pit_request
        QUIET
        mov al, 0xff
        out 0x21, al
        mov dword [APIC_LINT0], 0x700
        mov al, 0x20
        out 0x20, al

ATEST "I/O APIC: registers"
        IOREAD 1
        and eax, 0xff
        cmp eax, 0x11
        setae al
        movzx eax, al
        WANT eax, 1
        IOREAD 1
        shr eax, 16
        and eax, 0xff
        WANT eax, 23
        IOREG 0x10 + 2 * 5, 0x0001a9ff & ~0x5000
        IOREAD 0x10 + 2 * 5
        WANT eax, 0x0001a9ff & ~0x5000
        IOREG 0x11 + 2 * 5, 0x0f000000
        IOREAD 0x11 + 2 * 5
        WANT eax, 0x0f000000
        IOREG 0x10 + 2 * 5, 0x00010000
        IOREG 0x11 + 2 * 5, 0

ATEST "I/O APIC: the PIT on input 2, edge"
        HOOK 0x70, count_apic
        mov dword [count], 0
        IOREG 0x11 + 2 * 2, 0
        IOREG 0x10 + 2 * 2, 0x70
        mov al, 0x34                    ; mode 2
        out 0x43, al
        mov al, 0x00
        out 0x40, al
        mov al, 0x08
        out 0x40, al
        sti
.wait:  hlt
        cmp dword [count], 5
        jb .wait
        cli
        IOREG 0x10 + 2 * 2, MASKED | 0x70
        mov al, 0x30
        out 0x43, al
        xor eax, eax
        out 0x40, al
        out 0x40, al
        IPI 0x40                        ; what the last edge left is taken now
        HOOK 0x40, count_apic
        sti
        times 8 nop
        cli
        mov eax, [count]
        mov ecx, 100000
        sti
.quiet: loop .quiet
        cli
        WANT [count], eax

ATEST "I/O APIC: a level asks again until the device is served"
        IOREG 0x11 + 2 * 4, 0
        IOREG 0x10 + 2 * 4, 0x8071      ; input 4 is COM1's; level, active high
        mov edx, COM1 + 4
        mov al, 0x0b
        out dx, al
        mov edx, COM1 + 1
        mov al, 2
        out dx, al
        TAKES 0x71
        BIT_IS APIC_TMR, 0x71, 1
        IOREAD 0x10 + 2 * 4
        and eax, 0x4000
        WANT eax, 0x4000                ; remote IRR
        QUIET
        EOI                             ; the line is still up
        TAKES 0x71
        mov edx, COM1 + 1
        xor eax, eax
        out dx, al
        EOI
        IOREAD 0x10 + 2 * 4
        and eax, 0x4000
        WANT eax, 0
        QUIET
        IOREG 0x10 + 2 * 4, MASKED

ATEST "the APIC switched off is not in memory, nor in CPUID"
        mov ecx, 0x1b
        rdmsr
        mov esi, eax
        and eax, ~0x800
        wrmsr
        mov eax, 1
        cpuid
        shr edx, 9
        and edx, 1
        WANT edx, 0
        mov eax, [APIC_VERSION]
        WANT eax, NONE

FINISH

apic_ready:
        cli
        mov dword [APIC_TPR], 0
        mov dword [APIC_INITIAL], 0
        mov dword [APIC_SVR], 0x1ff
        mov dword [APIC_TIMER], MASKED
        mov dword [APIC_LINT0], MASKED | 0x700
        mov dword [APIC_LINT1], MASKED | 0x400
        mov dword [APIC_ERROR], MASKED
        mov ecx, 32
.eoi:   mov dword [APIC_EOI], 0
        loop .eoi
        ret

count_apic:
        inc dword [count]
        mov dword [APIC_EOI], 0
        ret

wait_count:
        sti
.wait:  cmp dword [count], 0
        je .wait
        cli
        ret

; IRQ0 asks at the 8259
pit_request:
        mov al, 0xfe
        out 0x21, al
        mov al, 0x30
        out 0x43, al
        mov al, 50
        out 0x40, al
        xor eax, eax
        out 0x40, al
        mov ebx, 1000000
        mov al, 0x0a
        out 0x20, al
.wait:  in al, 0x20
        test al, 1
        jnz .done
        dec ebx
        jnz .wait
.done:  ret

section .bss
        alignb 4
count:  resd 1
nested: resd 1
