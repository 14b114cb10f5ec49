; paging: rights, accessed and dirty bits, error codes, CR2, restart, large pages, global pages, PAE, NX, SMEP, SMAP.
; SDM 3A chapter 4.
%include "lib/rom.inc"

P               equ 1
W               equ 2
U               equ 4
A               equ 0x20
D               equ 0x40
PS              equ 0x80
G               equ 0x100
CR0_WP          equ 1 << 16
CR0_PG          equ 1 << 31
CR4_PSE         equ 1 << 4
CR4_PAE         equ 1 << 5
CR4_PGE         equ 1 << 7
CR4_SMEP        equ 1 << 20
CR4_SMAP        equ 1 << 21
EFER            equ 0xc0000080
EFER_NXE        equ 1 << 11

WIN             equ 0x400000            ; linear addresses that a check maps as it likes
BIG             equ 0x800000            ; 4 MiB page
PHYS            equ 0x00a00000          ; memory behind them
MAPPED          equ P | W | U

; check in 32-bit paging: 4 MiB identity for everyone, the window empty
%macro PTEST 1
        TEST %1
        call legacy_paging
%endmacro

; the same with PAE; the identity map is 4 MiB of large pages
%macro PAETEST 1
        TEST %1
        call pae_paging
%endmacro

; entry of the window's table
%macro PTE 2
        mov dword [pt1 + (%1) * 4], %2
        invlpg [WIN + (%1) * 0x1000]
%endmacro
%macro PAEPTE 3         ; index, low, high
        mov dword [pt1 + (%1) * 8], %2
        mov dword [pt1 + (%1) * 8 + 4], %3
        invlpg [WIN + (%1) * 0x1000]
%endmacro

%macro PF0 3+           ; error, CR2, instruction: in ring 0
        FAULTS 14, %1
        AT
        %3
        ENDF
        WANT [trap_cr2], %2
%endmacro
%macro PF3 3+           ; in ring 3
        FAULTS 14, %1
        RING3
        AT
        %3
        ENDF
        WANT [trap_cr2], %2
%endmacro
%macro OK0 1+
        FAULTS DONE
        %1
        ENDF
%endmacro
%macro OK3 1+
        FAULTS DONE
        RING3
        %1
        ENDF
%endmacro
%macro CR0_ON 1
        mov eax, cr0
        or eax, %1
        mov cr0, eax
%endmacro
%macro CR4_ON 1
        mov eax, cr4
        or eax, %1
        mov cr4, eax
%endmacro
%macro CR4_OFF 1
        mov eax, cr4
        and eax, ~(%1)
        mov cr4, eax
%endmacro
%macro RELOAD_CR3 0
        mov eax, cr3
        mov cr3, eax
%endmacro

main:
PTEST "pages that are not present: error code and CR2"
        PF0 0, WIN + 0x123, mov al, [WIN + 0x123]
        PF0 2, WIN + 0xffc, mov [WIN + 0xffc], eax
        PF3 4, WIN + 0x1234, mov eax, [WIN + 0x1234]
        PF3 6, WIN + 0x5001, mov [WIN + 0x5001], al
        PF3 6, WIN, inc dword [WIN]
        PF0 2, WIN, lock or dword [WIN], 1
        WANT [pt1], 0
        ; no page table
        PF0 0, 0xc0000000, mov al, [0xc0000000]
        PF3 6, 0xffffffff, mov [0xffffffff], al

PTEST "read-only pages, WP = 0 and 1"
        PTE 0, PHYS | P | U
        PF3 7, WIN + 4, mov [WIN + 4], eax
        OK3 mov eax, [WIN + 4]
        OK0 mov [WIN + 4], eax
        CR0_ON CR0_WP
        PF0 3, WIN + 8, mov [WIN + 8], eax
        OK0 mov eax, [WIN + 8]
        PF3 7, WIN + 8, mov [WIN + 8], eax

PTEST "one register, a read-only page, then odd addresses of page 0"
        PTE 0, PHYS | P
        CR0_ON CR0_WP
        mov dword [0x4fc], 0
        mov dword [0x500], 0
        mov ebx, WIN
        mov eax, [ebx]
        mov eax, [ebx]
        mov ebx, 0x4fd
        mov dword [ebx], 0x44332211
        WANT [0x4fc], 0x33221100
        WANT [0x500], 0x44

