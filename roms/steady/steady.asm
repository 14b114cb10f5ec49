; steady: a guest that notices when something of it is lost. It keeps a megabyte of pages with checksums and generations,
; a count in the FPU, a tick count and the time; it verifies and changes them without end and says so on COM1. Made to be
; stopped, saved and restored at any instruction. Boots by multiboot 1; behaves the same under QEMU.
;
;   nasm -f bin -o steady.bin steady.asm
;
; Prints "steady N" every 64 steps (N in hex: steps so far), "FAIL what got X want Y" and leaves through port F4h with
; value 1 on the first disagreement. The last decimal number of the command line: leave with value 0 after so many steps.

        cpu 586
        bits 32
        org 0x100000

COM1            equ 0x3f8
PIC1            equ 0x20
PIC2            equ 0xa0
PIT             equ 0x40
CMOS            equ 0x70
DEBUG_EXIT      equ 0xf4
PIT_HZ          equ 1193182
TICKS_A_SECOND  equ 1000
IRQ_BASE        equ 0x20
PAGES           equ 256                 ; power of two
PAGE_WORDS      equ 1024                ; word 0: generation; words 1..1022: data; word 1023: makes the sum 0
PAGE_BASE       equ 0x200000
CHANGES         equ 48                  ; words changed in a step
STEPS_A_LINE    equ 64
SECONDS_A_DAY   equ 86400

        align 4
header: dd 0x1badb002, 0x00010003, -(0x1badb002 + 0x00010003)
        dd header, header, image_end, bss_end, start

; ---------------------------------------------------------------- start
start:  cli
        cld
        mov esp, stack_top
        push 0
        popfd
        mov edi, bss
        mov ecx, (bss_end - bss) / 4
        xor eax, eax
        rep stosd
        mov [info], ebx
        lgdt [gdt_pointer]
        jmp 0x08:.flat
.flat:  mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        call idt_init
        call pic_init
        call pit_init
        call read_limit
        mov eax, cr0
        and eax, ~0x0c                  ; EM and TS off
        or eax, 0x22                    ; MP and NE on
        mov cr0, eax
        fninit
        fldz                            ; the count that lives in the FPU
        mov dword [seed], 0x13579bdf
        call pages_init
        rdtsc
        mov [last_tsc], eax
        mov [last_tsc + 4], edx
        call read_clock
        mov [last_seconds], eax
        sti

; ---------------------------------------------------------------- the loop
step:   call random
        and eax, PAGES - 1
        mov ebp, eax                    ; the page of this step
        call verify_page
        call change_page
        inc dword [steps]
        inc dword [total]
        call check_fpu
        call check_tsc
        mov eax, [steps]
        test eax, STEPS_A_LINE - 1
        jnz .limit
        call check_total
        call check_clock
        call check_ticks
        mov esi, text_steady
        call puts
        mov eax, [steps]
        call put_hex
        mov al, 10
        call putc
        hlt                             ; until the next tick: stops come here as well
.limit: mov eax, [limit]
        test eax, eax
        jz step
        cmp [steps], eax
        jb step
        xor eax, eax
        jmp leave_vm

; ---------------------------------------------------------------- pages
; EBP page -> EDI its address
page_address:
        mov edi, ebp
        shl edi, 12
        add edi, PAGE_BASE
        ret

pages_init:
        xor ebp, ebp
.page:  call page_address
        mov dword [edi], 0
        mov ecx, 1
.word:  call random
        mov [edi + ecx * 4], eax
        inc ecx
        cmp ecx, PAGE_WORDS - 1
        jb .word
        call seal
        inc ebp
        cmp ebp, PAGES
        jb .page
        ret

; EDI page: sets its last word so that all of them add up to 0
seal:   mov dword [edi + (PAGE_WORDS - 1) * 4], 0
        call sum_page
        neg eax
        mov [edi + (PAGE_WORDS - 1) * 4], eax
        ret

