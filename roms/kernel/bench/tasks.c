// What user programs are made of: user/measure.c runs these.
#include "bench.h"
#include "../paging.h"
#include "../trap.h"

static const char *by_tables(void) { return tables->name; }
static const char *no_sysenter(void) { return has_sysenter() ? NULL : "no SYSENTER"; }

const struct bench task_benches[] = {
    {"syscall-int80", "getpid by INT 80h", 50000, 0, PROGRAM_INT80, NULL, NULL, NULL},
    {"syscall-sysenter", "getpid by SYSENTER and SYSEXIT", 50000, 0, PROGRAM_SYSENTER, no_sysenter, NULL, NULL},
    {"divide-error", "a division by zero in user mode, and back", 20000, 0, PROGRAM_DIVIDE, NULL, NULL, NULL},
    {"page-fault", "the first touch of a page", 10240, 0, PROGRAM_PAGE_FAULT, NULL, by_tables, NULL},
    {"fork-wait", "a child that ends at once, waited for", 300, 0, PROGRAM_FORK, NULL, by_tables, NULL},
    {"context-switch", "from one program to another", 20000, 0, PROGRAM_SWITCH, NULL, by_tables, NULL},
};
const u32 task_bench_count = COUNT(task_benches);
