; irq: the two 8259s, the 8254, and when the processor takes an interrupt. 8259A and 8254 data sheets; SDM 3A 6.8.
%include "lib/rom.inc"

PIC1            equ 0x20
PIC2            equ 0xa0
PIT0            equ 0x40
PIT2            equ 0x42
PIT             equ 0x43
BASE1           equ 0x60                ; vectors of the master
BASE2           equ 0x68
READ_IRR        equ 0x0a
READ_ISR        equ 0x0b
; COM1's transmitter-empty interrupt is the line that a program can raise and lower by itself
IRQ_COM1        equ 4

%macro PICS 0
        call init_pics
%endmacro
%macro MASK 2           ; master, slave
        mov al, %1
        out PIC1 + 1, al
        mov al, %2
        out PIC2 + 1, al
%endmacro
%macro STATUS 2         ; port, READ_IRR or READ_ISR -> eax
        mov al, %2
        out %1, al
        in al, %1
        movzx eax, al
%endmacro
%macro EOI 1
        mov al, 0x20
        out %1, al
%endmacro
; channel 0: mode, count
%macro PIT_SET 2
        mov al, 0x30 | (%1) << 1
        out PIT, al
        mov al, (%2) & 0xff
        out PIT0, al
        mov al, (%2) >> 8
        out PIT0, al
%endmacro

main:   call calibrate
TEST "initialisation and masks"
        PICS
        in al, PIC1 + 1
        movzx eax, al
        WANT eax, 0xff
        MASK 0x5a, 0xa5
        in al, PIC1 + 1
        movzx eax, al
        WANT eax, 0x5a
        in al, PIC2 + 1
        movzx eax, al
        WANT eax, 0xa5
        MASK 0xff, 0xff

TEST "IRQ0 from PIT mode 0: vector, in-service bit, end of interrupt"
        PICS
        HOOK BASE1, .tick
        mov dword [count], 0
        MASK 0xfe, 0xff
        PIT_SET 0, 1000
        call wait_count
        WANT [count], 1
        WANT [seen], 1                  ; in-service register in the handler
        STATUS PIC1, READ_ISR
        WANT eax, 0
        jmp .end
.tick:  STATUS PIC1, READ_ISR
        mov [seen], eax
        EOI PIC1
        inc dword [count]
        ret
.end:   MASK 0xff, 0xff

TEST "mode 0 counts once, mode 2 again and again"
        PICS
        HOOK BASE1, tick
        mov dword [count], 0
        MASK 0xfe, 0xff
        PIT_SET 0, 500
        call wait_count
        mov ebx, 20000
        call spin_pit
        WANT [count], 1
        mov dword [count], 0
        PIT_SET 2, 1000
        sti
.wait:  hlt
        cmp dword [count], 10
        jb .wait
        cli
        MASK 0xff, 0xff
        mov dword [count], 0
        HOOK BASE1, tick
        MASK 0xfe, 0xff
        PIT_SET 3, 1000
        sti
.wait3: hlt
        cmp dword [count], 5
        jb .wait3
        cli
        MASK 0xff, 0xff
        PIT_SET 0, 0

TEST "a request waits for IF and is shown in the IRR"
        PICS
        HOOK BASE1, tick
        mov dword [count], 0
        call request_irq0
        STATUS PIC1, READ_IRR
        and eax, 1
        WANT eax, 1
        WANT [count], 0
        sti
        nop
        cli
        WANT [count], 1
        MASK 0xff, 0xff

TEST "STI takes effect after the next instruction"
        PICS
        call request_irq0
        FAULTS BASE1
        sti
.shadow: nop
        AT
        nop
        ENDF
        EOI PIC1
        ; STI CLI lets nothing in
        call request_irq0
        FAULTS DONE
        sti
        cli
        nop
        ENDF
        MASK 0xff, 0xff

