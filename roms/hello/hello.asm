; hello: a small 32-bit guest to look around in. Boots by multiboot 1 (`paravane run hello`,
; `qemu-system-i386 -kernel hello.bin -nographic`), talks on COM1, and behaves the same under both.
;
;   nasm -f bin -o hello.bin hello.asm
;
; Shows: CPUID, the loader's memory map, interrupts (8259, 8254, 16550), exceptions, the RTC, ACPI power-off.
; Every routine keeps all registers but those it says it returns.

        cpu 586
        bits 32
        org 0x100000

COM1            equ 0x3f8
PIC1            equ 0x20
PIC2            equ 0xa0
PIT             equ 0x40
DEBUG_EXIT      equ 0xf4
TICKS_A_SECOND  equ 100
PIT_HZ          equ 1193182
IRQ_BASE        equ 0x20                ; first vector of the 8259s
LINE_MAX        equ 200
RING_SIZE       equ 4096                ; power of two
PROMPT_COLUMNS  equ 16                  ; bytes in a row of peek

; ---------------------------------------------------------------- multiboot header (multiboot 0.6.96, 3.1)
MB_MAGIC        equ 0x1badb002
MB_FLAGS        equ 0x00010003          ; page-aligned modules, memory information, addresses below are valid
        align 4
header: dd MB_MAGIC
        dd MB_FLAGS
        dd -(MB_MAGIC + MB_FLAGS)
        dd header                       ; header address
        dd header                       ; load start
        dd image_end                    ; load end
        dd bss_end
        dd start

; ---------------------------------------------------------------- start
start:  cli
        cld
        mov esp, stack_top
        mov [multiboot_info], ebx
        mov [multiboot_magic], eax
        push 0
        popfd
        mov edi, bss_zeroed             ; the loader zeroes it; a reset that keeps memory would not
        mov ecx, (bss_end - bss_zeroed) / 4
        xor eax, eax
        rep stosd
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
        call uart_init
        call pit_init
        sti

        mov esi, text_banner
        call puts
        cmp dword [multiboot_magic], 0x2badb002
        je .loaded
        mov esi, text_no_multiboot
        call puts
        mov dword [multiboot_info], no_info
.loaded:
        call show_cpu
        call show_memory
        call show_words
        mov esi, text_ready
        call puts

; ---------------------------------------------------------------- the shell
shell:  mov esp, stack_top              ; also where a fault handler comes back to
        sti
        mov esi, text_prompt
        call puts
        call read_line
        mov esi, line
        call skip_blanks
        cmp byte [esi], 0
        je shell
        mov ebx, commands
.next:  mov edi, [ebx]
        test edi, edi
        jz .unknown
        call match_word                 ; CF = 0: esi is behind the word
        jnc .found
        add ebx, 12
        jmp .next
.found: call skip_blanks
        call [ebx + 4]
        jmp shell
.unknown:
        push esi
        mov esi, text_unknown
        call puts
        pop esi
        call puts
        mov esi, text_try_help
        call puts
        jmp shell

; name, routine (esi = its argument text), help
commands:
        dd name_help, cmd_help, help_help
        dd name_cpuid, cmd_cpuid, help_cpuid
        dd name_mem, cmd_mem, help_mem
        dd name_ticks, cmd_ticks, help_ticks
        dd name_date, cmd_date, help_date
        dd name_peek, cmd_peek, help_peek
        dd name_poke, cmd_poke, help_poke
        dd name_echo, cmd_echo, help_echo
        dd name_fault, cmd_fault, help_fault
        dd name_reboot, cmd_reboot, help_reboot
        dd name_poweroff, cmd_poweroff, help_poweroff
        dd name_crash, cmd_crash, help_crash
        dd name_exit, cmd_exit, help_exit
        dd 0

cmd_help:
        mov ebx, commands
.row:   mov esi, [ebx]
        test esi, esi
        jz .done
        call put_padded
        mov esi, [ebx + 8]
        call puts
        call newline
        add ebx, 12
        jmp .row
.done:  ret

cmd_cpuid:
        mov esi, text_cpuid_head
        call puts
        xor eax, eax
        cpuid
        mov ebp, eax                    ; last basic leaf
        xor edi, edi
.basic: call put_leaf
        inc edi
        cmp edi, ebp
        jbe .basic
        mov eax, 0x80000000
        cpuid
        test eax, eax
        jns .done                       ; no extended leaves
        mov ebp, eax
        mov edi, 0x80000000