sum_page:
        xor eax, eax
        xor ecx, ecx
.word:  add eax, [edi + ecx * 4]
        inc ecx
        cmp ecx, PAGE_WORDS
        jb .word
        ret

verify_page:
        call page_address
        call sum_page
        xor edx, edx
        mov esi, text_sum
        call expect
        mov eax, [edi]                  ; an old copy of the page adds up as well, but has an old generation
        mov edx, [generations + ebp * 4]
        mov esi, text_generation
        jmp expect

change_page:
        call page_address
        mov ebx, CHANGES
.change:
        call random
        shr eax, 7
        and eax, PAGE_WORDS - 1
        jz .next
        mov ecx, eax
        call random
        mov [edi + ecx * 4], eax
.next:  dec ebx
        jnz .change
        inc dword [edi]
        inc dword [generations + ebp * 4]
        jmp seal

; ---------------------------------------------------------------- what else must hold
check_total:
        xor eax, eax
        xor ecx, ecx
.add:   add eax, [generations + ecx * 4]
        inc ecx
        cmp ecx, PAGES
        jb .add
        mov edx, [total]
        mov esi, text_total
        jmp expect

check_fpu:
        fld1
        faddp st1, st0
        fist dword [scratch]
        mov eax, [scratch]
        mov edx, [steps]
        mov esi, text_fpu
        jmp expect

; the TSC never goes back
check_tsc:
        rdtsc
        mov ecx, eax
        mov ebx, edx
        sub ecx, [last_tsc]
        sbb ebx, [last_tsc + 4]
        mov [last_tsc], eax
        mov [last_tsc + 4], edx
        jnc .ok
        mov edx, 0
        mov esi, text_tsc
        jmp fail
.ok:    ret

; the calendar never goes back, but at midnight
check_clock:
        call read_clock
        mov edx, [last_seconds]
        mov [last_seconds], eax
        cmp eax, edx
        jae .ok
        lea ecx, [eax + SECONDS_A_DAY]
        sub ecx, edx
        cmp ecx, SECONDS_A_DAY / 2
        jb .ok
        mov esi, text_clock
        jmp fail
.ok:    ret

; ticks come
check_ticks:
        mov eax, [ticks]
        mov edx, [last_ticks]
        mov [last_ticks], eax
        cmp eax, edx
        jae .ok
        mov esi, text_ticks
        jmp fail
.ok:    ret

; EAX must be EDX; ESI names it
expect: cmp eax, edx
        jne fail
        ret

fail:   cli
        push edx
        push eax
        push esi
        mov esi, text_fail
        call puts
        pop esi
        call puts
        mov esi, text_got
        call puts
        pop eax
        call put_hex
        mov esi, text_want
        call puts
        pop eax
        call put_hex
        mov al, 10
        call putc
        mov eax, 1
leave_vm:
        mov dx, DEBUG_EXIT
        out dx, eax
.hang:  cli
        hlt
        jmp .hang

; ---------------------------------------------------------------- the calendar: EAX = seconds since midnight
read_clock:
        mov al, 0x0a
        out CMOS, al
        in al, CMOS + 1
        test al, 0x80                   ; an update is near
        jnz read_clock
        mov al, 4
        call cmos_bcd
        imul ebx, eax, 3600
        mov al, 2
        call cmos_bcd
        imul eax, eax, 60
        add ebx, eax
        xor eax, eax
        call cmos_bcd
        add ebx, eax
        mov al, 0x0a                    ; the guest may have been stopped in between: nothing must have changed since
        out CMOS, al
        in al, CMOS + 1
        test al, 0x80
        jnz read_clock
        xor eax, eax
        call cmos_bcd
        xor edx, edx
        push ebx
        xchg eax, ebx
        mov ecx, 60
        div ecx
        cmp edx, ebx
        pop ebx
        jne read_clock
        mov eax, ebx
        ret