PTEST "supervisor pages"
        PTE 0, PHYS | P | W
        PF3 5, WIN + 4, mov eax, [WIN + 4]
        PF3 7, WIN + 4, mov [WIN + 4], eax
        OK0 mov [WIN + 4], eax

PTEST "rights of directory and table are combined"
        PTE 0, PHYS | MAPPED
        mov dword [pd + 4], pt1 + (P | U)
        RELOAD_CR3
        PF3 7, WIN, mov [WIN], eax
        OK3 mov eax, [WIN]
        mov dword [pd + 4], pt1 + (P | W)
        RELOAD_CR3
        PF3 5, WIN, mov eax, [WIN]
        OK0 mov [WIN], eax
        CR0_ON CR0_WP
        mov dword [pd + 4], pt1 + (P | U)
        RELOAD_CR3
        PF0 3, WIN, mov [WIN], eax

PTEST "accessed and dirty bits"
        PTE 0, PHYS | MAPPED
        mov al, [WIN]
        WANT [pt1], PHYS | MAPPED | A
        mov eax, [pd + 4]
        and eax, 0xff
        WANT eax, MAPPED | A            ; bit 6 of a directory entry stays
        mov [WIN], al
        WANT [pt1], PHYS | MAPPED | A | D
        PTE 1, PHYS | MAPPED
        mov [WIN + 0x1000], al
        WANT [pt1 + 4], PHYS | MAPPED | A | D
        PTE 2, PHYS | MAPPED
        cmp byte [WIN + 0x2000], 0
        WANT [pt1 + 8], PHYS | MAPPED | A
        mov dword [WIN + 0x1000], 0
        PTE 3, PHYS | MAPPED
        mov eax, 1                      ; not equal: CMPXCHG writes all the same
        mov ecx, 2
        cmpxchg [WIN + 0x3000], ecx
        WANT [pt1 + 12], PHYS | MAPPED | A | D

PTEST "a fault sets neither A nor D"
        PTE 0, PHYS | P | W
        PF3 7, WIN, mov [WIN], eax
        WANT [pt1], PHYS | P | W
        PTE 0, PHYS | P | U
        PF3 7, WIN, mov [WIN], eax
        mov eax, [pt1]
        and eax, D
        WANT eax, 0

PTEST "the dirty bit again after it was cleared and invalidated"
        PTE 0, PHYS | MAPPED
        mov [WIN], eax
        PTE 0, PHYS | MAPPED
        mov [WIN], eax
        WANT [pt1], PHYS | MAPPED | A | D

PTEST "instruction fetch from pages that are not present or private"
        FAULTS 14, 0
        mov eax, WIN + 0x10
        jmp eax
        ENDF
        WANT [trap_cr2], WIN + 0x10
        WANT [trap_eip], WIN + 0x10
        PTE 0, PHYS | P | W
        FAULTS 14, 5
        RING3
        mov eax, WIN + 0x10
        jmp eax
        ENDF
        WANT [trap_cr2], WIN + 0x10
        WANT [trap_eip], WIN + 0x10

PTEST "an instruction across pages, the second not present"
        PTE 0, PHYS | MAPPED
        mov byte [WIN + 0xffe], 0xb8    ; mov eax, imm32
        mov byte [WIN + 0xfff], 0x01
        FAULTS 14, 0
        mov eax, WIN + 0xffe
        jmp eax
        ENDF
        WANT [trap_cr2], WIN + 0x1000
        WANT [trap_eip], WIN + 0xffe
        WANT [trap_eax], WIN + 0xffe

PTEST "data across pages, the second not present"
        PTE 0, PHYS | MAPPED
        mov dword [WIN + 0xffc], 0x55555555
        PF0 0, WIN + 0x1000, mov eax, [WIN + 0xffe]
        PF0 2, WIN + 0x1000, mov [WIN + 0xffe], eax
        WANT [WIN + 0xffc], 0x55555555
        PF3 6, WIN + 0x1000, mov [WIN + 0xfff], ax
        WANT [WIN + 0xffc], 0x55555555
        ; the first page is the one that is missing
        PTE 0, 0
        PTE 1, PHYS | MAPPED
        PF0 0, WIN + 0xffe, mov eax, [WIN + 0xffe]