.extended:
        call put_leaf
        inc edi
        cmp edi, ebp
        jbe .extended
.done:  ret

; leaf edi as one row
put_leaf:
        pushad
        mov eax, edi
        call put_hex
        mov eax, edi
        xor ecx, ecx
        cpuid
        push edx
        push ecx
        push ebx
        push eax
        mov ecx, 4
.word:  call space
        pop eax
        call put_hex
        loop .word
        call newline
        popad
        ret

cmd_mem:
        jmp show_memory

cmd_ticks:
        mov eax, [ticks]
        call put_dec
        mov esi, text_ticks
        call puts
        xor edx, edx
        mov ecx, TICKS_A_SECOND
        div ecx
        call put_dec
        mov al, '.'
        call putc
        mov eax, edx
        call put_two
        mov esi, text_seconds
        jmp puts

; RTC time as the CMOS has it: waits for the end of an update, assumes BCD unless register B says binary
cmd_date:
        mov al, 0x0a
        call cmos
        test al, 0x80
        jnz cmd_date
        mov al, 0x32
        call cmos_number                ; century
        call put_two
        mov al, 0x09
        call cmos_number
        call put_two
        mov al, '-'
        call putc
        mov al, 0x08
        call cmos_number
        call put_two
        mov al, '-'
        call putc
        mov al, 0x07
        call cmos_number
        call put_two
        call space
        mov al, 0x04
        call cmos_number
        call put_two
        mov al, ':'
        call putc
        mov al, 0x02
        call cmos_number
        call put_two
        mov al, ':'
        call putc
        mov al, 0x00
        call cmos_number
        call put_two
        jmp newline

; CMOS register al -> al
cmos:   out 0x70, al
        in al, 0x71
        ret

; CMOS register al as a binary number -> eax
cmos_number:
        push ecx
        call cmos
        movzx ecx, al
        mov al, 0x0b
        call cmos
        test al, 4                      ; DM: binary
        jnz .binary
        mov eax, ecx
        shr ecx, 4
        and eax, 0x0f
        imul ecx, ecx, 10
        add ecx, eax
.binary:
        mov eax, ecx
        pop ecx
        ret

; peek ADDRESS [COUNT]
cmd_peek:
        call read_number
        jc bad_number
        mov edi, eax
        mov ecx, 64
        call skip_blanks
        cmp byte [esi], 0
        je .rows
        call read_number
        jc bad_number
        mov ecx, eax
        cmp ecx, 4096
        jbe .rows
        mov ecx, 4096
.rows:  test ecx, ecx
        jz .done
        mov eax, edi
        call put_hex
        xor ebx, ebx
.byte:  call space
        mov al, [edi + ebx]
        mov [row + ebx], al             ; read once: it may be a device
        call put_byte
        inc ebx
        cmp ebx, ecx
        je .text
        cmp ebx, PROMPT_COLUMNS
        jb .byte
.text:  mov edx, PROMPT_COLUMNS
        sub edx, ebx
        lea edx, [edx * 3 + 2]
.pad:   call space
        dec edx
        jnz .pad
        xor edx, edx
.char:  mov al, [row + edx]
        cmp al, 0x20
        jb .dot
        cmp al, 0x7e
        jbe .shown
.dot:   mov al, '.'
.shown: call putc
        inc edx
        cmp edx, ebx
        jb .char
        call newline
        add edi, ebx
        sub ecx, ebx
        jmp .rows
.done:  ret

; poke ADDRESS BYTE...
cmd_poke:
        call read_number
        jc bad_number
        mov edi, eax
.byte:  call skip_blanks
        cmp byte [esi], 0
        je .done
        call read_number
        jc bad_number
        mov [edi], al
        inc edi
        jmp .byte
.done:  ret

bad_number:
        mov esi, text_bad_number
        jmp puts

cmd_echo:
        call puts
        jmp newline

cmd_fault:
        ud2

cmd_reboot:
        cli
        mov ecx, 0x10000                ; the controller's input buffer must be empty, but do not wait for ever
.wait:  in al, 0x64
        test al, 2
        loopnz .wait
        mov al, 0xfe                    ; pulse the reset line
        out 0x64, al
        mov ecx, 0x1000000
.hope:  loop .hope
        ; no keyboard controller: fall into the triple fault