; AL register -> EAX its two decimal digits
cmos_bcd:
        out CMOS, al
        in al, CMOS + 1
        movzx eax, al
        mov ecx, eax
        shr eax, 4
        imul eax, eax, 10
        and ecx, 0x0f
        add eax, ecx
        ret

; ---------------------------------------------------------------- random numbers (Numerical Recipes' LCG): EAX
random: mov eax, [seed]
        imul eax, eax, 1664525
        add eax, 1013904223
        mov [seed], eax
        ret

; ---------------------------------------------------------------- the last decimal number of the command line
read_limit:
        mov ebx, [info]
        test dword [ebx], 4
        jz .done
        mov esi, [ebx + 16]
        xor edx, edx
.char:  lodsb
        test al, al
        jz .end
        sub al, '0'
        cmp al, 9
        ja .other
        movzx eax, al
        imul edx, edx, 10
        add edx, eax
        jmp .char
.other: xor edx, edx
        jmp .char
.end:   mov [limit], edx
.done:  ret

; ---------------------------------------------------------------- COM1, polled
putc:   push edx
        push eax
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop eax
        mov dx, COM1
        out dx, al
        pop edx
        ret

puts:   lodsb
        test al, al
        jz .done
        call putc
        jmp puts
.done:  ret

put_hex:
        mov ecx, 8
.digit: rol eax, 4
        push eax
        and al, 0x0f
        add al, '0'
        cmp al, '9'
        jbe .out
        add al, 'a' - '0' - 10
.out:   call putc
        pop eax
        loop .digit
        ret

; ---------------------------------------------------------------- interrupts
tick:   push eax
        inc dword [ticks]
        mov al, 0x20
        out PIC1, al
        pop eax
        iretd

idt_init:
        mov edi, idt + IRQ_BASE * 8
        mov eax, tick
        mov word [edi], ax
        mov word [edi + 2], 0x08
        mov word [edi + 4], 0x8e00
        shr eax, 16
        mov word [edi + 6], ax
        lidt [idt_pointer]
        ret

pic_init:
        mov al, 0x11
        out PIC1, al
        out PIC2, al
        mov al, IRQ_BASE
        out PIC1 + 1, al
        mov al, IRQ_BASE + 8
        out PIC2 + 1, al
        mov al, 4
        out PIC1 + 1, al
        mov al, 2
        out PIC2 + 1, al
        mov al, 1
        out PIC1 + 1, al
        out PIC2 + 1, al
        mov al, 0xfe                    ; the timer alone
        out PIC1 + 1, al
        mov al, 0xff
        out PIC2 + 1, al
        ret

pit_init:
        mov al, 0x34
        out PIT + 3, al
        mov al, (PIT_HZ / TICKS_A_SECOND) & 0xff
        out PIT, al
        mov al, (PIT_HZ / TICKS_A_SECOND) >> 8
        out PIT, al
        ret

; ---------------------------------------------------------------- data
        align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
idt_pointer:
        dw 256 * 8 - 1
        dd idt

text_steady:     db "steady ", 0
text_fail:       db "FAIL ", 0
text_got:        db " got ", 0
text_want:       db " want ", 0
text_sum:        db "sum of a page", 0
text_generation: db "generation of a page", 0
text_total:      db "sum of generations", 0
text_fpu:        db "count in the FPU", 0
text_tsc:        db "TSC went back", 0
text_clock:      db "calendar went back", 0
text_ticks:      db "ticks went back", 0

        align 4096, db 0
image_end:

        absolute image_end
bss:
idt:            resq 256
generations:    resd PAGES
info:           resd 1
limit:          resd 1
seed:           resd 1
steps:          resd 1
total:          resd 1
ticks:          resd 1
last_ticks:     resd 1
last_seconds:   resd 1
scratch:        resd 1
                alignb 8
last_tsc:       resq 1
                alignb 16
                resb 4096
stack_top:
bss_end:
