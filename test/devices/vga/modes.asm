; Sets a video mode through the VGA BIOS and draws a pattern, without any other firmware: a 128 KiB firmware image whose
; upper half this is. The lower half, seen at E0000h, is the VGA BIOS. nasm -f bin modes.asm -o modes.bin
; The word at MODE says what to show: the BIOS's modes 1, 3, 7 (103h: 3 with 50 lines), 4, 6, 0Dh to 12h and 13h; 113h:
; 13h unchained; 4xxxh: VBE mode xxxh by its linear frame buffer, 8xxxh: by its banks; 2000h more: shown from line 20 on.
bits 16
org 0
VBIOS_KIB equ 64
VGA_BDF equ 0x10               ; 00:02.0
LFB equ 0xe0000000

start:
  cli
  cld
  xor ax, ax
  mov ss, ax
  mov sp, 0x7000
  ; shadow memory writable (440FX PAM1..PAM6), for emulators in which it is not
  mov dword [ss:0x7100], 0
  mov bx, 0x5a
.pam:
  mov al, 0x33
  call pci_write_host
  inc bx
  cmp bx, 0x60
  jb .pam
  ; the E segment may have become shadow memory without contents: the BIOS is taken from the top of memory
  call unreal
  mov esi, 0xfffe0000
  mov edi, 0xc0000
  mov ecx, VBIOS_KIB * 1024 / 4
.copy:
  mov eax, [fs:esi]
  mov [fs:edi], eax
  add esi, 4
  add edi, 4
  dec ecx
  jnz .copy
  ; this half again, into the shadow memory it runs from
  mov esi, 0xffff0000
  mov edi, 0xf0000
  mov ecx, 0x10000 / 4
.copy2:
  mov eax, [fs:esi]
  mov [fs:edi], eax
  add esi, 4
  add edi, 4
  dec ecx
  jnz .copy2
  ; the adapter: frame buffer at LFB, registers behind it, decoding on
  mov bl, 0x10
  mov ecx, LFB
  call pci_write_vga
  mov bl, 0x18
  mov ecx, LFB + 0x1000000
  call pci_write_vga
  mov bl, 0x04
  mov ecx, 3
  call pci_write_vga
  ; an interrupt table of IRETs
  xor ax, ax
  mov es, ax
  mov ds, ax
  xor di, di
  mov cx, 256
.ivt:
  mov word [es:di], iret_only
  mov word [es:di + 2], 0xf000
  add di, 4
  loop .ivt
  mov word [0x410], 0x20       ; equipment: 80x25 colour
  mov ax, VGA_BDF
  call 0xc000:3
  xor ax, ax
  mov es, ax
  mov ds, ax
  call unreal
  mov ax, [cs:MODE]
  test ax, 0xc000
  jnz vbe
  cmp ax, 0x113
  je modex
  cmp ax, 0x13
  je mode13
  cmp al, 0x0d
  jae planar
  cmp al, 4
  je cga
  cmp al, 6
  je cga

; ---- text: all attributes and characters 20h..7Fh, C0h..DFh; no cursor
text:
  cmp al, 7
  jne .set
  ; the BIOS programs the monochrome addresses before it switches to them: the rest comes from here
  mov ax, 3
  int 0x10
  mov al, 7
.set:
  xor ah, ah
  int 0x10
  cmp word [cs:MODE], 0x103
  jne .lines
  mov ax, 0x1112               ; the font of 8 rows
  xor bl, bl
  int 0x10
.lines:
  mov ah, 1
  mov cx, 0x2607
  int 0x10
  mov ax, 0x1003               ; bright backgrounds in place of blinking
  mov bl, 0
  int 0x10
  mov ax, 0xb800
  cmp word [cs:MODE], 7
  jne .segment
  mov ax, 0xb000
.segment:
  mov es, ax
  xor di, di
  xor bx, bx
.cell:
  mov al, bl
  and al, 0x7f
  cmp al, 0x20
  jae .plain
  add al, 0xc0
.plain:
  mov ah, bh
  stosw
  inc bl
  add bh, 7
  cmp di, 80 * 50 * 2
  jb .cell
  jmp done

