; A guest that says what its disk has: multiboot, 32-bit, IDE by programmed I/O (ATA-4, READ and WRITE SECTORS), COM1.
;   s SECTOR   chooses a sector, by one byte
;   w BYTE     fills it with a byte and answers "."
;   r          answers "=" and the sector's first byte
        bits    32
        org     0x100000
MAGIC   equ     0x1BADB002
FLAGS   equ     1 << 16                 ; addresses follow

header: dd      MAGIC, FLAGS, -(MAGIC + FLAGS), header, header, 0, 0, start

start:  mov     esp, 0x180000
        mov     al, '+'
        call    put
next:   call    get
        cmp     al, 's'
        je      .sector
        cmp     al, 'w'
        je      .write
        cmp     al, 'r'
        jne     next
        mov     al, 0x20
        call    command
        mov     edi, buffer
        mov     ecx, 256
        rep     insw
        mov     al, '='
        call    put
        mov     al, [buffer]
        call    put
        jmp     next
.sector:
        call    get
        mov     [sector], al
        jmp     next
.write: call    get
        mov     edi, buffer
        mov     ecx, 512
        rep     stosb
        mov     al, 0x30
        call    command
        mov     esi, buffer
        mov     ecx, 256
        rep     outsw
        call    ready
        mov     al, '.'
        call    put
        jmp     next

; AL = command, for one sector; back when there is data to move, DX = the data port
command:
        push    eax
        call    ready
        mov     dx, 0x1F6
        mov     al, 0xE0                ; LBA, drive 0
        out     dx, al
        mov     dx, 0x1F2
        mov     al, 1
        out     dx, al
        mov     dx, 0x1F3
        mov     al, [sector]
        out     dx, al
        mov     dx, 0x1F4
        mov     al, 0
        out     dx, al
        mov     dx, 0x1F5
        out     dx, al
        mov     dx, 0x1F7
        pop     eax
        out     dx, al
.wait:  in      al, dx
        and     al, 0x88                ; BSY, DRQ
        cmp     al, 0x08
        jne     .wait
        mov     dx, 0x1F0
        ret

ready:  mov     dx, 0x1F7
.wait:  in      al, dx
        test    al, 0x80
        jnz     .wait
        ret

get:    mov     dx, 0x3FD
.wait:  in      al, dx
        test    al, 1
        jz      .wait
        mov     dx, 0x3F8
        in      al, dx
        ret

put:    mov     dx, 0x3F8
        out     dx, al
        ret

sector: db      0
buffer: times 512 db 0