PTEST "data across two pages with other frames"
        PTE 0, (PHYS + 0x5000) | MAPPED
        PTE 1, (PHYS + 0x2000) | MAPPED
        PTE 2, (PHYS + 0x5000) | MAPPED
        PTE 3, (PHYS + 0x2000) | MAPPED
        mov dword [WIN + 0xffd], 0x44332211
        mov eax, [WIN + 0x2ffc]
        and eax, 0xffffff00
        WANT eax, 0x33221100
        movzx eax, byte [WIN + 0x3000]
        WANT eax, 0x44
        mov eax, [WIN + 0xffd]
        WANT eax, 0x44332211

PTEST "a page that becomes present needs no invalidation"
        PF0 0, WIN, mov al, [WIN]
        mov dword [pt1], PHYS | MAPPED
        OK0 mov al, [WIN]

PTEST "INVLPG and CR3 loads make changes seen"
        PTE 0, PHYS | MAPPED
        PTE 1, (PHYS + 0x1000) | MAPPED
        mov dword [WIN], 0x1111
        mov dword [WIN + 0x1000], 0x2222
        mov eax, [WIN]
        PTE 0, (PHYS + 0x1000) | MAPPED
        mov eax, [WIN]
        WANT eax, 0x2222
        mov dword [pt1], PHYS | MAPPED
        RELOAD_CR3
        mov eax, [WIN]
        WANT eax, 0x1111
        mov dword [pt1], 0
        invlpg [WIN + 0xfff]
        PF0 0, WIN, mov eax, [WIN]

PTEST "global pages: INVLPG and PGE changes drop them"
        CR4_ON CR4_PGE
        PTE 0, PHYS | MAPPED | G
        PTE 1, (PHYS + 0x1000) | MAPPED
        mov dword [WIN], 0x1111
        mov dword [WIN + 0x1000], 0x2222
        mov dword [pt1], (PHYS + 0x1000) | MAPPED | G
        CR4_OFF CR4_PGE
        mov eax, [WIN]
        WANT eax, 0x2222
        CR4_ON CR4_PGE
        mov eax, [WIN]
        PTE 0, PHYS | MAPPED | G
        mov eax, [WIN]
        WANT eax, 0x1111

PTEST "a new directory by CR3"
        PTE 0, PHYS | MAPPED
        mov dword [WIN], 0x1111
        mov esi, pd
        mov edi, pd2
        mov ecx, 1024
        rep movsd
        mov dword [pd2 + 4], 0
        mov eax, pd2
        mov cr3, eax
        PF0 0, WIN, mov eax, [WIN]
        mov eax, pd
        mov cr3, eax
        OK0 mov eax, [WIN]

PTEST "a task switch loads CR3"
        PTE 0, PHYS | MAPPED
        mov eax, [WIN]
        mov esi, pd
        mov edi, pd2
        mov ecx, 1024
        rep movsd
        mov dword [pd2 + 4], 0
        mov dword [tss2 + TSS_CR3], pd2
        mov dword [tss2 + TSS_EIP], .task
        mov eax, cr3
        mov [tss + TSS_CR3], eax
        call SEL_TSS2:0
        OK0 mov eax, [WIN]
        WANT [tss2 + TSS_EBX], pd2
        jmp .end
.task:  mov ebx, cr3
        PF0 0, WIN, mov eax, [WIN]
        push dword EFL_NT | 2           ; the record of the fault cleared it
        popfd
        iretd
.end:   clts

PTEST "4 MiB pages"
        CR4_ON CR4_PSE
        mov dword [pd + 8], 0x00800000 | MAPPED | PS
        RELOAD_CR3
        PTE 0, PHYS | MAPPED
        mov dword [WIN + 0x10], 0x600df00d
        mov eax, [BIG + PHYS - 0x00800000 + 0x10]
        WANT eax, 0x600df00d
        WANT [pd + 8], 0x00800000 | MAPPED | PS | A
        mov [BIG + PHYS - 0x00800000 + 0x10], eax
        WANT [pd + 8], 0x00800000 | MAPPED | PS | A | D
        mov dword [pd + 8], 0x00800000 | P | U | PS
        RELOAD_CR3
        PF3 7, BIG + 0x345678, mov [BIG + 0x345678], eax
        mov dword [pd + 8], 0x00800000 | P | W | PS
        RELOAD_CR3
        PF3 5, BIG + 0x345678, mov eax, [BIG + 0x345678]

