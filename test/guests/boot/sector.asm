; A boot sector that says on COM1 where it was started from, what INT 13h reads there, and, on a disk that can be written,
; that what INT 13h writes is read again. Ends the machine through isa-debug-exit.
        bits 16
        org 0x7c00
        jmp 0:start
start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov [drive], dl
        mov si, hello
        call print
        mov al, [drive]
        call hex
        mov si, newline
        call print

        cmp byte [drive], 0xe0
        jae cd
        cmp byte [drive], 0x80
        jae disk

; ---- floppy: cylinder 0, head 0, sector 2; and the last sector
        mov cx, 0x0002
        mov dh, 0
        call chsread
        mov si, 0x8000
        call print
        mov cx, 0x4f12          ; cylinder 79, sector 18
        mov dh, 1
        call chsread
        mov si, 0x8000
        call print
        mov byte [0x8000], 'W'
        mov ax, 0x0301
        call int13
        mov byte [0x8000], 0
        call chsread
        mov si, 0x8000
        call print
        jmp done

; ---- hard disk: LBA 1 by extended read, CHS write, extended read
disk:   mov byte [lba], 1
        call lbaread
        mov si, 0x8000
        call print
        mov byte [0x8000], 'W'
        mov cx, 0x0003
        mov dh, 0
        mov ax, 0x0301
        call int13
        mov byte [0x8000], 0
        mov byte [lba], 2
        call lbaread
        mov si, 0x8000
        call print
        jmp done

; ---- CD: the primary volume descriptor
cd:     mov byte [lba], 16
        call lbaread
        mov byte [0x8006], 0
        mov si, 0x8001
        call print
        mov si, newline
        call print

done:   mov si, bios            ; and through the firmware's screen
.next:  lodsb
        test al, al
        jz .end
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp .next
.end:   mov dx, 0xf4
        mov al, 0x21
        out dx, al
        hlt

chsread:
        mov ax, 0x0201
int13:  mov bx, 0x8000
        mov dl, [drive]
        int 0x13
        jc error
        ret
lbaread:
        mov si, packet
        mov ah, 0x42
        mov dl, [drive]
        int 0x13
        jc error
        ret
error:  push ax
        mov si, failed
        call print
        pop ax
        mov al, ah
        call hex
        mov si, newline
        call print
        jmp done.end

print:  lodsb
        test al, al
        jz .end
        call putc
        jmp print
.end:   ret
hex:    push ax
        shr al, 4
        call .digit
        pop ax
        and al, 15
.digit: add al, '0'
        cmp al, '9'
        jbe putc
        add al, 'a' - '9' - 1
putc:   push ax
        push dx
        mov ah, al
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov dx, 0x3f8
        mov al, ah
        out dx, al
        pop dx
        pop ax
        ret

hello:  db "boot from ", 0
bios:   db "int 10h works", 13, 10, 0
failed: db "int 13h error ", 0
newline: db 13, 10, 0
drive:  db 0
        align 4
packet: db 16, 0
        dw 1, 0x8000, 0
lba:    dq 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