; ---- CGA graphics: 320x200 in four colours, 640x200 in two
cga:
  int 0x10
  mov ax, 0xb800
  mov es, ax
  xor di, di
  xor ax, ax
.fill:
  mov [es:di], al
  inc di
  add al, 0x1b
  cmp di, 0x4000
  jb .fill
  jmp done

; ---- planes: bars by write mode 2, then each other way to write; of smaller modes only the first lines show
planar:
  int 0x10
  mov ax, 0xa000
  mov es, ax
  mov dx, 0x3ce
  mov ax, 0x0205               ; write mode 2
  out dx, ax
  xor di, di
.bars:
  mov ax, di
  shr ax, 3
  xor ax, di
  mov [es:di], al
  inc di
  cmp di, 80 * 120
  jb .bars
  ; write mode 0 with set/reset on two planes, rotation by 3 and XOR with the latches
  mov ax, 0x0005
  out dx, ax
  mov ax, 0x0900
  out dx, ax
  mov ax, 0x0501
  out dx, ax
  mov ax, 0x1b03
  out dx, ax
.xor:
  mov bx, di
  mov al, [es:bx - 80 * 120]   ; loads the latches with the bars
  mov ax, di
  mov [es:di], al
  inc di
  cmp di, 80 * 200
  jb .xor
  mov ax, 0x0003
  out dx, ax
  mov ax, 0x0001
  out dx, ax
  ; write mode 1: copies of what is above, all planes at once
  mov ax, 0x0105
  out dx, ax
.latch:
  mov al, [es:di - 80 * 100]
  mov [es:di], al
  inc di
  cmp di, 80 * 280
  jb .latch
  ; write mode 3: the bit mask comes with the data
  mov ax, 0x0305
  out dx, ax
  mov ax, 0x0c00
  out dx, ax
.mode3:
  mov al, [es:di - 80 * 40]
  mov ax, di
  mov [es:di], al
  inc di
  cmp di, 80 * 360
  jb .mode3
  ; two planes by the map mask, half of each byte by the bit mask
  mov ax, 0x0005
  out dx, ax
  mov ax, 0x0f08
  out dx, ax
  mov dx, 0x3c4
  mov ax, 0x0602
  out dx, ax
.masks:
  mov al, [es:di - 80 * 100]
  mov ax, di
  mov [es:di], al
  inc di
  cmp di, 80 * 420
  jb .masks
  ; what a color compare finds becomes the picture
  mov dx, 0x3ce
  mov ax, 0xff08
  out dx, ax
  mov ax, 0x0502               ; color compare 5, all planes matter but the first
  out dx, ax
  mov ax, 0x0e07
  out dx, ax
  mov ax, 0x0805
  out dx, ax
.compare:
  mov al, [es:di - 80 * 400]
  mov [es:di], al
  inc di
  cmp di, 80 * 480
  jb .compare
  jmp done

; ---- 320x200 in 256 colours, bytes and doublewords
mode13:
  mov ax, 0x13
  int 0x10
  mov ax, 0xa000
  mov es, ax
  xor di, di
.fill:
  mov ax, di
  mov bx, di
  shr bx, 7
  xor ax, bx
  stosb
  cmp di, 320 * 100
  jb .fill
  mov eax, 0x03020100
.wide:
  stosd
  add eax, 0x04040404
  cmp di, 320 * 200
  jb .wide
  jmp done

; ---- the same without chain-4, a plane at a time; a palette of our own, scrolled and split
modex:
  mov ax, 0x13
  int 0x10
  mov dx, 0x3c4
  mov ax, 0x0604
  out dx, ax
  mov dx, 0x3d4
  mov ax, 0x0014
  out dx, ax
  mov ax, 0xe317
  out dx, ax
  mov dx, 0x3c8
  xor al, al
  out dx, al
  inc dx
  xor cx, cx
.palette:
  mov al, cl
  out dx, al
  mov al, cl
  shr al, 2
  out dx, al
  mov al, cl
  not al
  out dx, al
  inc cl
  jnz .palette
  mov ax, 0xa000
  mov es, ax
  mov bl, 1