TEST "MOV SS and POP SS hold interrupts off for one instruction"
        PICS
        call request_irq0
        mov dx, ss
        FAULTS BASE1
        sti
        mov ss, dx
        nop
        AT
        nop
        ENDF
        EOI PIC1
        call request_irq0
        push ss
        FAULTS BASE1
        sti
        pop ss
        nop
        AT
        nop
        ENDF
        EOI PIC1
        MASK 0xff, 0xff

TEST "IRET and POPF that set IF let the interrupt in at once"
        PICS
        call request_irq0
        FAULTS BASE1
        push dword 0x202
        push cs
        push dword .l
        iretd
.l:
        AT
        nop
        ENDF
        EOI PIC1
        call request_irq0
        push dword 0x202
        FAULTS BASE1
        popfd
        AT
        nop
        ENDF
        EOI PIC1
        MASK 0xff, 0xff

TEST "HLT goes on behind the interrupt"
        PICS
        HOOK BASE1, note_eip
        MASK 0xfe, 0xff
        mov dword [seen], 0
        PIT_SET 0, 2000
        sti
        hlt
.l:     cli
        WANT [seen], .l
        MASK 0xff, 0xff

TEST "masking takes a request away from the processor"
        PICS
        call request_irq0
        MASK 0xff, 0xff
        FAULTS DONE
        sti
        nop
        nop
        cli
        ENDF
        MASK 0xfe, 0xff
        FAULTS BASE1
        sti
        nop
        nop
        ENDF
        EOI PIC1
        MASK 0xff, 0xff

TEST "a lower line waits for the end of a higher one; a higher one nests"
        PICS
        mov dword [order], 0
        HOOK BASE1, .timer
        HOOK BASE1 + IRQ_COM1, .serial
        MASK 0xee, 0xff
        call com1_on                    ; IRQ4 is up
        sti
        nop
        nop
        cli
        ; the handler of IRQ4 let IRQ0 in: order 4, 0 begins before 4 ends
        WANT [order], 0x4054
        jmp .end
.serial: mov edx, COM1 + 2
        in al, dx                       ; takes the request back
        call .note4
        call request_irq0
        MASK 0xee, 0xff
        sti
        nop
        nop
        cli
        mov eax, [order]
        shl eax, 4
        or eax, 5
        mov [order], eax
        mov eax, [order]
        shl eax, 4
        or eax, 4
        mov [order], eax
        EOI PIC1
        ret
.note4: mov dword [order], 4
        ret
.timer: mov eax, [order]
        shl eax, 4
        mov [order], eax
        EOI PIC1
        ret
.end:   call com1_off
        MASK 0xff, 0xff

TEST "an in-service line blocks its equals and lower ones"
        PICS
        call request_irq0
        FAULTS BASE1
        sti
        nop
        nop
        ENDF
        MASK 0xee, 0xff
        call com1_on
        FAULTS DONE                     ; no EOI yet: IRQ4 has to wait
        sti
        nop
        nop
        cli
        ENDF
        STATUS PIC1, READ_ISR
        WANT eax, 1
        EOI PIC1
        FAULTS BASE1 + IRQ_COM1
        sti
        nop
        nop
        ENDF
        STATUS PIC1, READ_ISR
        WANT eax, 1 << IRQ_COM1
        mov al, 0x60 + IRQ_COM1         ; specific end of interrupt
        out PIC1, al
        STATUS PIC1, READ_ISR
        WANT eax, 0
        call com1_off
        MASK 0xff, 0xff

TEST "rotation makes another line the highest"
        PICS
        mov al, 0xc0 + 3                ; IRQ3 is the lowest, so IRQ4 the highest
        out PIC1, al
        MASK 0xee, 0xff
        call com1_on
        call request_irq0
        MASK 0xee, 0xff
        FAULTS BASE1 + IRQ_COM1
        sti
        nop
        nop
        ENDF
        call com1_off
        EOI PIC1
        FAULTS BASE1
        sti
        nop
        nop
        ENDF
        EOI PIC1
        mov al, 0xc0 + 7
        out PIC1, al
        MASK 0xff, 0xff