cmd_crash:
        cli
        lidt [no_idt]
        int3
        jmp $

cmd_exit:
        cmp byte [esi], 0
        mov eax, 0
        je .out
        call read_number
        jc bad_number
.out:   out DEBUG_EXIT, al
        call linger
        mov esi, text_no_exit_port
        jmp puts

; half a second for a machine that ends some time after it was told to
linger: push ecx
        mov ecx, TICKS_A_SECOND / 2
.tick:  hlt
        loop .tick
        pop ecx
        ret

; ---------------------------------------------------------------- ACPI power-off (ACPI 6.5: 5.2.5 RSDP, 4.8.3.2 PM1_CNT)
cmd_poweroff:
        mov esi, 0xe0000
.rsdp:  cmp dword [esi], 'RSD '
        jne .step
        cmp dword [esi + 4], 'PTR '
        je .rsdt
.step:  add esi, 16
        cmp esi, 0x100000
        jb .rsdp
.none:  mov esi, text_no_acpi
        jmp puts
.rsdt:  mov esi, [esi + 16]
        mov ecx, [esi + 4]              ; length
        sub ecx, 36
        shr ecx, 2
        jz .none
        lea ebx, [esi + 36]
.table: mov edx, [ebx]
        cmp dword [edx], 'FACP'
        je .fadt
        add ebx, 4
        loop .table
        jmp .none
.fadt:  mov ebp, edx
        mov esi, [ebp + 40]             ; DSDT
        mov ecx, [esi + 4]
        lea edi, [esi + ecx - 8]
.s5:    cmp dword [esi], '_S5_'
        je .package
        inc esi
        cmp esi, edi
        jb .s5
        jmp .none
.package:
        ; NameOp "_S5_" PackageOp PkgLength NumElements SLP_TYPa...: each a BytePrefix (0A) and a byte, or 00, or 01
        cmp byte [esi + 4], 0x12
        jne .none
        movzx eax, byte [esi + 5]
        shr eax, 6                      ; further bytes of PkgLength
        lea esi, [esi + eax + 7]
        movzx eax, byte [esi]
        cmp al, 0x0a
        jne .type
        movzx eax, byte [esi + 1]
.type:  and eax, 7
        shl eax, 10
        or eax, 1 << 13                 ; SLP_EN
        mov ebx, eax
        mov edx, [ebp + 64]             ; PM1a_CNT_BLK
        in ax, dx
        test al, 1                      ; SCI_EN
        jnz .enabled
        push edx
        mov edx, [ebp + 48]             ; SMI_CMD
        test edx, edx
        jz .no_smi
        mov al, [ebp + 52]              ; ACPI_ENABLE
        out dx, al
.no_smi:
        pop edx
        mov ecx, 0x100000
.wait:  in ax, dx
        test al, 1
        jnz .enabled
        loop .wait
.enabled:
        call flush
        mov eax, ebx
        out dx, ax
        call linger
        jmp .none                       ; still here

; ---------------------------------------------------------------- what the machine is
show_cpu:
        pushad
        mov esi, text_cpu
        call puts
        xor eax, eax
        cpuid
        mov [vendor], ebx
        mov [vendor + 4], edx
        mov [vendor + 8], ecx
        mov esi, vendor
        call puts
        mov eax, 1
        cpuid
        push ecx
        push edx
        mov ebx, eax
        mov esi, text_family
        call puts
        mov eax, ebx
        shr eax, 8
        and eax, 0x0f
        mov ecx, eax
        cmp eax, 0x0f
        jne .family
        mov edx, ebx
        shr edx, 20
        and edx, 0xff
        add eax, edx                    ; extended family
.family:
        call put_dec
        mov esi, text_model
        call puts
        mov eax, ebx
        shr eax, 4
        and eax, 0x0f
        cmp ecx, 6
        je .extended
        cmp ecx, 0x0f
        jne .model
.extended:
        mov edx, ebx
        shr edx, 12
        and edx, 0xf0
        or eax, edx
.model: call put_dec
        mov esi, text_stepping
        call puts
        mov eax, ebx
        and eax, 0x0f
        call put_dec
        call newline
        mov dword [column], 0
        pop edx
        mov esi, names_edx
        call put_features
        pop edx
        mov esi, names_ecx
        call put_features
        cmp dword [column], 0
        je .done
        call newline
.done:  popad
        ret

