// Page tables: the kernel's part, which all directories share, and address spaces of user programs.
#include "paging.h"
#include "cpu.h"
#include "print.h"
#include "task.h"

#define DIRECTORY_INDEX(address) ((address) >> 22)
#define TABLE_INDEX(address) ((address) >> 12 & 1023)
#define FIRST_USER_INDEX DIRECTORY_INDEX(USER_BASE)
#define LAST_USER_INDEX DIRECTORY_INDEX(USER_END)
#define BATCH 64

u32 kernel_directory;
const struct table_ops *tables = &native_tables;

// ---------------------------------------------------------------- by plain stores
static void native_set(u32 *entry, u32 value) { *(volatile u32 *)entry = value; }
static void native_update(const struct table_update *updates, u32 count) {
  for (u32 i = 0; i < count; i++) native_set(updates[i].entry, updates[i].value);
  for (u32 i = 0; i < count; i++) invlpg(updates[i].address);
}
static void native_invalidate_all(void) { write_cr3(read_cr3()); }
static void native_nothing(u32 frame, u32 level) { (void)frame, (void)level; }

const struct table_ops native_tables = {
    .name = "native",
    .set = native_set,
    .update = native_update,
    .invalidate = invlpg,
    .invalidate_all = native_invalidate_all,
    .load = write_cr3,
    .adopt = native_nothing,
    .release = native_nothing,
};

// ---------------------------------------------------------------- the kernel's part
static u32 zeroed_frame(void) {
  const u32 frame = frame_alloc();
  if (frame) memset((void *)frame, 0, PAGE);
  return frame;
}

u32 *entry_of(u32 directory, u32 address, int make) {
  u32 *in_directory = (u32 *)directory + DIRECTORY_INDEX(address);
  if (!(*in_directory & PTE_PRESENT)) {
    const u32 table = make ? zeroed_frame() : 0;
    if (!table) return NULL;
    tables->adopt(table, 1);
    tables->set(in_directory, table | PTE_PRESENT | PTE_WRITE | PTE_USER);
  }
  return (u32 *)FRAME_OF(*in_directory) + TABLE_INDEX(address);
}

/** Before the directory is in use: no hypervisor needs to know. */
static void map_identity(u32 physical, u32 bytes, u32 flags) {
  for (u32 at = FRAME_OF(physical); at < physical + bytes; at += PAGE) {
    u32 *in_directory = (u32 *)kernel_directory + DIRECTORY_INDEX(at);
    if (!(*in_directory & PTE_PRESENT)) {
      const u32 table = zeroed_frame();
      if (!table) panic("no memory for the page tables");
      *in_directory = table | PTE_PRESENT | PTE_WRITE;
    }
    ((u32 *)FRAME_OF(*in_directory))[TABLE_INDEX(at)] = at | PTE_PRESENT | PTE_WRITE | flags;
    if (at + PAGE < at) break;
  }
}

void paging_init(u32 top) {
  kernel_directory = zeroed_frame();
  map_identity(PAGE, top - PAGE, 0); // page 0 stays out: NULL
  write_cr3(kernel_directory);
  u32 cr0;
  __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("mov %0, %%cr0\n\tjmp 1f\n1:" : : "r"(cr0 | 0x80010000 /* PG, WP */) : "memory");
}

void map_device(u32 physical, u32 bytes) {
  map_identity(physical, bytes, PTE_NO_CACHE);
  native_invalidate_all();
}

// ---------------------------------------------------------------- address spaces
u32 space_create(void) {
  const u32 directory = frame_alloc();
  if (!directory) return 0;
  memcpy((void *)directory, (void *)kernel_directory, PAGE);
  memset((u32 *)directory + FIRST_USER_INDEX, 0, (LAST_USER_INDEX - FIRST_USER_INDEX) * 4);
  tables->adopt(directory, 2);
  return directory;
}

/** The first entry from `i` on that is not 0; 1024: none. */
static u32 next_entry(const u32 *table, u32 i) {
  const u32 *at = table + i;
  u32 left = 1024 - i;
  if (!left) return 1024;
  __asm__ volatile("repe scasl" : "+D"(at), "+c"(left) : "a"(0) : "memory", "cc");
  return at == table + 1024 && !at[-1] ? 1024 : (u32)(at - table) - 1;
}

