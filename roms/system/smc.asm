; smc: code that changes code: the next instruction, the loop being run, code of other pages, through aliases, by every
; kind of store, and data beside code. The processor sees a store before the next instruction (SDM 3A 11.6, P6 on).
%include "lib/rom.inc"

ALIAS           equ 0x400000            ; second mapping of the code page, with paging

main:
TEST "the immediate of the next instruction"
        mov byte [.next + 1], 0x42
.next:  mov al, 0
        movzx eax, al
        WANT eax, 0x42

TEST "the opcode of the next instruction"
        mov eax, 5
        mov byte [.next], 0x48          ; inc eax becomes dec eax
.next:  inc eax
        WANT eax, 4

TEST "the next instruction changes its length"
        mov eax, 1
        mov dword [.next], 0x9003c083   ; add eax, 3; nop
.next:  nop
        nop
        nop
        nop
        WANT eax, 4

TEST "an instruction farther on in the same block"
        mov eax, 1
        mov ecx, 2
        mov byte [.far + 2], 0x20
        add eax, ecx
        xor ecx, ecx
        mov edx, eax
        lea ebx, [edx + 1]
.far:   lea esi, [byte ebx + 0]
        WANT esi, 0x24                  ; 3 + 1 + 20h

TEST "a loop that changes its own body each time"
        mov ecx, 100
        xor eax, eax
        mov byte [.add + 2], 0
.loop:
.add:   lea eax, [byte eax + 0]
        inc byte [.add + 2]
        and byte [.add + 2], 0x7f
        loop .loop
        WANT eax, 4950

TEST "a loop that was run often before it changes"
        call .work
        WANT eax, 100000
        mov byte [.step + 2], 3         ; add eax, 3
        call .work
        WANT eax, 300000
        mov byte [.step + 2], 1
        jmp .end
.work:  xor eax, eax
        mov ecx, 100000
.loop:
.step:  add eax, byte 1
        dec ecx
        jnz .loop
        ret
.end:

TEST "a routine rewritten between calls"
        xor ebx, ebx
        mov edx, 0
.round: mov byte [scratch], 0xb8        ; mov eax, imm32; ret
        mov [scratch + 1], edx
        mov byte [scratch + 5], 0xc3
        mov eax, scratch
        call eax
        add ebx, eax
        inc edx
        cmp edx, 1000
        jb .round
        WANT ebx, 499500

TEST "code copied by REP MOVSB over itself"
        mov esi, .one
        mov edi, scratch
        mov ecx, .one_end - .one
        rep movsb
        mov eax, scratch
        call eax
        WANT eax, 0x1111
        mov esi, .two
        mov edi, scratch
        mov ecx, .two_end - .two
        rep movsb
        mov eax, scratch
        call eax
        WANT eax, 0x2222
        jmp .end
.one:   mov eax, 0x1111
        ret
.one_end:
.two:   mov eax, 0x2222
        ret
.two_end:
.end:

; the store named must change "mov eax, 1; ret" at scratch + 16 into "mov eax, 2; ret"
%macro STORE 1+
        mov dword [scratch + 16], 0x000001b8
        mov word [scratch + 20], 0xc300
        mov eax, scratch + 16
        call eax
        WANT eax, 1
        mov ebx, scratch + 16
        mov edx, 0x000002b8
        mov ecx, 2
        %1
        mov eax, scratch + 16
        call eax
        WANT eax, 2
%endmacro

TEST "every kind of store is seen"
        STORE mov byte [ebx + 1], 2
        STORE mov [ebx], edx
        STORE mov [ebx + 1], cx
%macro by_two 0
        mov word [ebx - 1], 0xb890
        mov byte [ebx + 1], 2
%endmacro
        STORE by_two
        STORE inc byte [ebx + 1]
        STORE add dword [ebx + 1], 1
        STORE xor byte [ebx + 1], 3
        STORE xchg [ebx + 1], cl
%macro by_xadd 0
        mov cl, 1
        lock xadd [ebx + 1], cl
%endmacro
        STORE by_xadd
%macro by_stosd 0
        mov edi, ebx
        mov eax, edx
        stosd
%endmacro
        STORE by_stosd
%macro by_movsd 0
        mov [scratch + 64], edx
        mov esi, scratch + 64
        mov edi, ebx
        movsd
%endmacro
        STORE by_movsd
%macro by_rep 0
        mov edi, ebx
        inc edi
        mov ecx, 1
        mov al, 2
        rep stosb
%endmacro
        STORE by_rep
%macro by_push 0
        mov esi, esp
        lea esp, [ebx + 4]
        push edx
        mov esp, esi
%endmacro
        STORE by_push
%macro by_call 0
        mov esi, esp
        lea esp, [ebx + 4]
        call %%l                        ; overwrites the code with an address
%%l:    mov esp, esi
        mov [ebx], edx
%endmacro
        STORE by_call
%macro by_cmpxchg 0
        mov eax, [ebx]
        lock cmpxchg [ebx], edx
%endmacro
        STORE by_cmpxchg
%macro by_cmpxchg8b 0
        mov eax, [ebx]
        mov edx, [ebx + 4]
        mov ecx, edx
        push ebx
        mov esi, ebx
        mov ebx, 0x000002b8
        lock cmpxchg8b [esi]
        pop ebx
%endmacro
        STORE by_cmpxchg8b
%macro by_bts 0
        btr dword [ebx], 8
        bts dword [ebx], 9
%endmacro
        STORE by_bts