; names of the set bits of edx; esi = 32 zero-terminated names, an empty one for bits without
put_features:
        push ebx
        push edx
        mov ebx, 32
.bit:   shr edx, 1
        jnc .skip
        cmp byte [esi], 0
        je .skip
        cmp dword [column], 0
        jne .inside
        push esi
        mov esi, text_indent
        call puts
        pop esi
.inside:
        call puts
        call space
        inc dword [column]
        cmp dword [column], 12
        jb .skip
        mov dword [column], 0
        call newline
.skip:  lodsb                           ; to the next name
        test al, al
        jnz .skip
        dec ebx
        jnz .bit
        pop edx
        pop ebx
        ret

show_memory:
        pushad
        mov esi, text_memory
        call puts
        mov ebx, [multiboot_info]
        test dword [ebx], 1 << 6
        jz .nomap
        mov edi, [ebx + 48]
        mov ebp, [ebx + 44]
        add ebp, edi
        xor ecx, ecx                    ; usable KiB
        jmp .test
.entry: cmp edi, [ebx + 48]
        je .first
        mov esi, text_indent
        call puts
.first: mov eax, [edi + 8]
        test eax, eax
        jz .low
        call put_hex                    ; above 4 GiB
.low:   mov eax, [edi + 4]
        call put_hex
        mov esi, text_dash
        call puts
        mov eax, [edi + 4]
        mov edx, [edi + 8]
        add eax, [edi + 12]
        adc edx, [edi + 16]
        sub eax, 1
        sbb edx, 0
        jz .low_end
        xchg eax, edx
        call put_hex
        xchg eax, edx
.low_end:
        call put_hex
        mov esi, text_reserved
        cmp dword [edi + 20], 1
        jne .kind
        mov esi, text_ram
        mov eax, [edi + 12]
        mov edx, [edi + 16]
        shrd eax, edx, 10
        add ecx, eax
.kind:  call puts
        mov eax, [edi]
        lea edi, [edi + eax + 4]
.test:  cmp edi, ebp
        jb .entry
        mov esi, text_indent
        call puts
        mov eax, ecx
        jmp .total
.nomap: mov eax, [ebx + 8]              ; mem_upper: KiB above 1 MiB
        test dword [ebx], 1
        jnz .upper
        xor eax, eax
.upper: add eax, 640
.total: call put_dec
        mov esi, text_usable
        call puts
        popad
        ret

; the command line that the loader passed
show_words:
        pushad
        mov ebx, [multiboot_info]
        test dword [ebx], 1 << 2
        jz .none
        mov edi, [ebx + 16]
        cmp byte [edi], 0
        je .none
        mov esi, text_words
        call puts
        mov esi, edi
        call puts
        call newline
.none:  popad
        ret

; ---------------------------------------------------------------- interrupts
idt_init:
        pushad
        mov edi, idt
        mov ebx, vector_stubs
        mov ecx, 48
.gate:  mov eax, ebx                    ; 32-bit interrupt gate, DPL 0
        mov [edi], ax
        mov word [edi + 2], 0x08
        mov word [edi + 4], 0x8e00
        shr eax, 16
        mov [edi + 6], ax
        add edi, 8
        add ebx, STUB_SIZE
        loop .gate
        lidt [idt_pointer]
        popad
        ret

; both 8259s: edge triggered, cascade on IRQ 2, vectors from IRQ_BASE; only the timer and COM1 enabled
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
        mov al, 0xff & ~(1 << 0 | 1 << 4)
        out PIC1 + 1, al
        mov al, 0xff
        out PIC2 + 1, al
        ret

; channel 0, mode 2
pit_init:
        mov al, 0x34
        out PIT + 3, al
        mov ax, PIT_HZ / TICKS_A_SECOND
        out PIT, al
        mov al, ah
        out PIT, al
        ret

; 115200 8n1, FIFO on, interrupt on received data
uart_init:
        mov esi, .settings
        mov ecx, (.end - .settings) / 2
.set:   movzx edx, byte [esi]
        add edx, COM1
        mov al, [esi + 1]
        out dx, al
        add esi, 2
        loop .set
        ret
.settings:
        db 1, 0x00                      ; no interrupts while it is set up
        db 3, 0x80                      ; divisor
        db 0, 1
        db 1, 0
        db 3, 0x03                      ; 8n1
        db 2, 0xc7                      ; FIFO on and empty, threshold 14
        db 4, 0x0b                      ; DTR, RTS, OUT2 (lets interrupts through)
        db 1, 0x01                      ; received data