TEST "automatic end of interrupt"
        call init_pics_auto
        call request_irq0
        FAULTS BASE1
        sti
        nop
        nop
        ENDF
        STATUS PIC1, READ_ISR
        WANT eax, 0
        MASK 0xff, 0xff
        PICS

TEST "poll command"
        PICS
        call request_irq0
        mov al, 0x0c
        out PIC1, al
        in al, PIC1
        movzx eax, al
        WANT eax, 0x80
        STATUS PIC1, READ_ISR
        WANT eax, 1
        EOI PIC1
        mov al, 0x0c
        out PIC1, al
        in al, PIC1
        and eax, 0x80
        WANT eax, 0
        MASK 0xff, 0xff

TEST "special mask mode lets lower lines in"
        PICS
        call request_irq0
        FAULTS BASE1
        sti
        nop
        nop
        ENDF
        mov al, 0x68                    ; special mask mode on
        out PIC1, al
        MASK 0xef, 0xff                 ; IRQ0 masked: it blocks no longer
        call com1_on
        FAULTS BASE1 + IRQ_COM1
        sti
        nop
        nop
        ENDF
        mov al, 0x48
        out PIC1, al
        call com1_off
        mov al, 0x60
        out PIC1, al
        mov al, 0x64
        out PIC1, al
        MASK 0xff, 0xff

TEST "the PIT's counter is read latched, by read-back with its status"
        mov al, 0x34                    ; channel 0, mode 2
        out PIT, al
        mov al, 0x34
        out PIT0, al
        mov al, 0x12
        out PIT0, al
        mov ebx, 10                     ; a new count is loaded at the next tick
        call spin_pit
        mov al, 0
        out PIT, al                     ; latch
        in al, PIT0
        mov cl, al
        in al, PIT0
        mov ch, al
        movzx ecx, cx
        cmp ecx, 0x1235
        setb al
        movzx eax, al
        WANT eax, 1
        ; a latched value stays while time goes on
        mov al, 0
        out PIT, al
        mov ebx, 100
        call spin_pit
        in al, PIT0
        mov cl, al
        in al, PIT0
        mov ch, al
        mov al, 0xe2                    ; status of channel 0
        out PIT, al
        in al, PIT0
        and eax, 0x3f
        WANT eax, 0x34

TEST "the PIT's gate 2, and mode 0's output on port 61h"
        in al, 0x61
        and al, 0xfc
        out 0x61, al                    ; gate low
        mov al, 0xb0                    ; channel 2, mode 0
        out PIT, al
        mov al, 0x00
        out PIT2, al
        mov al, 0x01
        out PIT2, al                    ; 100h
        mov ebx, 3000
        call spin_pit
        in al, 0x61
        and eax, 0x20
        WANT eax, 0                     ; the gate holds the count
        in al, 0x61
        or al, 1
        out 0x61, al
        mov ebx, 3000
        call spin_pit
        in al, 0x61
        and eax, 0x20
        WANT eax, 0x20
        in al, 0x61
        and al, 0xfc
        out 0x61, al

TEST "a request that its device takes back is not delivered"
        PICS
        MASK 0xef, 0xff
        call com1_on
        STATUS PIC1, READ_IRR
        and eax, 0x10
        WANT eax, 0x10
        mov edx, COM1 + 2
        in al, dx
        STATUS PIC1, READ_IRR
        and eax, 0x10
        WANT eax, 0
        FAULTS DONE
        sti
        nop
        nop
        cli
        ENDF
        call com1_off
        MASK 0xff, 0xff

TEST "the slave's lines come through IRQ2, both ends of interrupt"
        PICS
        ; RTC periodic interrupt: IRQ8
        mov al, 0x0a
        out 0x70, al
        mov al, 0x26                    ; 1024 Hz
        out 0x71, al
        mov al, 0x0b
        out 0x70, al
        in al, 0x71
        mov bl, al
        mov al, 0x0b
        out 0x70, al
        mov al, bl
        or al, 0x40
        out 0x71, al
        mov al, 0x0c
        out 0x70, al
        in al, 0x71
        HOOK BASE2, .rtc
        mov dword [count], 0
        MASK 0xfb, 0xfe
        sti
