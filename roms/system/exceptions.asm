; exceptions: which vector, which error code, which EIP, what is restartable, what comes first, and faults in faults.
; SDM 3A chapter 6.
%include "lib/rom.inc"

main:
TEST "#DE of DIV, at the instruction"
        xor ecx, ecx
        mov eax, 7
        xor edx, edx
        FAULTS 0, 0
        AT
        div ecx
        ENDF
        WANT [trap_eax], 7
        WANT [trap_edx], 0
        WANT [trap_cs], SEL_CS0

TEST "#DE of IDIV that overflows keeps the registers"
        mov eax, 0x80000000
        mov edx, 0xffffffff
        mov ecx, 0xffffffff
        FAULTS 0, 0
        AT
        idiv ecx
        ENDF
        WANT [trap_eax], 0x80000000
        WANT [trap_edx], 0xffffffff

TEST "#DE of AAM 0"
        FAULTS 0, 0
        AT
        aam 0
        ENDF

TEST "#BP of INT3, behind it"
        FAULTS 3, 0
        int3
        AT
        ENDF

TEST "#OF of INTO, behind it"
        FAULTS 4, 0
        mov al, 0x7f
        add al, 1
        into
        AT
        ENDF

TEST "INTO without OF"
        FAULTS DONE
        xor eax, eax
        into
        ENDF

TEST "#BR of BOUND"
        mov dword [scratch], -2
        mov dword [scratch + 4], 5
        mov eax, 6
        FAULTS 5, 0
        AT
        bound eax, [scratch]
        ENDF
        mov eax, -3
        FAULTS 5, 0
        AT
        bound eax, [scratch]
        ENDF
        mov eax, 5
        FAULTS DONE
        bound eax, [scratch]
        mov eax, -2
        bound eax, [scratch]
        ENDF

TEST "#UD of UD2"
        FAULTS 6, 0
        AT
        ud2
        ENDF

TEST "#UD of LOCK where it may not stand"
        FAULTS 6, 0
        AT
        db 0xf0, 0x90                   ; lock nop
        ENDF
        FAULTS 6, 0
        AT
        db 0xf0, 0x01, 0xc8             ; lock add eax, ecx
        ENDF
        FAULTS 6, 0
        AT
        db 0xf0, 0x8b, 0x05             ; lock mov eax, [scratch]
        dd scratch
        ENDF

TEST "#UD of register forms that do not exist"
        FAULTS 6, 0
        AT
        db 0x8d, 0xc0                   ; lea eax, eax
        ENDF
        FAULTS 6, 0
        AT
        db 0x62, 0xc0                   ; bound eax, eax
        ENDF
        FAULTS 6, 0
        AT
        db 0xff, 0xd8                   ; call far eax
        ENDF
        FAULTS 6, 0
        AT
        db 0xff, 0xff                   ; ff /7
        ENDF
        FAULTS 6, 0
        AT
        db 0x0f, 0x0a                   ; no such opcode
        ENDF
        FAULTS 6, 0
        AT
        db 0x0f, 0xff, 0xc0             ; ud0
        ENDF
        FAULTS 6, 0
        AT
        db 0x0f, 0xb9, 0xc0             ; ud1
        ENDF
        FAULTS 6, 0
        AT
        db 0x8e, 0xc8                   ; mov cs, ax
        ENDF
        FAULTS 6, 0
        AT
        db 0x8e, 0xf0                   ; mov to segment register 6
        ENDF

TEST "#GP of an instruction of 16 bytes"
        FAULTS 13, 0
        AT
        times 15 db 0x66
        nop
        ENDF
        FAULTS DONE
        times 14 db 0x66
        nop
        ENDF

TEST "#GP of a privileged instruction in ring 3"
        FAULTS 13, 0
        RING3
        AT
        hlt
        ENDF
        WANT [trap_cs], SEL_CS3
        WANT [trap_ss], SEL_DS3
        WANT [trap_esp], ring3_stack_top
        WANT [trap_entry_esp], trap_stack_top - 24
        WANT [trap_entry_ss], SEL_DS0
        WANT [trap_entry_ds], SEL_DS3

%macro PRIVILEGED 1+
        FAULTS 13, 0
        RING3
        AT
        %1
        ENDF
%endmacro

TEST "#GP of each privileged instruction in ring 3"
        PRIVILEGED mov eax, cr0
        PRIVILEGED mov cr0, eax
        PRIVILEGED mov cr3, eax
        PRIVILEGED mov eax, cr4
        PRIVILEGED mov eax, dr0
        PRIVILEGED mov dr7, eax
        PRIVILEGED clts
        PRIVILEGED lmsw ax
        PRIVILEGED lgdt [gdt_pointer]
        PRIVILEGED lidt [idt_pointer]
        PRIVILEGED lldt ax
        PRIVILEGED ltr ax
        PRIVILEGED rdmsr
        PRIVILEGED wrmsr
        PRIVILEGED invd
        PRIVILEGED wbinvd
        PRIVILEGED invlpg [scratch]
        PRIVILEGED cli
        PRIVILEGED sti
        PRIVILEGED in al, 0x80
        PRIVILEGED out 0x80, al
        PRIVILEGED insb
        PRIVILEGED outsd

TEST "#UD before the privilege check of MOV from CR1"
        FAULTS 6, 0
        RING3
        AT
        db 0x0f, 0x20, 0xc8
        ENDF

TEST "INT n of a gate with DPL 0 from ring 3 is #GP with its vector"
        FAULTS 13, 0x20 * 8 + 2
        RING3
        AT
        int 0x20
        ENDF
        FAULTS 13, 3 * 8 + 2
        RING3
        AT
        int3
        ENDF
        FAULTS 13, 4 * 8 + 2
        RING3
        mov al, 0x7f
        add al, 1
        AT
        into
        ENDF
        FAULTS 6, 0
        RING3
        AT
        ud2
        ENDF

TEST "INT n beyond the IDT's limit is #GP with its vector"
        mov word [short_idt], 0x30 * 8 + 7
        mov dword [short_idt + 2], idt
        lidt [short_idt]
        FAULTS 13, 0x31 * 8 + 2
        AT
        int 0x31
        ENDF

TEST "a gate that is not present is #NP with its vector"
        IDTGATE 0x20, SEL_CS0, trap_stubs, INT32
        FAULTS 11, 0x20 * 8 + 2
        AT
        int 0x20
        ENDF

TEST "EXT in the error code when an exception's gate is not present"
        IDTGATE 6, SEL_CS0, trap_stubs, INT32
        FAULTS 11, 6 * 8 + 3
        AT
        ud2
        ENDF

TEST "an IDT entry that is no gate is #GP with its vector"
        IDTGATE 0x20, SEL_CS0, trap_stubs, PRESENT | CALL32
        FAULTS 13, 0x20 * 8 + 2
        AT
        int 0x20
        ENDF
        IDTGATE 0x20, SEL_CS0, trap_stubs, PRESENT | DATA
        FAULTS 13, 0x20 * 8 + 2
        AT
        int 0x20
        ENDF

TEST "gate with a bad code segment"
        IDTGATE 0x20, 0, trap_stubs, PRESENT | INT32
        FAULTS 13, 0
        AT
        int 0x20
        ENDF
        IDTGATE 0x20, SEL_DS0, trap_stubs, PRESENT | INT32
        FAULTS 13, SEL_DS0
        AT
        int 0x20
        ENDF
        DESC SEL_A, 0, 0xfffff, CODE, FLAG_G | FLAG_D
        IDTGATE 0x20, SEL_A, trap_stubs, PRESENT | INT32
        FAULTS 11, SEL_A
        AT
        int 0x20
        ENDF
        IDTGATE 0x20, GDT_SIZE, trap_stubs, PRESENT | INT32
        FAULTS 13, GDT_SIZE
        AT
        int 0x20
        ENDF
        IDTGATE 0x20, SEL_CS3, trap_stubs, PRESENT | INT32
        FAULTS 13, SEL_CS3 & ~3
        AT
        int 0x20
        ENDF

TEST "interrupt gate clears IF, TF, NT; trap gate keeps IF"
        push dword 0x4202
        popfd
        FAULTS 0x20
        int 0x20
        AT
        ENDF
        mov eax, [trap_entry_eflags]
        and eax, 0x4300
        WANT eax, 0
        WANT [trap_eflags], 0x4202
        IDTGATE 0x20, SEL_CS0, trap_stubs + 0x20 * STUB_SIZE, PRESENT | TRAP32
        push dword 0x4202
        popfd
        FAULTS 0x20
        int 0x20
        ENDF
        mov eax, [trap_entry_eflags]
        and eax, 0x4300
        WANT eax, 0x0200

TEST "a fault pushes RF, a trap does not"
        FAULTS 6
        ud2
        ENDF
        mov eax, [trap_eflags]
        and eax, EFL_RF
        WANT eax, EFL_RF
        FAULTS 3
        int3
        ENDF
        mov eax, [trap_eflags]
        and eax, EFL_RF
        WANT eax, 0

TEST "a segment that comes in during #NP: the load is made again"
        DESC SEL_A, 0x1234, 0xfffff, DATA, FLAG_G | FLAG_D
        HOOK 11, .present
        mov ax, SEL_A
        mov fs, ax
        mov eax, fs
        WANT eax, SEL_A
        WANT [hook_error], SEL_A
        jmp .end
.present:
        mov eax, [ebp + FRAME_ERROR]
        mov [hook_error], eax
        or byte [gdt + SEL_A + 5], PRESENT
        ret
.end:

TEST "a segment load that faults leaves the register"
        DESC SEL_A, 0, 0xfffff, DATA, FLAG_G | FLAG_D
        mov ax, SEL_DS3
        mov fs, ax
        FAULTS 11, SEL_A
        mov ax, SEL_A
        AT
        mov fs, ax
        ENDF
        WANT [trap_entry_fs], SEL_DS3
        mov ax, SEL_A
        FAULTS 12, SEL_A
        AT
        mov ss, ax
        ENDF

