; Runs a script of chipset accesses on a PC and logs every answer with the time-stamp counter, through the debug console
; (port E9h). Multiboot kernel: nasm -f bin -DSCRIPT='"file"' replay.asm -o replay.bin
; A step is three words: operation, address, value. A log entry is three words: step number, time, answer.
bits 32
org 0x100000

start:
  dd 0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000)
  dd start, start, end, stack_top, entry

entry:
  mov esp, stack_top
  lgdt [gdtr]
  jmp 8:.flat
.flat:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  ; 256 interrupt gates to stubs of eight bytes each
  xor ecx, ecx
.gate:
  lea eax, [stubs + ecx * 8]
  mov [idt + ecx * 8], ax
  mov word [idt + ecx * 8 + 2], 8
  mov word [idt + ecx * 8 + 4], 0x8e00
  shr eax, 16
  mov [idt + ecx * 8 + 6], ax
  inc ecx
  cmp ecx, 256
  jb .gate
  lidt [idtr]
  mov esi, script
  xor ebp, ebp
.step:
  mov eax, [esi]
  mov edx, [esi + 4]
  mov ecx, [esi + 8]
  add esi, 12
  inc ebp
  cmp eax, 1
  je .out
  cmp eax, 2
  je .in
  cmp eax, 3
  je .write
  cmp eax, 4
  je .read
  cmp eax, 5
  je .wait
  cmp eax, 6
  je .window
  mov al, 0
  out 0xf4, al
  hlt
.out:
  call time
  mov al, cl
  out dx, al
  xor eax, eax
  call log
  jmp .step
.in:
  call time
  in al, dx
  movzx eax, al
  call log
  jmp .step
.write:
  call time
  mov [edx], ecx
  xor eax, eax
  call log
  jmp .step
.read:
  call time
  mov eax, [edx]
  call log
  jmp .step
.wait:
  rdtsc
  mov edi, eax
.spin:
  rdtsc
  sub eax, edi
  cmp eax, ecx
  jb .spin
  jmp .step
.window: ; lets one interrupt in
  call time
  mov eax, 0x40000000
  call log
  sti
  nop
  nop
  nop
  cli
  jmp .step

; keeps the low half of the time-stamp counter, in [now]; all registers survive
time:
  push eax
  push edx
  rdtsc
  mov [now], eax
  pop edx
  pop eax
  ret

; step number, time, eax
log:
  push eax
  mov eax, ebp
  call word_out
  mov eax, [now]
  call word_out
  pop eax
word_out:
  push ecx
  mov ecx, 4
.byte:
  out 0xe9, al
  shr eax, 8
  loop .byte
  pop ecx
  ret

interrupt: ; the vector is on the stack
  call time
  push eax
  mov eax, [esp + 4]
  movzx eax, al
  or eax, 0x80000000
  call log
  pop eax
  add esp, 4
  and dword [esp + 8], ~0x200 ; one interrupt a window
  iret

align 8
stubs: ; eight bytes each
%assign vector 0
%rep 256
  push byte (vector + 128) % 256 - 128
  jmp strict near interrupt
  nop
%assign vector vector + 1
%endrep

align 8
gdt:
  dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:
  dw 23
  dd gdt
idtr:
  dw 2047
  dd idt
now:
  dd 0
align 4
script:
  incbin SCRIPT
  dd 0, 0, 0
end:
align 16
idt equ $
stack_top equ $ + 0x2000