PTEST "PS means nothing without CR4.PSE"
        mov dword [pd + 8], pt1 + (MAPPED | PS)
        RELOAD_CR3
        PTE 0, PHYS | MAPPED
        mov dword [WIN], 0x1234
        mov eax, [BIG]
        WANT eax, 0x1234

PTEST "a reserved bit of a 4 MiB page"
        CR4_ON CR4_PSE
        mov dword [pd + 8], 0x00a00000 | MAPPED | PS    ; bit 21
        RELOAD_CR3
        PF0 9, BIG, mov eax, [BIG]
        PF3 15, BIG, mov [BIG], eax

%macro ABOVE 1          ; PDE bits 13 to 16: address bits 32 to 35
        mov dword [pd + 8], 0x00800000 | MAPPED | PS | %1
        RELOAD_CR3
        OK0 mov dword [BIG + PHYS - 0x00800000 + 0x10], 0x0bad0bad
        OK0 mov eax, [BIG + PHYS - 0x00800000 + 0x10]
        xor eax, 0x600df00d             ; not what is below 4 GiB
        neg eax
        sbb eax, eax
        WANT eax, -1
        WANT [pd + 8], 0x00800000 | MAPPED | PS | A | D | %1
%endmacro

PTEST "PSE-36: 4 MiB pages above 4 GiB, where no memory is"
        CR4_ON CR4_PSE
        mov dword [pd + 8], 0x00800000 | MAPPED | PS
        RELOAD_CR3
        mov dword [BIG + PHYS - 0x00800000 + 0x10], 0x600df00d
        ABOVE 1 << 13
        ABOVE 1 << 14
        ABOVE 1 << 15
        ABOVE 1 << 16
        ABOVE 15 << 13
        mov dword [pd + 8], 0x00800000 | MAPPED | PS
        RELOAD_CR3
        WANT [BIG + PHYS - 0x00800000 + 0x10], 0x600df00d

PTEST "PUSH and CALL onto a missing page can be restarted"
        PTE 0, PHYS | MAPPED
        FAULTS 14, 6
        RING3
        mov esp, WIN + 0x2002
        AT
        push eax
        ENDF
        WANT [trap_esp], WIN + 0x2002
        FAULTS 14, 6
        RING3
        mov esp, WIN + 0x2000
        AT
        call main
        ENDF
        WANT [trap_esp], WIN + 0x2000
        FAULTS 14, 6
        RING3
        mov esp, WIN + 0x2000
        mov ebp, 0x1234
        AT
        enter 8, 0
        ENDF
        WANT [trap_esp], WIN + 0x2000
        WANT [trap_ebp], 0x1234
        FAULTS 14, 4
        RING3
        mov esp, WIN + 0x1ffe
        AT
        pop eax
        ENDF
        WANT [trap_esp], WIN + 0x1ffe

PTEST "POP to a missing page leaves ESP"
        FAULTS 14, 6
        RING3
        push eax
        AT
        pop dword [WIN]
        ENDF
        WANT [trap_esp], ring3_stack_top - 4

PTEST "REP MOVSB stops at the missing page and goes on"
        PTE 0, PHYS | MAPPED
        mov edi, WIN + 0xff8
        mov esi, .text
        mov ecx, 16
        FAULTS 14, 2
        AT
        rep movsb
        ENDF
        WANT [trap_cr2], WIN + 0x1000
        WANT [trap_ecx], 8
        WANT [trap_edi], WIN + 0x1000
        WANT [trap_esi], .text + 8
        WANT [WIN + 0xffc], "efgh"
        PTE 1, (PHYS + 0x1000) | MAPPED
        rep movsb
        WANT ecx, 0
        WANT [WIN + 0x1000], "ijkl"
        WANT [WIN + 0x1004], "mnop"
        jmp .end
.text:  db "abcdefghijklmnop"
.end:

PTEST "REP STOSD and CMPSB, backwards, over a missing page"
        PTE 1, PHYS | MAPPED
        std
        mov edi, WIN + 0x1008
        mov ecx, 8
        xor eax, eax
        FAULTS 14, 2
        AT
        rep stosd
        ENDF
        cld
        WANT [trap_ecx], 5
        WANT [trap_edi], WIN + 0xffc
        WANT [trap_cr2], WIN + 0xffc

PTEST "page faults mapped by a handler"
        HOOK 14, .map
        mov dword [hook_count], 0
        mov esi, WIN
        xor eax, eax
