// What `run` starts: small programs that show what the kernel can do.
#include "system.h"

static u32 primes(const char *argument) {
  const u32 limit = parse_number(argument, 10000);
  u8 *composite = (u8 *)HEAP_BASE; // comes as it is touched
  u32 count = 0, last = 0;
  if (limit > 50000000) return say("at most 50000000\n"), 1;
  for (u32 i = 2; i <= limit; i++) {
    if (composite[i]) continue;
    count++, last = i;
    for (u64 k = (u64)i * i; k <= limit; k += i) composite[k] = 1;
  }
  say("%u primes up to %u, the last %u\n", count, limit, last);
  return 0;
}

static u32 forks(const char *argument) {
  const u32 children = parse_number(argument, 8);
  if (children > 40) return say("at most 40\n"), 1;
  for (u32 i = 0; i < children; i++) {
    const s32 pid = fork();
    if (pid == 0) {
      sleep((children - i) * 10);
      exit(i);
    }
    if (pid < 0) return say("no room for another\n"), 1;
  }
  u32 status;
  for (s32 pid; (pid = wait(&status)) > 0;) say("%d ended with %u\n", pid, status);
  return 0;
}

static u32 spin(const char *argument) {
  const u64 end = time_ns() + (u64)parse_number(argument, 3) * 1000000000;
  u32 rounds = 0;
  while (time_ns() < end) rounds++;
  say("read the time %u times\n", rounds);
  return 0;
}

static u32 fault(const char *argument) {
  const u32 address = parse_number(argument, 0);
  say("reading %08x\n", address);
  return *(volatile u32 *)address;
}

static u32 memory(const char *argument) {
  const u32 pages = parse_number(argument, 256);
  if (pages > 20000) return say("at most 20000\n"), 1;
  for (u32 i = 0; i < pages; i++) *(u32 *)(HEAP_BASE + i * PAGE_BYTES) = i;
  u32 wrong = 0;
  for (u32 i = 0; i < pages; i++) wrong += *(u32 *)(HEAP_BASE + i * PAGE_BYTES) != i;
  say("%u pages written and read, %u wrong\n", pages, wrong);
  return wrong;
}

const struct program programs[] = {
    {"primes", "primes [LIMIT]: a sieve in memory that comes as it is touched", primes},
    {"forks", "forks [N]: children that sleep and end", forks},
    {"spin", "spin [SECONDS]: busy; others go on", spin},
    {"memory", "memory [PAGES]: touches them all", memory},
    {"fault", "fault [ADDRESS]: reads what is not there", fault},
};
const u32 program_count = COUNT(programs);