.end:

%macro stub 1
        align STUB_SIZE, nop
  %if %1 = 8 || (%1 >= 10 && %1 <= 14) || %1 = 17
        nop
        nop
  %else
        push byte 0                     ; where the CPU pushes no error code
  %endif
        push byte %1
        jmp near interrupt
%endmacro
STUB_SIZE       equ 16
        align STUB_SIZE, nop
vector_stubs:
%assign vector 0
%rep 48
        stub vector
  %assign vector vector + 1
%endrep

interrupt:
        pushad
        cld
        mov eax, [esp + 32]
        cmp eax, 32
        jb exception
        cmp eax, IRQ_BASE
        je .timer
        cmp eax, IRQ_BASE + 4
        je .serial
        jmp .eoi
.timer: inc dword [ticks]
        jmp .eoi
.serial:
        mov edx, COM1 + 2               ; reading IIR takes back the interrupt's cause
        in al, dx
.more:  mov edx, COM1 + 5
        in al, dx
        test al, 1
        jz .eoi
        mov edx, COM1
        in al, dx
        mov ecx, [ring_in]
        mov [ring + ecx], al
        inc ecx
        and ecx, RING_SIZE - 1
        cmp ecx, [ring_out]             ; full: the byte is lost
        je .more
        mov [ring_in], ecx
        jmp .more
.eoi:   mov al, 0x20
        cmp dword [esp + 32], IRQ_BASE + 8
        jb .master
        out PIC2, al
.master:
        out PIC1, al
        popad
        add esp, 8
        iretd

; pushad, vector, error code, EIP, CS, EFLAGS
exception:
        mov esi, text_exception
        call puts
        call put_dec
        mov esi, text_error
        call puts
        mov eax, [esp + 36]
        call put_hex
        mov esi, text_at
        call puts
        mov eax, [esp + 40]
        call put_hex
        call newline
        mov esi, .names
        mov ebp, esp
.register:
        mov eax, [ebp + 28]             ; eax first, as pushad has it last
        call puts
        call put_hex
        sub ebp, 4
.next:  lodsb
        test al, al
        jnz .next
        cmp byte [esi], 0
        jne .register
        call newline
        jmp shell
.names: db "eax ", 0, "  ecx ", 0, "  edx ", 0, "  ebx ", 0, "  esp ", 0, "  ebp ", 0, "  esi ", 0, "  edi ", 0, 0

; ---------------------------------------------------------------- input
; a line into `line`, zero-terminated, echoed; backspace and Ctrl-U edit, Ctrl-C starts again
read_line:
        pushad
.again: xor ebx, ebx
.key:   call getc
        cmp al, 13
        je .end
        cmp al, 10
        je .end
        cmp al, 8
        je .back
        cmp al, 127
        je .back
        cmp al, 3
        je .cancel
        cmp al, 21
        je .kill
        cmp al, 32
        jb .key
        cmp ebx, LINE_MAX
        jae .key
        mov [line + ebx], al
        inc ebx
        call putc
        jmp .key
.back:  call .rub
        jmp .key
.kill:  test ebx, ebx
        jz .key
        call .rub
        jmp .kill
.cancel:
        mov esi, text_cancelled
        call puts
        jmp .again
.end:   mov byte [line + ebx], 0
        call newline
        popad
        ret
.rub:   test ebx, ebx
        jz .rubbed
        dec ebx
        mov esi, text_rubout
        call puts
.rubbed:
        ret

; next received byte -> al; sleeps until there is one
getc:   push ecx
.look:  cli                             ; or the byte could come between the look and the sleep
        mov ecx, [ring_out]
        cmp ecx, [ring_in]
        jne .take
        sti                             ; takes effect after the next instruction
        hlt
        jmp .look
.take:  mov al, [ring + ecx]
        inc ecx
        and ecx, RING_SIZE - 1
        mov [ring_out], ecx
        sti
        pop ecx
        ret

; esi to the next character that is no blank
skip_blanks:
        cmp byte [esi], ' '
        jne .done
        inc esi
        jmp skip_blanks
.done:  ret

; does the word at esi equal the string at edi? CF = 0: yes, esi behind it; CF = 1: no, esi unchanged
match_word:
        push eax
        push edi
        push esi