.touch: inc dword [esi]
        add eax, [esi]
        add esi, 0x1000
        cmp esi, WIN + 0x20000
        jb .touch
        WANT [hook_count], 32
        jmp .end
.map:   inc dword [hook_count]
        mov eax, cr2
        shr eax, 12
        and eax, 1023
        mov dword [pt1 + eax * 4], PHYS | MAPPED
        ret
.end:

PTEST "tables are read with ring 0's rights in ring 3"
        ; the page of the GDT for ring 0 alone
        mov eax, gdt
        shr eax, 12
        and dword [pt0 + eax * 4], ~U
        RELOAD_CR3
        FAULTS DONE
        RING3
        mov ax, SEL_DS3
        mov fs, ax
        ENDF
        WANT [trap_entry_fs], SEL_DS3

PTEST "descriptor on a missing page: #PF of a supervisor"
        PTE 0, PHYS | MAPPED
        mov esi, gdt
        mov edi, WIN + 0xf80
        mov ecx, 0x80 / 4
        rep movsd
        mov word [WIN], GDT_SIZE - 1
        mov dword [WIN + 2], WIN + 0xf80
        mov byte [WIN + 0xf80 + SEL_TSS + 5], PRESENT | TSS32
        FAULTS 14, 0
        lgdt [WIN]
        RING3
        mov ax, 0x83
        AT
        mov fs, ax
        ENDF
        WANT [trap_cr2], WIN + 0x1000
        lgdt [gdt_pointer]

PTEST "setting an accessed bit obeys WP"
        CR0_ON CR0_WP
        PTE 0, PHYS | MAPPED
        mov edi, WIN
        mov esi, gdt
        mov ecx, GDT_SIZE / 4
        rep movsd
        mov word [scratch], GDT_SIZE - 1
        mov dword [scratch + 2], WIN
        and byte [WIN + (SEL_DS3 & ~3) + 5], ~1
        PTE 0, PHYS | P
        lgdt [scratch]
        mov ax, SEL_DS3
        FAULTS 14, 3
        AT
        mov fs, ax
        ENDF
        and dword [trap_cr2], ~7        ; any byte of the descriptor
        WANT [trap_cr2], WIN + (SEL_DS3 & ~7)
        lgdt [gdt_pointer]

PTEST "a missing ring 0 stack is #DF, by task gate"
        mov dword [tss + TSS_ESP0], WIN + 0x1000
        IDTGATE 8, SEL_TSS2, 0, PRESENT | TASKGATE
        mov dword [tss2 + TSS_EIP], .task
        mov eax, cr3
        mov [tss2 + TSS_CR3], eax
        RING3
.at:    int DONE
.task:  WANT [esp], 0
        WANT [tss + TSS_EIP], .at
        WANT [tss + TSS_CS], SEL_CS3
        mov eax, cr2
        WANT eax, WIN + 0x1000 - 4
        clts

PTEST "#PF while #GP is delivered is #DF"
        ; an IDT whose second page is missing, entries 0 to 12 on the first
        PTE 0, PHYS | MAPPED
        mov esi, idt
        mov edi, WIN + 0x1000 - 13 * 8
        mov ecx, 13 * 8 / 4
        rep movsd
        mov word [scratch], 0x7ff
        mov dword [scratch + 2], WIN + 0x1000 - 13 * 8
        lidt [scratch]
        FAULTS 8, 0
        mov ax, GDT_SIZE
        mov fs, ax
        ENDF
        lidt [idt_pointer]

PTEST "read-modify-write on a read-only page faults as a write"
        PTE 0, PHYS | P | U
        mov ebx, 5
        PF3 7, WIN, xchg ebx, [WIN]
        WANT [trap_ebx], 5
        PF3 7, WIN, xadd [WIN], ebx
        PF3 7, WIN, lock cmpxchg [WIN], ebx
        PF3 7, WIN, bts dword [WIN], 1
        PF3 7, WIN, shl dword [WIN], 1
        OK3 bt dword [WIN], 1
        OK3 test dword [WIN], 1

PTEST "SGDT, FNSAVE and FXSAVE across a missing page"
        PTE 0, PHYS | MAPPED
        PF0 2, WIN + 0x1000, sgdt [WIN + 0xffe]
        fninit
        FAULTS 14, 2
        AT
        fnsave [WIN + 0xfc0]
        ENDF
        and dword [trap_cr2], ~0xfff    ; any byte of the image
        WANT [trap_cr2], WIN + 0x1000
        FAULTS 14, 2
        AT
        fxsave [WIN + 0xf80]
        ENDF
        and dword [trap_cr2], ~0xfff
        WANT [trap_cr2], WIN + 0x1000