/** Makes the parent's writable entries of one table read-only, in batches. */
static void protect_table(u32 *table, u32 base) {
  struct table_update updates[BATCH];
  u32 count = 0;
  for (u32 i = next_entry(table, 0); i < 1024; i = next_entry(table, i + 1)) {
    if ((table[i] & (PTE_PRESENT | PTE_WRITE)) != (PTE_PRESENT | PTE_WRITE)) continue;
    updates[count++] = (struct table_update){table + i, (table[i] & ~PTE_WRITE) | PTE_COPY, base + i * PAGE};
    if (count == BATCH) tables->update(updates, count), count = 0;
  }
  if (count) tables->update(updates, count);
}

u32 space_fork(u32 directory) {
  const u32 copy = frame_alloc();
  if (!copy) return 0;
  memcpy((void *)copy, (void *)directory, PAGE);
  memset((u32 *)copy + FIRST_USER_INDEX, 0, (LAST_USER_INDEX - FIRST_USER_INDEX) * 4);
  int failed = 0;
  const u32 *entries = (const u32 *)directory;
  for (u32 index = next_entry(entries, FIRST_USER_INDEX); index < LAST_USER_INDEX; index = next_entry(entries, index + 1)) {
    const u32 entry = entries[index];
    u32 *table = (u32 *)FRAME_OF(entry);
    protect_table(table, index << 22);
    u32 *to = (u32 *)zeroed_frame();
    if (!to) {
      failed = 1;
      break;
    }
    for (u32 i = next_entry(table, 0); i < 1024; i = next_entry(table, i + 1)) {
      to[i] = table[i] & ~(PTE_ACCESSED | PTE_DIRTY);
      frame_share(FRAME_OF(to[i]));
    }
    tables->adopt((u32)to, 1);
    ((u32 *)copy)[index] = (u32)to | (entry & 0xfff & ~PTE_ACCESSED);
  }
  tables->adopt(copy, 2);
  if (!failed) return copy;
  space_destroy(copy);
  return 0;
}

void space_destroy(u32 directory) {
  tables->release(directory, 2);
  const u32 *entries = (const u32 *)directory;
  for (u32 index = next_entry(entries, FIRST_USER_INDEX); index < LAST_USER_INDEX; index = next_entry(entries, index + 1)) {
    u32 *table = (u32 *)FRAME_OF(entries[index]);
    tables->release((u32)table, 1);
    for (u32 i = next_entry(table, 0); i < 1024; i = next_entry(table, i + 1)) frame_release(FRAME_OF(table[i]));
    frame_release((u32)table);
  }
  frame_release(directory);
}

void space_unmap(u32 address, u32 pages) {
  struct table_update updates[BATCH];
  u32 freed[BATCH];
  while (pages) {
    u32 count = 0;
    for (; pages && count < BATCH; pages--, address += PAGE) {
      u32 *entry = entry_of(current->directory, address, 0);
      if (!entry || !(*entry & PTE_PRESENT)) continue;
      freed[count] = FRAME_OF(*entry);
      updates[count++] = (struct table_update){entry, 0, address};
    }
    if (count) tables->update(updates, count);
    for (u32 i = 0; i < count; i++) frame_release(freed[i]);
  }
}

int space_map_zero(u32 directory, u32 address) {
  u32 *entry = entry_of(directory, address, 1);
  const u32 frame = entry ? zeroed_frame() : 0;
  if (!frame) return 0;
  tables->set(entry, frame | PTE_PRESENT | PTE_WRITE | PTE_USER);
  return 1;
}

int user_range(u32 address, u32 bytes) {
  const u32 end = address + bytes;
  extern u8 user_image[], user_image_end[];
  const u32 image_bytes = user_image_end - user_image;
  if (end < address) return 0;
  if (address >= USER_BASE && end <= USER_BASE + image_bytes) return 1;
  if (address >= USER_HEAP && end <= USER_HEAP_END) return 1;
  return address >= USER_STACK && end <= USER_END;
}

/** A write to a page that several share: a copy of its own, or the page itself when nobody else has it any more. */
static int copy_page(u32 *entry, u32 address) {
  const u32 frame = FRAME_OF(*entry);
  u32 own = frame;
  if (frame_is_shared(frame)) {
    own = frame_alloc();
    if (!own) return 0;
    memcpy((void *)own, (void *)frame, PAGE);
  }
  const struct table_update update = {entry, own | (*entry & 0xfff & ~PTE_COPY) | PTE_WRITE, address};
  tables->update(&update, 1);
  if (own != frame) frame_release(frame);
  return 1;
}

int memory_fault(u32 address, u32 error) {
  if (!current || !user_range(address, 1)) return 0;
  u32 *entry = entry_of(current->directory, address, 0);
  if (entry && *entry & PTE_PRESENT) return error & 2 && *entry & PTE_COPY && copy_page(entry, address);
  return space_map_zero(current->directory, FRAME_OF(address));
}