.char:  mov al, [edi]
        test al, al
        jz .end
        cmp al, [esi]
        jne .no
        inc esi
        inc edi
        jmp .char
.end:   mov al, [esi]
        test al, al
        jz .yes
        cmp al, ' '
        jne .no
.yes:   add esp, 4
        pop edi
        pop eax
        clc
        ret
.no:    pop esi
        pop edi
        pop eax
        stc
        ret

; number at esi, decimal or 0x hexadecimal -> eax, esi behind it; CF = 1: none
read_number:
        push ebx
        push ecx
        push edx
        xor eax, eax
        xor edx, edx                    ; digits seen
        mov ebx, 10
        cmp word [esi], '0x'
        jne .digit
        add esi, 2
        mov ebx, 16
.digit: movzx ecx, byte [esi]
        or cl, 0x20                     ; digits have the bit anyway
        sub cl, '0'
        cmp cl, 9
        jbe .value
        sub cl, 'a' - '0' - 10
        cmp cl, 10
        jb .stop
        cmp cl, bl
        jae .stop
.value: push edx
        mul ebx
        pop edx
        add eax, ecx
        inc edx
        inc esi
        jmp .digit
.stop:  cmp edx, 1                      ; CF = no digit
        jc .done
        cmp byte [esi], 0
        je .done                        ; CF = 0 from the comparison of equals
        cmp byte [esi], ' '
        je .done
        stc
.done:  pop edx
        pop ecx
        pop ebx
        ret

; ---------------------------------------------------------------- output
; al to COM1
putc:   push edx
        push eax
        mov edx, COM1 + 5
.wait:  in al, dx
        test al, 0x20                   ; THR empty
        jz .wait
        mov edx, COM1
        pop eax
        out dx, al
        pop edx
        ret

; waits until the last byte has left
flush:  push eax
        push edx
        mov edx, COM1 + 5
.wait:  in al, dx
        test al, 0x40
        jz .wait
        pop edx
        pop eax
        ret

; string at esi; \n becomes \r\n
puts:   push eax
        push esi
.char:  lodsb
        test al, al
        jz .done
        cmp al, 10
        jne .plain
        mov al, 13
        call putc
        mov al, 10
.plain: call putc
        jmp .char
.done:  pop esi
        pop eax
        ret

; string at esi, filled to ten columns
put_padded:
        push ecx
        push esi
        call puts
        mov ecx, 10
.count: cmp byte [esi], 0
        je .pad
        inc esi
        loop .count
.pad:   jecxz .done
.space: call space
        loop .space
.done:  pop esi
        pop ecx
        ret

newline:
        push esi
        mov esi, text_newline
        call puts
        pop esi
        ret

space:  push eax
        mov al, ' '
        call putc
        pop eax
        ret

; eax as eight hexadecimal digits
put_hex:
        push ecx
        mov ecx, 8
.digit: rol eax, 4
        call put_nibble
        loop .digit
        pop ecx
        ret

; al as two
put_byte:
        rol al, 4
        call put_nibble
        rol al, 4
        ; falls through
put_nibble:
        push eax
        and al, 0x0f
        cmp al, 10
        jb .decimal
        add al, 'a' - '0' - 10
.decimal:
        add al, '0'
        call putc
        pop eax
        ret

; eax in decimal
put_dec:
        pushad
        mov ebx, 10
        xor ecx, ecx
.split: xor edx, edx
        div ebx
        push edx
        inc ecx
        test eax, eax
        jnz .split
.digit: pop eax
        call put_nibble
        loop .digit
        popad
        ret

; eax below 100 as two decimal digits
put_two:
        pushad
        mov bl, 10
        div bl
        call put_nibble
        mov al, ah
        call put_nibble
        popad
        ret

; ---------------------------------------------------------------- constants
        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff           ; 08: code, 4 GiB
        dq 0x00cf92000000ffff           ; 10: data, 4 GiB
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
idt_pointer:
        dw 48 * 8 - 1
        dd idt
no_idt: dw 0
        dd 0
no_info:
        dd 0                            ; multiboot information that says nothing

text_banner:
        db 10, "Paravane hello: a small 32-bit guest", 10, 10, 0
text_no_multiboot:
        db "not started by a multiboot loader: no memory map", 10, 0