TEST "POP of a bad selector leaves ESP"
        push dword SEL_A
        mov ebx, esp
        FAULTS 13, SEL_A
        AT
        pop fs
        ENDF
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, ebx
        mov dword [scratch], 0
        mov word [scratch + 4], SEL_A
        mov edi, 0x55
        FAULTS 13, SEL_A
        AT
        lfs edi, [scratch]
        ENDF
        WANT [trap_edi], 0x55

TEST "far CALL and RETF that fault leave ESP"
        mov ebx, esp
        FAULTS 13, 0
        AT
        call 0:0x1000
        ENDF
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, ebx
        push dword SEL_DS0
        push dword 0x1000
        mov ebx, esp
        FAULTS 13, SEL_DS0
        AT
        retf
        ENDF
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, ebx

TEST "IRET to a bad CS leaves ESP"
        push dword 2
        push dword SEL_A
        push dword 0x1000
        mov ebx, esp
        FAULTS 13, SEL_A
        AT
        iretd
        ENDF
        mov eax, [trap_entry_esp]
        add eax, 16
        WANT eax, ebx

TEST "#DF of #NP in #DE, error code 0"
        IDTGATE 0, SEL_CS0, trap_stubs, INT32
        xor ecx, ecx
        FAULTS 8, 0
        div ecx
        ENDF

TEST "#DF of #GP in #GP"
        IDTGATE 13, 0, trap_stubs, PRESENT | INT32
        FAULTS 8, 0
        mov ax, SEL_A
        mov fs, ax
        ENDF

TEST "benign and contributory are handled one after the other"
        IDTGATE 6, SEL_DS0, trap_stubs, PRESENT | INT32
        FAULTS 13, SEL_DS0 + 1
        AT
        ud2
        ENDF
        IDTGATE 3, SEL_DS0, trap_stubs, PRESENT | INT32
        FAULTS 13
        AT
        int3
        ENDF

TEST "#DF through a task gate"
        IDTGATE 13, 0, trap_stubs, PRESENT | INT32
        IDTGATE 8, SEL_TSS2, 0, PRESENT | TASKGATE
        mov dword [tss2 + TSS_EIP], .task
        mov ax, SEL_A
.at:    mov fs, ax
        WANT 0, 1                       ; no fault
        jmp .end
.task:  pop eax                         ; the error code, on the new task's stack
        WANT eax, 0
        mov eax, esp
        WANT eax, task_stack_top
        str eax
        WANT eax, SEL_TSS2
        WANT [tss + TSS_EIP], .at
        movzx eax, word [tss2 + TSS_LINK]
        WANT eax, SEL_TSS
        pushfd
        pop eax
        and eax, EFL_NT
        WANT eax, EFL_NT
.end:

TEST "#AC in ring 3 with AM and AC"
        mov eax, cr0
        or eax, 1 << 18
        mov cr0, eax
        FAULTS 17, 0
        RING3 EFL_AC | 2
        AT
        mov eax, [scratch + 2]
        ENDF
        FAULTS 17, 0
        RING3 EFL_AC | 2
        AT
        mov [scratch + 1], ax
        ENDF
        FAULTS DONE
        RING3 EFL_AC | 2
        mov eax, [scratch + 4]
        mov ax, [scratch + 2]
        mov al, [scratch + 1]
        ENDF
        FAULTS DONE
        RING3
        mov eax, [scratch + 2]
        ENDF
        push dword EFL_AC | 2
        popfd
        FAULTS DONE
        mov eax, [scratch + 2]
        ENDF
        mov eax, cr0
        and eax, ~(1 << 18)
        mov cr0, eax

TEST "no #AC without AM"
        FAULTS DONE
        RING3 EFL_AC | 2
        mov eax, [scratch + 2]
        ENDF

TEST "CR0.PG without PE is #GP"
        mov eax, cr0
        and eax, ~1
        or eax, 0x80000000
        FAULTS 13, 0
        AT
        mov cr0, eax
        ENDF

TEST "CR0.NW without CD is #GP"
        mov eax, cr0
        or eax, 0x20000000
        and eax, ~0x40000000
        FAULTS 13, 0
        AT
        mov cr0, eax
        ENDF

TEST "a reserved bit of CR4 is #GP"
        mov eax, cr4
        or eax, 1 << 31
        FAULTS 13, 0
        AT
        mov cr4, eax
        ENDF

TEST "INT n pushes the flags with IF as they were"
        sti
        FAULTS 0x31
        nop
        int 0x31
        AT
        ENDF
        mov eax, [trap_eflags]
        and eax, EFL_IF
        WANT eax, EFL_IF

FINISH

section .bss
        alignb 16
scratch: resb 64
short_idt: resb 8
hook_error: resd 1