PAETEST "PAE: pages, A and D"
        PAEPTE 0, PHYS | MAPPED, 0
        mov eax, [WIN]
        WANT [pt1], PHYS | MAPPED | A
        mov [WIN], eax
        WANT [pt1], PHYS | MAPPED | A | D
        PF3 6, WIN + 0x1000, mov [WIN + 0x1000], eax
        PAEPTE 1, PHYS | P | U, 0
        PF3 7, WIN + 0x1000, mov [WIN + 0x1000], eax
        PAEPTE 1, PHYS | P | W, 0
        PF3 5, WIN + 0x1000, mov eax, [WIN + 0x1000]

PAETEST "PAE: 2 MiB pages"
        mov dword [pd + 4 * 8], PHYS | MAPPED | PS
        RELOAD_CR3
        PAEPTE 0, (PHYS + 0x3000) | MAPPED, 0
        mov dword [WIN], 0xfeedface
        mov eax, [BIG + 0x3000]
        WANT eax, 0xfeedface
        WANT [pd + 4 * 8], PHYS | MAPPED | PS | A
        mov [BIG + 0x1ffffc], eax
        WANT [pd + 4 * 8], PHYS | MAPPED | PS | A | D

PAETEST "PAE: reserved bits"
        PAEPTE 0, PHYS | MAPPED, 0x00100000     ; bit 52
        PF0 9, WIN, mov eax, [WIN]
        PF3 15, WIN, mov [WIN], eax
        PAEPTE 0, PHYS | MAPPED, 0x40000000     ; bit 62
        PF0 9, WIN, mov eax, [WIN]
        mov dword [pd + 4 * 8], PHYS | MAPPED | PS | 0x4000
        RELOAD_CR3
        PF0 9, BIG, mov eax, [BIG]

PAETEST "PAE: directories that are not present, PDPTEs with reserved bits"
        PF0 0, 0x40000000, mov eax, [0x40000000]
        mov dword [pdpt + 8], pd + (P | U)      ; U is reserved in a PDPTE
        mov eax, cr3
        FAULTS 13, 0
        AT
        mov cr3, eax
        ENDF
        mov dword [pdpt + 8], 0

PAETEST "PAE: PDPTEs are loaded with CR3 only"
        PAEPTE 0, PHYS | MAPPED, 0
        mov dword [WIN], 0x0abc
        mov dword [pdpt + 8], pd + P
        PF0 0, 0x40000000 + WIN, mov eax, [0x40000000 + WIN]
        RELOAD_CR3
        mov eax, [0x40000000 + WIN]
        WANT eax, 0x0abc

PAETEST "NX: a set bit without NXE is reserved"
        PAEPTE 0, PHYS | MAPPED, 0x80000000
        PF0 9, WIN, mov eax, [WIN]

PAETEST "NX: data yes, instructions no"
        mov ecx, EFER
        rdmsr
        or eax, EFER_NXE
        wrmsr
        PAEPTE 0, PHYS | MAPPED, 0x80000000
        mov byte [WIN], 0xc3
        mov al, [WIN]
        FAULTS 14, 0x11
        mov eax, WIN
        call eax
        ENDF
        WANT [trap_cr2], WIN
        WANT [trap_eip], WIN
        FAULTS 14, 0x15
        RING3
        mov eax, WIN
        call eax
        ENDF
        ; missing: the fetch bit alone
        FAULTS 14, 0x10
        mov eax, WIN + 0x1000
        call eax
        ENDF
        PAEPTE 0, PHYS | MAPPED, 0
        FAULTS DONE
        mov eax, WIN
        call eax
        ENDF
        ; in the directory it counts for the whole table
        or dword [pd + 2 * 8 + 4], 0x80000000
        RELOAD_CR3
        FAULTS 14, 0x11
        mov eax, WIN
        call eax
        ENDF
        mov ecx, EFER
        rdmsr
        and eax, ~EFER_NXE
        and dword [pd + 2 * 8 + 4], 0x7fffffff
        wrmsr

