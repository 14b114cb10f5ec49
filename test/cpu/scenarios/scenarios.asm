; Short programs that use privilege and control state, each ended by an exception or by INT 30h. The handler prints one
; line a scenario on port E9h: number, vector, error code, and the interrupted context. The same image runs under QEMU
; (scenarios.expected, see record.sh) and under the core, and the lines are compared.
; Multiboot image at 1 MiB; nasm -f bin.
bits 32
org 0x100000
SEL_CS0 equ 0x08
SEL_DS0 equ 0x10
SEL_CS3 equ 0x1b
SEL_DS3 equ 0x23
SEL_TSS equ 0x28
SEL_TSS2 equ 0x30      ; available 32-bit TSS
SEL_CONF equ 0x38      ; conforming code, DPL 0
SEL_NPDATA equ 0x40    ; data, not present
SEL_NPCODE equ 0x48    ; code, not present
SEL_RODATA equ 0x50    ; read-only data
SEL_XCODE equ 0x58     ; execute-only code
SEL_GATE0 equ 0x60     ; call gate to ring 0, DPL 3, no parameters
SEL_GATE2 equ 0x68     ; the same with 2 parameters
SEL_GATE16 equ 0x70    ; 16-bit call gate, DPL 3, 1 parameter
SEL_GATEX equ 0x78     ; call gate, DPL 0
SEL_TGATE equ 0x80     ; task gate to TSS2, DPL 3
SEL_LDT equ 0x88
SEL_NPGATE equ 0x90    ; call gate, not present
SEL_TSSBUSY equ 0x98   ; busy TSS
SEL_TSSSHORT equ 0xa0  ; TSS with limit 66h
SEL_TSSNP equ 0xa8     ; TSS, not present
SEL_TSS16 equ 0xb0     ; available 16-bit TSS
SEL_SMALL equ 0xb8     ; data, limit FFh, byte granular
SEL_CODE16 equ 0xc0    ; 16-bit code, base 0 limit 1 MiB + 64K via 4K units
SEL_STACK16 equ 0xc8   ; 16-bit stack segment DPL 3
SEL_CONF3 equ 0xd0     ; conforming code, DPL 3
SEL_GATEDATA equ 0xd8  ; call gate to a data segment, DPL 3
SEL_DOWN equ 0xe0      ; expand-down data, limit FFFh, 32 bit
SEL_TGATENP equ 0xe8   ; task gate to a TSS that is not present, DPL 3
SEL_CS1 equ 0xf1       ; ring 1 code
SEL_DS1 equ 0xf9       ; ring 1 data
LDT_DATA equ 0x0c      ; data in the LDT
STACK0 equ 0x180000
STACK3 equ 0x190000
STACKT equ 0x1a0000    ; of the second task
VMSEG equ 0x5000       ; vm86 code segment

  jmp start
  align 4
mboot:
  dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
  dd mboot, 0x100000, image_end, bss_end, start

start:
  cld
  mov al, 0xff           ; no interrupts from the 8259s
  out 0x21, al
  out 0xa1, al
  mov esp, STACK0
  lgdt [gdtr_template]
  jmp SEL_CS0:.cs
.cs:
  mov dword [index], 0
next_scenario:
  mov ax, SEL_DS0
  mov ss, ax
  mov ds, ax
  mov es, ax
  mov esp, STACK0
  ; debug and control registers, flags
  xor eax, eax
  mov dr7, eax
  mov eax, 0xffff0ff0
  mov dr6, eax
  xor eax, eax
  mov dr0, eax
  mov dr1, eax
  mov cr2, eax
  mov eax, cr0
  and eax, 0x7fffffd7
  or eax, 0x21           ; NE
  mov cr0, eax
  mov eax, cr4
  and eax, ~0x7ff
  mov cr4, eax
  push dword 2
  popfd
  ; tables from their templates
  cld
  mov esi, gdt_template
  mov edi, gdt
  mov ecx, gdt_size / 4
  rep movsd
  mov esi, ldt_template
  mov edi, ldt
  mov ecx, 4
  rep movsd
  mov esi, tss_template
  mov edi, tss
  mov ecx, tss_size / 4
  rep movsd
  mov esi, tss2_template
  mov edi, tss2
  mov ecx, tss_size / 4
  rep movsd
  mov esi, tss16_template
  mov edi, tss16
  mov ecx, 12
  rep movsd
  ; IDT: 64 interrupt gates, DPL 0, but 30h DPL 3
  mov edi, idt
  mov eax, isr_table
  xor ecx, ecx
