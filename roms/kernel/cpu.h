// The processor: ports, control registers, MSRs, CPUID and hypercalls as C functions.
#pragma once
#include "types.h"

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port)); }
static inline void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %w1" : : "a"(value), "Nd"(port)); }
static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port) {
  u8 value;
  __asm__ volatile("inb %w1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline u16 in16(u16 port) {
  u16 value;
  __asm__ volatile("inw %w1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline u32 in32(u16 port) {
  u32 value;
  __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
/** A sector or part of one through a 16-bit port. */
static inline void in_words(u16 port, void *to, u32 words) {
  __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(port) : "memory");
}
static inline void out_words(u16 port, const void *from, u32 words) {
  __asm__ volatile("rep outsw" : "+S"(from), "+c"(words) : "d"(port) : "memory");
}

static inline void interrupts_off(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void interrupts_on(void) { __asm__ volatile("sti" : : : "memory"); }
/** Lets an interrupt in, or sleeps until one comes; interrupts are off before and after. */
static inline void wait_for_interrupt(void) { __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory"); }
/** What is pending comes in here. */
static inline void interrupts_once(void) { __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory"); }

static inline u32 read_cr2(void) {
  u32 value;
  __asm__ volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
static inline u32 read_cr3(void) {
  u32 value;
  __asm__ volatile("mov %%cr3, %0" : "=r"(value));
  return value;
}
static inline void write_cr3(u32 value) { __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
static inline void invlpg(u32 address) { __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory"); }

static inline u64 read_tsc(void) {
  u64 value;
  __asm__ volatile("rdtsc" : "=A"(value));
  return value;
}
static inline u64 read_msr(u32 msr) {
  u64 value;
  __asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
  return value;
}
static inline void write_msr(u32 msr, u64 value) { __asm__ volatile("wrmsr" : : "A"(value), "c"(msr) : "memory"); }

struct cpuid { u32 eax, ebx, ecx, edx; };
static inline struct cpuid cpuid(u32 leaf) {
  struct cpuid r;
  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
  return r;
}

/** VMCALL: number in EAX, arguments in EBX, ECX, EDX, ESI. #UD where there is no hypervisor: see hypervisor.h. */
static inline s32 hypercall(u32 nr, u32 a, u32 b, u32 c, u32 d) {
  s32 result;
  __asm__ volatile("vmcall" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
  return result;
}

/** A compiler barrier: memory is what the code before says. */
static inline void barrier(void) { __asm__ volatile("" : : : "memory"); }
/** Also for the processor: virtio's rings. */
static inline void memory_fence(void) { __asm__ volatile("lock; addl $0, (%%esp)" : : : "memory"); }