.wait:  hlt
        cmp dword [count], 3
        jb .wait
        cli
        WANT [seen], 0x0104             ; slave's and master's in-service registers
        mov al, 0x0b
        out 0x70, al
        mov al, bl
        out 0x71, al
        mov al, 0x0c
        out 0x70, al
        in al, 0x71
        jmp .end
.rtc:   STATUS PIC1, READ_ISR
        mov ecx, eax
        STATUS PIC2, READ_ISR
        shl eax, 8
        or eax, ecx
        mov [seen], eax
        mov al, 0x0c
        out 0x70, al
        in al, 0x71
        inc dword [count]
        EOI PIC2
        EOI PIC1
        ret
.end:   MASK 0xff, 0xff

FINISH

init_pics:
        mov al, 0x01
        jmp init_with
init_pics_auto:
        mov al, 0x03
init_with:
        push eax
        mov al, 0x11
        out PIC1, al
        out PIC2, al
        mov al, BASE1
        out PIC1 + 1, al
        mov al, BASE2
        out PIC2 + 1, al
        mov al, 4
        out PIC1 + 1, al
        mov al, 2
        out PIC2 + 1, al
        pop eax
        out PIC1 + 1, al
        mov al, 1
        out PIC2 + 1, al
        mov al, 0xff
        out PIC1 + 1, al
        out PIC2 + 1, al
        ret

; IRQ0 is requested when this comes back, IF = 0
request_irq0:
        push eax
        push ebx
        cli
        mov al, 0xfe
        out PIC1 + 1, al
        PIT_SET 0, 50
        mov ebx, 1000000                ; a host's timers may be late
        mov al, READ_IRR
        out PIC1, al
.wait:  in al, PIC1
        test al, 1
        jnz .done
        dec ebx
        jnz .wait
.done:  pop ebx
        pop eax
        ret

com1_on:
        push eax
        push edx
        mov edx, COM1 + 5               ; the transmitter must be empty, or the request comes later
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov edx, COM1 + 4
        mov al, 0x0b
        out dx, al
        mov edx, COM1 + 1
        mov al, 2
        out dx, al
        pop edx
        pop eax
        ret
com1_off:
        push eax
        push edx
        mov edx, COM1 + 1
        xor eax, eax
        out dx, al
        mov edx, COM1 + 2
        in al, dx
        pop edx
        pop eax
        ret

tick:   mov al, 0x20
        out PIC1, al
        inc dword [count]
        ret

note_eip:
        mov eax, [ebp + FRAME_EIP]
        mov [seen], eax
        mov al, 0x20
        out PIC1, al
        ret

; until [count] is not 0, interrupts on, then off
wait_count:
        sti
.wait:  cmp dword [count], 0
        je .wait
        cli
        ret

; ebx ticks of the PIT (838 ns), by the TSC
spin_pit:
        pushad
        mov eax, [tsc_a_tick]
        mul ebx
        mov esi, eax
        mov edi, edx
        rdtsc
        add esi, eax
        adc edi, edx
.wait:  rdtsc
        sub eax, esi
        sbb edx, edi
        jc .wait
        popad
        ret

; TSC against channel 2 counting 10 ms
calibrate:
        in al, 0x61
        and al, 0xfd
        or al, 1
        out 0x61, al
        mov al, 0xb0                    ; channel 2, mode 0
        out PIT, al
        mov al, 11932 & 0xff
        out PIT2, al
        mov al, 11932 >> 8
        out PIT2, al
        rdtsc
        mov esi, eax
        mov edi, edx
.wait:  in al, 0x61
        test al, 0x20
        jz .wait
        rdtsc
        sub eax, esi
        sbb edx, edi
        mov ecx, 11932
        div ecx
        inc eax
        mov [tsc_a_tick], eax
        ret

section .bss
        alignb 4
count:  resd 1
seen:   resd 1
order:  resd 1
tsc_a_tick: resd 1