PAETEST "SMEP: ring 0 executes no user page"
        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ebx, 7
        jnc .end                        ; without the feature there is nothing to check
        call supervisor_identity
        CR4_ON CR4_SMEP
        PAEPTE 0, PHYS | MAPPED, 0
        mov byte [WIN], 0xc3
        FAULTS 14, 0x11
        mov eax, WIN
        call eax
        ENDF
        WANT [trap_cr2], WIN
        PAEPTE 0, PHYS | P | W, 0
        FAULTS DONE
        mov eax, WIN
        call eax
        ENDF
        CR4_OFF CR4_SMEP
.end:

PAETEST "SMAP: ring 0 touches no user page unless AC"
        call smap_window
        jnc .end
        PF0 1, WIN + 4, mov eax, [WIN + 4]
        PF0 3, WIN + 4, mov [WIN + 4], eax
        FAULTS DONE
        stac
        mov eax, [WIN + 4]
        mov [WIN + 4], eax
        clac
        ENDF
        FAULTS 14, 1
        stac
        mov eax, [WIN]
        clac
        mov eax, [WIN]
        ENDF
        CR4_OFF CR4_SMAP
.end:

PAETEST "SMAP: what AC opened is closed by CLAC, POPF and IRET"
        call smap_window
        jnc .end
        mov ebx, WIN
        FAULTS 14, 3
        stac
        mov eax, [ebx]
        mov [ebx], eax
        clac
        AT
        mov [ebx + 4], eax
        ENDF
        FAULTS 14, 1
        pushfd
        or dword [esp], EFL_AC
        popfd
        mov [ebx], eax
        mov eax, [ebx]
        pushfd
        and dword [esp], ~EFL_AC
        popfd
        AT
        mov eax, [ebx + 4]
        ENDF
        FAULTS 14, 1
        push dword EFL_AC | 2
        push cs
        push dword .open
        iretd
.open:  mov eax, [ebx]
        mov [ebx], eax
        push dword 2
        push cs
        push dword .closed
        iretd
.closed: AT
        mov eax, [ebx + 4]
        ENDF
        ; a kernel page that was read with AC set stays open
        mov ebx, scratch
        FAULTS DONE
        stac
        mov eax, [ebx]
        clac
        mov [ebx], eax
        ENDF
.end:

PAETEST "SMAP: handlers begin with the AC of what they interrupt"
        call smap_window
        jnc .end
        HOOK 0x40, .handler
        mov ebx, WIN
        FAULTS DONE
        stac
        mov dword [ebx], 0x600d
        int 0x40
        ; back with AC set
        mov eax, [ebx]
        mov [scratch + 4], eax
        clac
        ENDF
        WANT [scratch], 0x600d
        WANT [scratch + 4], 0x600d
        FAULTS 14, 1
        clac
        int 0x40
        ENDF
        jmp .end
.handler:
        mov eax, [WIN]
        mov [scratch], eax
        clac
        ret
.end:

PAETEST "SMAP: pages accessed with AC set follow their entries"
        call smap_window
        jnc .end
        PAEPTE 1, PHYS | P | W, 0
        PAEPTE 2, (PHYS + 0x1000) | P | W, 0
        mov dword [WIN + 0x1000], 0x11111111
        mov dword [WIN + 0x2000], 0x22222222
        mov ebx, WIN
        FAULTS DONE
        stac
        mov ecx, [ebx]
        mov dword [pt1], (PHYS + 0x1000) | MAPPED
        invlpg [ebx]
        mov edx, [ebx]
        mov dword [pt1], PHYS | MAPPED
        RELOAD_CR3
        mov esi, [ebx]
        ; global, then another page behind it
        CR4_ON CR4_PGE
        mov dword [pt1], PHYS | MAPPED | G
        invlpg [ebx]
        mov edi, [ebx]
        mov dword [pt1], (PHYS + 0x1000) | MAPPED | G
        CR4_OFF CR4_PGE
        mov ebx, [ebx]
        clac
        ENDF
        WANT ecx, 0x11111111
        WANT edx, 0x22222222
        WANT esi, 0x11111111
        WANT edi, 0x11111111
        WANT ebx, 0x22222222
        ; rights, accessed and dirty bits
        mov ebx, WIN
        PAEPTE 0, PHYS | MAPPED, 0
        FAULTS DONE
        stac
        mov eax, [ebx]
        mov ecx, [pt1]
        mov [ebx], eax
        mov edx, [pt1]
        clac
        ENDF
        WANT ecx, PHYS | MAPPED | A
        WANT edx, PHYS | MAPPED | A | D
        CR0_ON CR0_WP
        FAULTS 14, 3
        stac
        mov [ebx], eax
        and dword [pt1], ~W
        invlpg [ebx]
        mov eax, [ebx]
        AT
        mov [ebx], eax
        ENDF
        ; a large page, through another of its addresses
        mov dword [pd + 24], PHYS | MAPPED | PS
        mov ebx, 0x600000
        FAULTS 14, 0
        stac
        mov eax, [ebx + 0x1000]
        mov dword [pd + 24], 0
        invlpg [ebx + 0x101000]
        AT
        mov eax, [ebx + 0x1000]
        ENDF
        WANT [trap_cr2], 0x601000