.plane:
  mov dx, 0x3c4
  mov al, 2
  mov ah, bl
  out dx, ax
  xor di, di
.fill:
  mov ax, di
  mov bh, ah
  add al, bh
  add al, bl
  mov [es:di], al
  inc di
  cmp di, 80 * 240
  jb .fill
  shl bl, 1
  cmp bl, 16
  jb .plane
  mov dx, 0x3d4
  mov ax, 0x050c               ; starts 16 lines down
  out dx, ax
  mov ax, 0x000d
  out dx, ax
  ; from line 300 of 400 on again at the start
  mov ax, 0x2b18
  out dx, ax
  mov al, 9
  out dx, al
  inc dx
  in al, dx
  and al, 0xbf
  out dx, al
  dec dx
  mov al, 7
  out dx, al
  inc dx
  in al, dx
  or al, 0x10
  out dx, al
  jmp done

; ---- VBE
vbe:
  mov bx, ax
  and bx, 0x1fff
  test ax, 0x8000
  jnz .set
  or bx, 0x4000
.set:
  mov ax, 0x4f02
  int 0x10
  mov ax, 0x4f01
  mov cx, bx
  and cx, 0x1fff
  push word 0x1000
  pop es
  xor di, di
  int 0x10
  mov bp, [es:di + 0x10]       ; bytes a line
  movzx eax, word [es:di + 0x14]
  movzx ecx, bp
  mul ecx
  mov esi, eax                 ; bytes of the picture
  test word [cs:MODE], 0x8000
  jnz .banked
  mov edi, [es:di + 0x28]
  xor ecx, ecx
.linear:
  call pattern
  mov [fs:edi], eax
  add edi, 4
  add ecx, 4
  cmp ecx, esi
  jb .linear
  jmp .shown
.banked:
  mov ax, 0xa000
  mov es, ax
  xor ecx, ecx
.bank:
  mov ax, 0x4f05
  xor bx, bx
  mov edx, ecx
  shr edx, 16
  push ecx
  int 0x10
  pop ecx
.in_bank:
  call pattern
  mov di, cx
  mov [es:di], eax
  add ecx, 4
  cmp ecx, esi
  jae .shown
  test cx, cx
  jnz .in_bank
  jmp .bank
.shown:
  test word [cs:MODE], 0x2000
  jz done
  mov ax, 0x4f07
  xor bx, bx
  xor cx, cx
  mov dx, 20
  int 0x10
  jmp done

; EAX: four bytes of the picture at byte ECX
pattern:
  mov eax, ecx
  shr eax, 5
  xor eax, ecx
  imul eax, eax, 0x01000193
  ret

done:
  mov al, 0xa5                 ; seen at the debug console, where no text has it
  out 0xe9, al
.stop:
  hlt
  jmp .stop

iret_only:
  iret

; Segments with base 0 and a limit of 4 GiB, as BIOSes call option ROMs
unreal:
  lgdt [cs:gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  mov bx, 8
  mov ds, bx
  mov es, bx
  mov fs, bx
  and al, 0xfe
  mov cr0, eax
  xor bx, bx
  mov ds, bx
  mov es, bx
  mov fs, bx
  ret
gdtr:
  dw 15
  dd 0xf0000 + gdt
align 8
gdt:
  dq 0
  dq 0x00cf93000000ffff

; AL to byte BX of the host bridge's configuration space
pci_write_host:
  push ax
  mov eax, 0x80000000
  mov al, bl
  and al, 0xfc
  mov dx, 0xcf8
  out dx, eax
  mov dx, bx
  and dx, 3
  add dx, 0xcfc
  pop ax
  out dx, al
  ret

; ECX to doubleword BL of the adapter's configuration space
pci_write_vga:
  mov eax, 0x80000000 | (VGA_BDF << 8)
  mov al, bl
  mov dx, 0xcf8
  out dx, eax
  mov dx, 0xcfc
  mov eax, ecx
  out dx, eax
  ret

times 0xff00 - ($ - $$) db 0
MODE: dw 3
times 0xfff0 - ($ - $$) db 0
  jmp 0xf000:start
times 0x10000 - ($ - $$) db 0
