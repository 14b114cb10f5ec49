; Tells the host what time it is here, by three clocks, again and again: kvm-clock, the TSC, and the ticks of the 8254
; that it has counted. `paravane bench clock` compares them with its own. A flat binary for 32-bit protected mode.
;
; Everything that guest and host share lies at BLOCK. Before and after each sample the guest writes to port REPORT, which
; no device has: 0, then the sample's number. The host reads its own time both times.

        bits 32
        org 0x10000

BLOCK           equ 0x8000
SPINS           equ BLOCK + 0           ; host: 1 = busy between samples, 0 = halted
INTERVAL        equ BLOCK + 4           ; host: ticks from one sample to the next
SAMPLES         equ BLOCK + 8           ; samples taken
HAS_KVMCLOCK    equ BLOCK + 12          ; 1 = KVM_TIME and WALL are valid
KVM_TIME        equ BLOCK + 16          ; u64 ns, kvm-clock's system time
TSC             equ BLOCK + 24          ; u64
TICKS           equ BLOCK + 32          ; u32 interrupts of the 8254 since the start
TICKS_SAMPLED   equ BLOCK + 36          ; u32 TICKS when the sample was taken
WALL            equ BLOCK + 40          ; struct pvclock_wall_clock
PAGE            equ BLOCK + 64          ; struct pvclock_vcpu_time_info

REPORT          equ 0x9000
DIVISOR         equ 1193                ; 1000.15 Hz

IDT             equ 0x7000
VECTOR          equ 0x20
STACK           equ 0x7000

start:  cli
        cld
        mov esp, STACK
        ; the host has written SPINS and INTERVAL
        mov edi, SAMPLES
        mov ecx, 32
        xor eax, eax
        rep stosd

        mov edi, IDT + VECTOR * 8
        mov eax, tick
        mov word [edi], ax
        mov word [edi + 2], cs
        mov word [edi + 4], 0x8e00      ; 32-bit interrupt gate
        shr eax, 16
        mov word [edi + 6], ax
        lidt [idtr]

        mov esi, pic
.out:   lodsb                           ; pairs of port and value
        test al, al
        jz .clock
        movzx edx, al
        lodsb
        out dx, al
        jmp .out

.clock: mov eax, 1
        cpuid
        bt ecx, 31                      ; under a hypervisor
        jnc .go
        mov eax, 0x40000001
        cpuid
        bt eax, 3                       ; with kvm-clock
        jnc .go
        mov ecx, 0x4b564d00             ; wall clock
        mov eax, WALL
        xor edx, edx
        wrmsr
        inc ecx                         ; system time
        mov eax, PAGE + 1
        wrmsr
        mov dword [HAS_KVMCLOCK], 1
.go:    sti

        xor ebp, ebp                    ; TICKS at the last sample
.wait:  cmp dword [SPINS], 0
        je .idle
        mov ecx, 1000
.spin:  dec ecx
        jnz .spin
        jmp .look
.idle:  hlt
.look:  mov eax, [TICKS]
        sub eax, ebp
        cmp eax, [INTERVAL]
        jb .wait
        call sample
        mov ebp, [TICKS_SAMPLED]
        jmp .wait

; One sample of all clocks, the dearest first, told at once.
sample: cli                             ; the three belong together
        mov edx, REPORT
        xor eax, eax
        out dx, eax
        mov eax, [TICKS]
        mov [TICKS_SAMPLED], eax
        cmp dword [HAS_KVMCLOCK], 0
        je .tsc
.read:  mov ebx, [PAGE]
        test bl, 1
        jnz .read
        rdtsc
        sub eax, [PAGE + 8]             ; EDX:EAX = TSC since the page was written
        sbb edx, [PAGE + 12]
        mov cl, [PAGE + 28]
        test cl, cl
        js .down
        shld edx, eax, cl
        shl eax, cl
        jmp .scale
.down:  neg cl
        shrd eax, edx, cl
        shr edx, cl
.scale: mov esi, edx                    ; (EDX:EAX * multiplier) >> 32
        mul dword [PAGE + 24]
        mov edi, edx
        mov eax, esi
        mul dword [PAGE + 24]
        add eax, edi
        adc edx, 0
        add eax, [PAGE + 16]
        adc edx, [PAGE + 20]
        cmp ebx, [PAGE]
        jne .read
        mov [KVM_TIME], eax
        mov [KVM_TIME + 4], edx
.tsc:   rdtsc
        mov [TSC], eax
        mov [TSC + 4], edx
        inc dword [SAMPLES]
        mov eax, [SAMPLES]
        mov edx, REPORT
        out dx, eax
        sti
        ret

tick:   inc dword [TICKS]
        push eax
        mov al, 0x20
        out 0x20, al
        pop eax
        iret

idtr:   dw (VECTOR + 1) * 8 - 1
        dd IDT
; 8259s: vectors from 20h, only IRQ 0; 8254: counter 0, mode 2
pic:    db 0x20, 0x11, 0x21, VECTOR, 0x21, 4, 0x21, 1, 0x21, 0xfe
        db 0xa0, 0x11, 0xa1, VECTOR + 8, 0xa1, 2, 0xa1, 1, 0xa1, 0xff
        db 0x43, 0x34, 0x40, DIVISOR & 0xff, 0x40, DIVISOR >> 8, 0
