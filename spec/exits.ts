/** Why `runVcpu` returned. The details are in the exit record of the vCPU block (EXIT_* in layout.ts). */
export const enum Exit {
  /** Budget used up; nothing to do. */
  Budget = 0,
  /** IN or INS: EXIT_PORT, EXIT_SIZE, EXIT_COUNT; the host fills IO_DATA (single items: EXIT_DATA) and runs again. */
  PortIn = 1,
  /** OUT or OUTS: EXIT_PORT, EXIT_SIZE, EXIT_COUNT, data in IO_DATA (single items: EXIT_DATA); already retired. */
  PortOut = 2,
  /** EXIT_ADDR, EXIT_SIZE; the host fills EXIT_DATA and runs again. */
  MmioRead = 3,
  /** EXIT_ADDR, EXIT_SIZE, EXIT_DATA. */
  MmioWrite = 4,
  /** HLT with no interrupt to deliver: sleep until one. */
  Hlt = 5,
  /** VMCALL or VMMCALL that the core does not answer: EXIT_NR, EXIT_ARGS (EBX ECX EDX ESI EDI); the host's answer in EXIT_DATA goes to EAX. */
  Hypercall = 6,
  /** Interrupts can be delivered now (requested by the host). */
  InterruptWindow = 7,
  /** Triple fault. */
  Shutdown = 8,
  /** Breakpoint or single step of the debugger: EXIT_QUAL DEBUG_*; EXIT_ADDR linear address; for a watch also EXIT_SIZE and EXIT_NR (WATCH_*). */
  Debug = 9,
  /** KICKED was set. */
  Kicked = 10,
  /** Hot code is ready to be translated. */
  Translate = 11,
  /** RDMSR of an MSR that the core does not have, or whose MSR bitmap bit is set: EXIT_NR; EXIT_QUAL = 1 asks for #GP. */
  MsrRead = 12,
  /** WRMSR likewise: EXIT_NR, EXIT_DATA. */
  MsrWrite = 13,
  /** An exception whose bit is set in CTRL_EXCEPTIONS: EXIT_NR vector, EXIT_DATA error code. */
  Exception = 14,
  /** A CR3 load under CTRLF_CR3: EXIT_DATA. */
  Cr3Load = 15,
  Invlpg = 16,
  Rdtsc = 17,
  Cpuid = 18,
  DescriptorAccess = 19,
  /** Shadow paging: a write to a page table of the guest: EXIT_ADDR physical, EXIT_SIZE, EXIT_DATA. The core makes it when run again. */
  PageTableWrite = 20,
  /** FERR# asserted with CR0.NE = 0 (IRQ 13 on a PC). */
  Ferr = 21,
  /** The guest executes from memory that is not RAM or ROM: EXIT_ADDR. */
  MmioFetch = 22,
  /** Port 92h, keyboard controller or a fault asks for a reset of the machine. */
  Reset = 23,
  /** A timer of a device in the host is due. */
  Deadline = 24,
  /** Shadow paging: a hidden page fault. The guest's tables allow the access, their shadow did not know it yet. EXIT_ADDR linear. */
  ShadowFill = 25,
  /** Shadow paging: the first write to a page: the guest's dirty bit is set. EXIT_ADDR linear. */
  ShadowDirty = 26,
  /** Shadow paging: a page fault that is the guest's own. EXIT_ADDR linear. */
  PageFault = 27,
}
export const EXIT_REASONS = 28;

// EXIT_QUAL of Exit.Debug
export const DEBUG_STEP = 1;
export const DEBUG_BREAKPOINT = 2;
/** The instruction just executed, or an interrupt's delivery, accessed a watched range. */
export const DEBUG_WATCH = 3;
