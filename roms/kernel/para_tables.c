// Page tables that the hypervisor keeps right: HC_MMU_* of docs/HYPERCALLS.md. A table is registered as soon as an entry names
// it, and read-only to us from then on.
#include "cpu.h"
#include "paging.h"
#include "print.h"

#include "hypercalls.gen.h"

#define LEVELS 2
#define BATCH 64u

static struct { u32 address, value; } items[BATCH];

/** All of the first `count` items. */
static void send(u32 count) {
  for (u32 done = 0; done < count;) {
    const s32 now = hypercall(HC_MMU_UPDATE, (u32)&items[done], count - done, 4, 0);
    if (now <= 0) {
      print("kernel: HC_MMU_UPDATE of entry %08x to %08x: %d\n", items[done].address, items[done].value, now);
      panic("the hypervisor refuses a page-table entry");
    }
    done += (u32)now;
  }
}

static void set(u32 *entry, u32 value) {
  items[0].address = (u32)entry;
  items[0].value = value;
  send(1);
}

/** What is replaced is dropped from all caches with the batch. */
static void update(const struct table_update *updates, u32 count) {
  while (count) {
    const u32 now = count < BATCH ? count : BATCH;
    for (u32 i = 0; i < now; i++) {
      items[i].address = (u32)updates[i].entry;
      items[i].value = updates[i].value;
    }
    send(now);
    updates += now;
    count -= now;
  }
}

static void adopt(u32 frame, u32 level) {
  if (level != LEVELS) return;
  const s32 result = hypercall(HC_MMU_PIN, frame, LEVELS, 0, 0);
  if (result == 0) return;
  print("kernel: HC_MMU_PIN of %08x: %d\n", frame, result);
  panic("the hypervisor refuses a page directory");
}

static void release(u32 frame, u32 level) {
  if (level == LEVELS && hypercall(HC_MMU_UNPIN, frame, 0, 0, 0) != 0) panic("a page directory stays pinned");
}

static void invalidate_all(void) { write_cr3(read_cr3()); }

const struct table_ops para_tables = {
    .name = "hypercalls",
    .set = set,
    .update = update,
    .invalidate = invlpg,
    .invalidate_all = invalidate_all,
    .load = write_cr3,
    .adopt = adopt,
    .release = release,
};

void paging_use_hypercalls(void) {
  tables = &para_tables;
  tables->adopt(kernel_directory, LEVELS);
}