.gate:
  mov edx, [eax + ecx * 4]
  mov [edi], dx
  mov word [edi + 2], SEL_CS0
  mov word [edi + 4], 0x8e00
  shr edx, 16
  mov [edi + 6], dx
  add edi, 8
  inc ecx
  cmp ecx, 64
  jb .gate
  mov byte [idt + 0x30 * 8 + 5], 0xee
  lidt [idtr]
  lgdt [gdtr]
  jmp SEL_CS0:.reload
.reload:
  mov ax, SEL_TSS
  ltr ax
  mov ax, SEL_LDT
  lldt ax
  xor eax, eax
  mov fs, ax
  mov gs, ax
  ; the scenario
  mov ebx, [index]
  mov edi, [scenarios + ebx * 4]
  test edi, edi
  jz finished
  mov [base], edi
  inc dword [index]
  push edi
  mov eax, 0x11111111
  mov ecx, 0x22222222
  mov edx, 0x33333333
  mov ebx, 0x44444444
  mov ebp, 0x55555555
  mov esi, 0x66666666
  mov edi, 0x77777777
  ret

finished:
  mov al, 0x0a
  out 0xe9, al
  mov esi, done
.c: lodsb
  test al, al
  jz .stop
  out 0xe9, al
  jmp .c
.stop:
  mov al, 0
  out 0xf4, al
  cli
  hlt
  jmp .stop
done: db "done", 10, 0

; ---------------------------------------------------------------- the handler
%macro isr 1
isr_%1:
%if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17
%else
  push dword 0x0e0e
%endif
  push dword %1
  jmp handler
%endmacro
%assign n 0
%rep 64
  isr n
%assign n n + 1
%endrep

; [esp] vector, error, EIP, CS, EFLAGS, (ESP, SS, (ES, DS, FS, GS))
handler:
  pushad
  mov bp, ds
  shl ebp, 16
  mov bp, es
  push ebp
  mov bp, fs
  shl ebp, 16
  mov bp, gs
  push ebp
  mov ax, SEL_DS0
  mov ds, ax
  mov es, ax
  mov ebp, esp           ; [ebp] fsgs, dses, edi esi ebp esp ebx edx ecx eax, vector, error, eip, cs, eflags, esp, ss
  mov eax, [index]
  dec eax
  call hex2
  mov eax, [ebp + 40]
  call hex2
  mov eax, [ebp + 44]
  call hex
  mov eax, [ebp + 48]
  sub eax, [base]        ; EIP relative to the scenario where it is near it
  cmp eax, 0x1000
  jb .near
  add eax, [base]
.near:
  call hex
  mov eax, [ebp + 52]
  and eax, 0xffff
  call hex
  mov eax, [ebp + 56]
  and eax, ~0x10000      ; QEMU 7.2 pushes no RF for faults
  call hex
  test dword [ebp + 56], 0x20000
  jnz .outer
  test byte [ebp + 52], 3
  jnz .outer
  lea eax, [ebp + 60]
  call hex
  mov eax, ss
  call hex
  jmp .regs
.outer:
  mov eax, [ebp + 60]
  call hex
  movzx eax, word [ebp + 64]
  call hex
.regs:
  mov eax, [ebp + 4]
  call hex
  mov eax, [ebp]
  call hex
  mov eax, [ebp + 36]    ; eax
  call hex
  mov eax, [ebp + 32]    ; ecx
  call hex
  mov eax, [ebp + 28]    ; edx
  call hex
  str eax
  call hex
  mov eax, dr6
  call hex
  mov eax, cr0
  call hex
  mov al, [gdt + SEL_TSS + 5]
  call hex2
  mov al, [gdt + SEL_TSS2 + 5]
  call hex2
  mov al, 10
  out 0xe9, al
  ; NT must not follow us
  push dword 2
  popfd
  jmp SEL_CS0:next_scenario

hex:
  push ecx
  mov ecx, 8
.digit:
  rol eax, 4
  push eax
  and al, 15
  cmp al, 10
  sbb al, 0x69
  das
  or al, 0x20
  out 0xe9, al
  pop eax
  dec ecx
  jnz .digit
  mov al, ' '
  out 0xe9, al
  pop ecx
  ret
hex2:
  push ecx
  mov ecx, 2
  shl eax, 24
  jmp hex.digit

; ---------------------------------------------------------------- helpers of scenarios
%macro END 0
  int 0x30
%endmacro
; goes on in ring 3 with EFLAGS %1
%macro RING3 1
  push dword SEL_DS3
  push dword STACK3
  push dword %1
  push dword SEL_CS3
  push dword %%user
  iretd
%%user:
  mov ax, SEL_DS3
  mov ds, ax
  mov es, ax
%endmacro
; copies the bytes between %1 and %2 to the vm86 segment and enters it with EFLAGS %3
%macro VM86 3
  mov esi, %1
  mov edi, VMSEG * 16
  mov ecx, %2 - %1
  rep movsb
  push dword 0x404
  push dword 0x303
  push dword 0x202
  push dword 0x101
  push dword 0x4000
  push dword 0x1000
  push dword %3
  push dword VMSEG
  push dword 0
  iretd