%macro by_setcc 0
        add ecx, 0
        mov byte [ebx + 1], 0
        setnz [ebx + 1]
        shl byte [ebx + 1], 1
%endmacro
        STORE by_setcc
%macro by_fist 0
        fninit
        mov [scratch + 64], edx
        fild dword [scratch + 64]
        fistp dword [ebx]
%endmacro
        STORE by_fist
%macro by_pop 0
        push edx
        pop dword [ebx]
%endmacro
        STORE by_pop

TEST "data beside code"
        mov ecx, 10000
        xor eax, eax
        mov dword [.data], 0
.loop:  inc dword [.data]
        add eax, [.data]
        jmp .over
.data:  dd 0
.over:  loop .loop
        WANT [.data], 10000
        WANT eax, 50005000

TEST "an instruction that crosses a page, its second half changed"
        mov byte [page + 0xffe], 0xb8   ; mov eax, imm32 at the end of a page
        mov dword [page + 0xfff], 0x11111111
        mov byte [page + 0x1003], 0xc3
        mov eax, page + 0xffe
        call eax
        WANT eax, 0x11111111
        mov byte [page + 0x1001], 0x22
        mov eax, page + 0xffe
        call eax
        WANT eax, 0x11221111
        mov byte [page + 0xfff], 0x33
        mov eax, page + 0xffe
        call eax
        WANT eax, 0x11221133

TEST "a store that crosses into a page of code"
        mov dword [page + 0x1000], 0x000001b8
        mov word [page + 0x1004], 0xc300
        mov eax, page + 0x1000
        call eax
        WANT eax, 1
        mov dword [page + 0xffe], 0x07b89090
        mov eax, page + 0x1000
        call eax
        WANT eax, 7

TEST "code rewritten by the code it calls"
        mov ebx, 0
        call .outer
        WANT ebx, 0x20
        mov byte [.after + 2], 0x10
        jmp .end
.outer: call .inner
.after: lea ebx, [ebx + 0x10]
        ret
.inner: mov byte [.after + 2], 0x20
        ret
.end:

TEST "a jump's target changed while looping"
        mov ecx, 4
        xor eax, eax
        mov byte [.jump + 1], .a - .jump - 2
.loop:
.jump:  jmp short .a
.a:     add eax, 1
        mov byte [.jump + 1], .b - .jump - 2
        jmp .next
.b:     add eax, 0x100
        mov byte [.jump + 1], .a - .jump - 2
.next:  loop .loop
        WANT eax, 0x202

TEST "a breakpoint byte put in and taken out"
        mov al, [.target]
        mov [scratch], al
        mov byte [.target], 0xcc
        FAULTS 3
.target:
        nop
        ENDF
        WANT [trap_eip], .target + 1
        mov al, [scratch]
        mov [.target], al
        FAULTS DONE
        jmp .target2
.target2:
        ENDF
        HOOK 3, .hook
        call .target3
        mov byte [.target3], 0xcc
        call .target3
        WANT eax, 0x99
        mov byte [.target3], 0x90
        xor eax, eax
        call .target3
        WANT eax, 0
        jmp .end
.hook:  mov dword [ebp + FRAME_EAX], 0x99
        ret
.target3:
        nop
        ret
.end:

TEST "code changed through another linear address"
        ; identity by 4 MiB pages; ALIAS is the page `page` again
        mov edi, pd
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [pd], 0x83
        mov dword [pd + 4], pt + 3
        mov dword [pt], page + 3
        mov eax, cr4
        or eax, 1 << 4
        mov cr4, eax
        mov eax, pd
        mov cr3, eax
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        mov dword [page], 0x000001b8
        mov word [page + 4], 0xc300
        mov eax, page
        call eax
        WANT eax, 1
        mov byte [ALIAS + 1], 2
        mov eax, page
        call eax
        WANT eax, 2
        mov eax, ALIAS
        call eax
        WANT eax, 2
        mov byte [page + 1], 3
        mov eax, ALIAS
        call eax
        WANT eax, 3

TEST "a code page exchanged for another by the page table"
        mov dword [page + 0x1000], 0x000005b8
        mov word [page + 0x1004], 0xc300
        mov dword [page], 0x000006b8
        mov word [page + 4], 0xc300
        mov dword [pt], page + 3
        invlpg [ALIAS]
        mov eax, ALIAS
        call eax
        WANT eax, 6
        mov dword [pt], page + 0x1003
        invlpg [ALIAS]
        mov eax, ALIAS
        call eax
        WANT eax, 5
        mov eax, cr0
        and eax, ~(1 << 31)
        mov cr0, eax

TEST "16-bit and 32-bit code at the same address"
        ; 16-bit: mov ax, 1234h; nop; retf (o32). 32-bit: mov eax, CB661234h with the rest behind it
        mov dword [scratch], 0x661234b8
        mov dword [scratch + 4], 0x9090cbcb
        DESC SEL_A, scratch, 0xffff, PRESENT | CODE, 0
        DESC SEL_B, scratch, 0xffff, PRESENT | CODE, FLAG_D
        or eax, -1
        call SEL_A:0
        WANT eax, 0xffff1234
        or eax, -1
        call SEL_B:0
        WANT eax, 0xcb661234
        call SEL_A:0
        WANT eax, 0xcb661234

FINISH

section .bss
        alignb 4096
scratch: resb 4096
page:   resb 0x2010
        alignb 4096
pd:     resb 4096
pt:     resb 4096