.end:

PAETEST "SMAP: code written with AC set is the code that runs"
        call smap_window
        jnc .end
        mov ebx, WIN
        FAULTS DONE
        stac
        mov dword [ebx], 0xc301b0       ; mov al, 1 ; ret
        xor eax, eax
        call ebx
        mov ecx, eax
        mov byte [ebx + 1], 2
        call ebx
        mov edx, eax
        clac
        call ebx
        stac
        mov byte [ebx + 1], 3
        clac
        call ebx
        ENDF
        WANT ecx, 1
        WANT edx, 2
        WANT eax, 3
.end:

PAETEST "SMAP: implicit accesses are not excused by AC"
        ; the handler's own descriptors (up to DS0) stay in a supervisor page, the rest lies in a user page
        call supervisor_identity
        PAEPTE 0, PHYS | P | W, 0
        PAEPTE 1, (PHYS + 0x1000) | MAPPED, 0
        mov esi, gdt
        mov edi, WIN + 0x1000 - SEL_CS3 / 8 * 8
        mov ecx, GDT_SIZE / 4
        rep movsd
        mov word [scratch], GDT_SIZE - 1
        mov dword [scratch + 2], WIN + 0x1000 - SEL_CS3 / 8 * 8
        RELOAD_CR3
        CR4_ON CR4_SMAP
        lgdt [scratch]
        mov ax, SEL_DS3
        FAULTS 14, 1
        stac
        AT
        mov fs, ax
        ENDF
        lgdt [gdt_pointer]
        clac
        CR4_OFF CR4_SMAP

TEST "paging off again"
        call paging_off
        mov dword [0x500], 0x77
        WANT [0x500], 0x77

FINISH

paging_off:
        mov eax, cr0
        and eax, ~(CR0_PG | CR0_WP)
        mov cr0, eax
        mov eax, cr4
        and eax, ~(CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)
        mov cr4, eax
        ret

empty_tables:
        call paging_off
        mov edi, pd
        mov ecx, (tables_end - pd) / 4
        xor eax, eax
        cld
        rep stosd
        ret

legacy_paging:
        call empty_tables
        mov edi, pt0
        mov eax, MAPPED
        mov ecx, 1024
.page:  stosd
        add eax, 0x1000
        loop .page
        mov dword [pd], pt0 + MAPPED
        mov dword [pd + 4], pt1 + MAPPED
        mov eax, pd
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        ret

; 0..4 MiB by two large pages, the window at 4 MiB by a table
pae_paging:
        call empty_tables
        mov dword [pd], MAPPED | PS
        mov dword [pd + 8], 0x200000 | MAPPED | PS
        mov dword [pd + 16], pt1 + MAPPED
        mov dword [pdpt], pd + P
        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        mov eax, pdpt
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        ret

; CF = 1 where the CPU has SMAP, which is on then, with a user page at WIN
smap_window:
        mov eax, 7
        xor ecx, ecx
        cpuid
        bt ebx, 20
        jnc .none
        call supervisor_identity
        PAEPTE 0, PHYS | MAPPED, 0
        CR4_ON CR4_SMAP
        stc
.none:  ret

supervisor_identity:
        and dword [pd], ~U
        and dword [pd + 8], ~U
        mov eax, cr3
        mov cr3, eax
        ret

section .bss
        alignb 4096
pd:     resb 4096
pd2:    resb 4096
pt0:    resb 4096
pt1:    resb 4096
        alignb 32
pdpt:   resb 32
tables_end:
hook_count: resd 1
scratch: resb 64