%endmacro
%assign count 0
%macro SC 0
%assign count count + 1
scenario_ %+ count:
%endmacro

%include "scenarios.inc"

; ---------------------------------------------------------------- tables
align 8
scenarios:
%assign i 1
%rep count
  dd scenario_ %+ i
%assign i i + 1
%endrep
  dd 0
isr_table:
%assign n 0
%rep 64
  dd isr_ %+ n
%assign n n + 1
%endrep
gdtr_template: dw gdt_size - 1
  dd gdt_template
gdtr: dw gdt_size - 1
  dd gdt
idtr: dw 64 * 8 - 1
  dd idt
; descriptor base, limit (raw), attributes
%macro desc 3
  dw (%2) & 0xffff
  dw (%1) & 0xffff
  db ((%1) >> 16) & 0xff
  db (%3) & 0xff
  db (((%2) >> 16) & 15) | (((%3) >> 8) & 0xf0)
  db ((%1) >> 24) & 0xff
%endmacro
; gate selector, offset, attributes, parameters
%macro gatedesc 4
  dw (%2 - $$ + 0x100000) & 0xffff
  dw %1
  db %4
  db %3
  dw ((%2 - $$ + 0x100000) >> 16) & 0xffff
%endmacro
; addresses in tables must be numbers: fixed places above the image
gdt equ 0x140000
idt equ 0x141000
ldt equ 0x142000
tss equ 0x143000
tss2 equ 0x144000
tss16 equ 0x145000
index equ 0x146000
base equ 0x146004
scratch equ 0x147000
bss_end equ 0x1b0000
align 8
gdt_template:
  dq 0
  desc 0, 0xfffff, 0xc09b
  desc 0, 0xfffff, 0xc093
  desc 0, 0xfffff, 0xc0fb
  desc 0, 0xfffff, 0xc0f3
  desc tss, 0x87, 0x0089
  desc tss2, 0x67, 0x0089
  desc 0, 0xfffff, 0xc09f
  desc 0, 0xfffff, 0xc013
  desc 0, 0xfffff, 0xc01b
  desc 0, 0xfffff, 0xc091
  desc 0, 0xfffff, 0xc099
  gatedesc SEL_CS0, gate_target, 0xec, 0
  gatedesc SEL_CS0, gate_target, 0xec, 2
  gatedesc SEL_CS0, gate_target, 0xe4, 1
  gatedesc SEL_CS0, gate_target, 0x8c, 0
  desc SEL_TSS2 << 0, 0, 0
  desc ldt, 0x0f, 0x0082
  gatedesc SEL_CS0, gate_target, 0x6c, 0
  desc tss2, 0x67, 0x008b
  desc tss2, 0x66, 0x0089
  desc tss2, 0x67, 0x0009
  desc tss16, 0x2b, 0x0081
  desc 0, 0xff, 0x4093
  desc 0, 0x001ff, 0x809b
  desc 0, 0x001ff, 0x80f3
  desc 0, 0xfffff, 0xc0ff
  gatedesc SEL_DS0, gate_target, 0xec, 0
  desc 0, 0x00fff, 0x4097
  dw 0, SEL_TSSNP, 0xe500, 0
  desc 0, 0xfffff, 0xc0bb
  desc 0, 0xfffff, 0xc0b3
gdt_size equ $ - gdt_template
ldt_template:
  dq 0
  desc 0x4000, 0xffff, 0x4093
tss_template:
  dd 0, STACK0 - 0x1000, SEL_DS0, STACK0 - 0x2000, SEL_DS1, 0, 0, 0
  times 17 dd 0
  dw 0, 0x68
  ; I/O map of ports 0..F7: open but for 23h
  db 0, 0, 0, 0, 8
  times 26 db 0
  db 0xff
tss_size equ 0x88
tss2_template:
  dd 0, STACK0 - 0x3000, SEL_DS0, 0, 0, 0, 0, 0
  dd task_entry, 2, 0xa0, 0xc0, 0xd0, 0xb0, STACKT, 0xeb, 0xe5, 0xed
  dd SEL_DS0, SEL_CS0, SEL_DS0, SEL_DS0, 0, 0
  dd 0
  dw 0, 0x68
  times 8 dd 0
tss16_template:
  dw 0, 0, 0, 0, 0, 0, 0
  dw task16_entry - $$, 2, 0x1a0, 0x1c0, 0x1d0, 0x1b0, 0x8000, 0x1eb, 0x1e5, 0x1ed
  dw SEL_DS0, SEL_CODE16, SEL_DS0, SEL_DS0, 0
  dw 0, 0
image_end:
