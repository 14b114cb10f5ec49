// Page tables: loads of CR3, invalidations, changes of entries one by one and in batches.
#include "bench.h"
#include "../paging.h"
#include "../task.h"

/** Pages of the benchmark, in the heap of whoever asks for it. */
#define PAGES 64u
#define BASE (USER_HEAP + 0x400000u)

static const char *by_tables(void) { return tables->name; }

static struct { u32 frames[2]; struct table_update updates[2][PAGES]; } scratch;

static int prepare(void) {
  const u32 space = current->directory;
  for (u32 i = 0; i < 2; i++) {
    scratch.frames[i] = frame_alloc();
    if (!scratch.frames[i]) return 0;
    *(u32 *)scratch.frames[i] = 0xf0f0 + i;
  }
  for (u32 i = 0; i < PAGES; i++) {
    u32 *entry = entry_of(space, BASE + i * PAGE, 1);
    if (!entry) return 0;
    for (u32 k = 0; k < 2; k++) {
      const u32 value = scratch.frames[k] | PTE_PRESENT | PTE_WRITE | PTE_USER;
      scratch.updates[k][i] = (struct table_update){entry, value, BASE + i * PAGE};
    }
    tables->update(&scratch.updates[0][i], 1);
    // Once in use, so that a stale translation would show.
    if (*(volatile u32 *)(BASE + i * PAGE) != 0xf0f0) return 0;
  }
  return 1;
}

static const char *finish(u32 expected) {
  const char *wrong = NULL;
  for (u32 i = 0; i < PAGES; i++)
    if (*(volatile u32 *)(BASE + i * PAGE) != 0xf0f0 + expected) wrong = "a page shows another frame";
  for (u32 i = 0; i < PAGES; i++) scratch.updates[0][i].value = 0;
  tables->update(scratch.updates[0], PAGES);
  for (u32 i = 0; i < 2; i++) frame_release(scratch.frames[i]);
  return wrong;
}

/** `count` entries in all, `batch` of them at a time; a pass over all pages gives each the other frame. */
static const char *change(u32 count, u32 batch, int touch) {
  if (!prepare()) return "no memory, or pages that do not show their frames";
  u32 passes = count / PAGES;
  if (!passes) passes = 1;
  u32 sum = 0;
  mark_begin();
  for (u32 pass = 1; pass <= passes; pass++) {
    const struct table_update *updates = scratch.updates[pass & 1];
    for (u32 i = 0; i < PAGES; i += batch) {
      tables->update(updates + i, batch);
      if (touch)
        for (u32 k = i; k < i + batch; k++) sum += *(volatile u32 *)(BASE + k * PAGE);
    }
  }
  mark_end();
  const char *wrong = finish(passes & 1);
  if (!wrong && touch && sum != passes / 2 * PAGES * (0xf0f0 * 2 + 1) + (passes & 1) * PAGES * 0xf0f1)
    wrong = "a change was not seen";
  return wrong;
}

static const char *run_pte1(const struct bench *b, u32 count) { (void)b; return change(count, 1, 0); }
static const char *run_pte8(const struct bench *b, u32 count) { (void)b; return change(count, 8, 0); }
static const char *run_pte64(const struct bench *b, u32 count) { (void)b; return change(count, 64, 0); }
static const char *run_touch(const struct bench *b, u32 count) { (void)b; return change(count, 64, 1); }

static const char *run_cr3(const struct bench *bench, u32 count) {
  (void)bench;
  const u32 directory = current->directory;
  mark_begin();
  for (u32 i = 0; i < count; i++) tables->load(directory);
  mark_end();
  return read_cr3() == directory ? NULL : "CR3 has another value";
}

static const char *run_invlpg(const struct bench *bench, u32 count) {
  (void)bench;
  if (!prepare()) return "no memory, or pages that do not show their frames";
  mark_begin();
  for (u32 i = 0; i < count; i++) tables->invalidate(BASE + (i % PAGES) * PAGE);
  mark_end();
  return finish(0);
}

const struct bench table_benches[] = {
    {"cr3-load", "the same page directory again", 20000, 0, 0, NULL, by_tables, run_cr3},
    {"invlpg", "invalidation of one page", 20000, 0, 0, NULL, by_tables, run_invlpg},
    {"pte-1", "a page-table entry changed and invalidated", 25600, 0, 0, NULL, by_tables, run_pte1},
    {"pte-8", "the same, 8 at a time", 25600, 0, 0, NULL, by_tables, run_pte8},
    {"pte-64", "the same, 64 at a time", 25600, 0, 0, NULL, by_tables, run_pte64},
    {"pte-touch-64", "the same, and each page read afterwards", 25600, 0, 0, NULL, by_tables, run_touch},
};
const u32 table_bench_count = COUNT(table_benches);
