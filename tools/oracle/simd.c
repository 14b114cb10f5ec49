// Executes one MMX or SSE instruction per state record on this machine's CPU and writes the state after it.
// gcc -O1 -static -no-pie, 32- or 64-bit code; usage: simd < states > results. Record layout: simd-cases.ts.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct state {
  uint8_t xmm[3][16];
  uint8_t mm[2][8];
  uint32_t eax, ecx, edx, eflags, mxcsr, tag, trap, offset;
  uint8_t memory[32];
  uint8_t code[15];
  uint8_t length;
};

static uint8_t before[512] __attribute__((aligned(16), used));
static uint8_t after[512] __attribute__((aligned(16), used));
static uint8_t clean[512] __attribute__((aligned(16), used));
static uint8_t memory[64] __attribute__((aligned(64), used));
static unsigned long r_eax __attribute__((used)), r_ecx __attribute__((used)), r_edx __attribute__((used));
static unsigned long r_eflags __attribute__((used)), r_pointer __attribute__((used)), r_esp __attribute__((used));
static uint8_t *code __attribute__((used));
static volatile uint32_t trap, trap_mxcsr;
static uint32_t code_length;

#ifdef __x86_64__
enum { MXCSR_AT = 24, REG_IP = REG_RIP }; // the FXSAVE image itself
#else
enum { MXCSR_AT = 136, REG_IP = REG_EIP }; // an FNSAVE image before it
#endif

static void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  (void)number;
  (void)info;
  trap = u->uc_mcontext.gregs[REG_TRAPNO];
  uint8_t *fp = (uint8_t *)u->uc_mcontext.fpregs;
  uint32_t *mxcsr = (uint32_t *)(fp + MXCSR_AT);
  trap_mxcsr = *mxcsr;
  *mxcsr = 0x1f80;
  u->uc_mcontext.gregs[REG_IP] = (greg_t)(uintptr_t)(code + code_length);
}

// The registers are all the instruction's; the rest is what differs between the two kinds of code.
#ifdef __x86_64__
#define SAVE_ALL "push %%rbx\n push %%rbp\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n sub $128, %%rsp\n mov %%rsp, r_esp\n"
#define LOAD_ALL "mov r_esp, %%rsp\n add $128, %%rsp\n pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n"
#define R "%%r"
#else
#define SAVE_ALL "pushal\n mov %%esp, r_esp\n"
#define LOAD_ALL "mov r_esp, %%esp\n popal\n"
#define R "%%e"
#endif

__attribute__((noinline)) static void run(void) {
  __asm__ volatile(
      SAVE_ALL
      "fxrstor before\n"
      "mov r_pointer, " R "si\n"
      "mov r_pointer, " R "di\n"
      "push r_eflags\n"
      "popf\n"
      "mov r_eax, " R "ax\n"
      "mov r_ecx, " R "cx\n"
      "mov r_edx, " R "dx\n"
      "call *code\n"
      "mov " R "ax, r_eax\n"
      "mov " R "cx, r_ecx\n"
      "mov " R "dx, r_edx\n"
      "pushf\n"
      "pop r_eflags\n"
      "fxsave after\n"
      "fxrstor clean\n"
      LOAD_ALL ::: "memory", "cc", "eax", "ecx", "edx", "esi", "edi");
}

int main(void) {
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGFPE, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  __asm__ volatile("fninit\n fxsave clean" ::: "memory");
  struct state s;
  while (fread(&s, sizeof s, 1, stdin) == 1) {
    memcpy(code, s.code, s.length);
    code[s.length] = 0xc3;
    code_length = s.length;
    memcpy(before, clean, 512);
    *(uint32_t *)(before + 24) = s.mxcsr;
    for (int i = 0; i < 3; i++) memcpy(before + 160 + 16 * i, s.xmm[i], 16);
    for (int i = 0; i < 2; i++) {
      memcpy(before + 32 + 16 * (i + 1), s.mm[i], 8);
      memset(before + 32 + 16 * (i + 1) + 8, 0xff, 2);
    }
    memcpy(memory, s.memory, 32);
    r_pointer = (uintptr_t)memory + s.offset;
    r_eax = s.eax;
    r_ecx = s.ecx;
    r_edx = s.edx;
    r_eflags = s.eflags;
    trap = 0;
    run();
    for (int i = 0; i < 3; i++) memcpy(s.xmm[i], after + 160 + 16 * i, 16);
    for (int i = 0; i < 2; i++) memcpy(s.mm[i], after + 32 + 16 * (i + 1), 8);
    s.eax = r_eax;
    s.ecx = r_ecx;
    s.edx = r_edx;
    s.eflags = trap ? s.eflags : (r_eflags & 0x8d5) | 2;
    s.mxcsr = trap ? trap_mxcsr : *(uint32_t *)(after + 24);
    s.tag = after[4];
    s.trap = trap;
    memcpy(s.memory, memory, 32);
    if (fwrite(&s, sizeof s, 1, stdout) != 1) return 1;
  }
  return 0;
}