text_cpu:       db "CPU     ", 0
text_family:    db ", family ", 0
text_model:     db " model ", 0
text_stepping:  db " stepping ", 0
text_memory:    db "Memory  ", 0
text_indent:    db "        ", 0
text_dash:      db " - ", 0
text_ram:       db "  RAM", 10, 0
text_reserved:  db "  reserved", 10, 0
text_usable:    db " KiB usable", 10, 0
text_words:     db "Words   ", 0
text_ready:     db 10, "Type help for the commands.", 10, 0
text_prompt:    db "> ", 0
text_unknown:   db "no command: ", 0
text_try_help:  db 10, "help lists the commands", 10, 0
text_bad_number: db "a number is missing or wrong: decimal, or hexadecimal with 0x", 10, 0
text_no_exit_port: db "still here: there is no debug-exit port (0xf4)", 10, 0
text_no_acpi:   db "still here: no ACPI that can power off", 10, 0
text_cpuid_head: db "leaf     eax      ebx      ecx      edx", 10, 0
text_ticks:     db " ticks, ", 0
text_seconds:   db " s", 10, 0
text_exception: db "exception ", 0
text_error:     db ", error code ", 0
text_at:        db ", at ", 0
text_cancelled: db "^C", 10, "> ", 0
text_rubout:    db 8, " ", 8, 0
text_newline:   db 10, 0

name_help:      db "help", 0
name_cpuid:     db "cpuid", 0
name_mem:       db "mem", 0
name_ticks:     db "ticks", 0
name_date:      db "date", 0
name_peek:      db "peek", 0
name_poke:      db "poke", 0
name_echo:      db "echo", 0
name_fault:     db "fault", 0
name_reboot:    db "reboot", 0
name_poweroff:  db "poweroff", 0
name_crash:     db "crash", 0
name_exit:      db "exit", 0
help_help:      db "this list", 0
help_cpuid:     db "every CPUID leaf", 0
help_mem:       db "the memory map", 0
help_ticks:     db "timer interrupts since the start", 0
help_date:      db "what the real-time clock says", 0
help_peek:      db "ADDRESS [COUNT]: bytes of memory", 0
help_poke:      db "ADDRESS BYTE...: writes memory", 0
help_echo:      db "WORDS: prints them", 0
help_fault:     db "an undefined instruction, caught", 0
help_reboot:    db "resets the machine", 0
help_poweroff:  db "switches it off by ACPI", 0
help_crash:     db "a triple fault", 0
help_exit:      db "N: ends with code N * 2 + 1 through port 0xf4", 0

; CPUID.1:EDX and ECX, a name a bit
names_edx:
        db "fpu", 0, "vme", 0, "de", 0, "pse", 0, "tsc", 0, "msr", 0, "pae", 0, "mce", 0
        db "cx8", 0, "apic", 0, 0, "sep", 0, "mtrr", 0, "pge", 0, "mca", 0, "cmov", 0
        db "pat", 0, "pse36", 0, "psn", 0, "clflush", 0, 0, "ds", 0, "acpi", 0, "mmx", 0
        db "fxsr", 0, "sse", 0, "sse2", 0, "ss", 0, "ht", 0, "tm", 0, 0, "pbe", 0
names_ecx:
        db "sse3", 0, "pclmul", 0, "dtes64", 0, "monitor", 0, "ds_cpl", 0, "vmx", 0, "smx", 0, "est", 0
        db "tm2", 0, "ssse3", 0, "cid", 0, 0, "fma", 0, "cx16", 0, "xtpr", 0, "pdcm", 0
        db 0, "pcid", 0, "dca", 0, "sse4.1", 0, "sse4.2", 0, "x2apic", 0, "movbe", 0, "popcnt", 0
        db "tsc_deadline", 0, "aes", 0, "xsave", 0, "osxsave", 0, "avx", 0, "f16c", 0, "rdrand", 0, "hypervisor", 0
        align 4
image_end:

; ---------------------------------------------------------------- memory of its own
        absolute image_end
multiboot_info:  resd 1
multiboot_magic: resd 1
bss_zeroed:
ticks:          resd 1
ring_in:        resd 1
ring_out:       resd 1
column:         resd 1
vendor:         resd 4                  ; the fourth stays zero: the end of the string
row:            resb PROMPT_COLUMNS
line:           resb LINE_MAX + 4
ring:           resb RING_SIZE
        alignb 8
idt:            resb 48 * 8
        alignb 16
                resb 8192
stack_top:
bss_end:
