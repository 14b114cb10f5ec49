// Physical frames and 32-bit page tables. Every change of a table goes through `tables`, so that one kernel has its tables
// by plain stores (direct and shadow paging look alike from inside) and by the hypervisor's calls (para paging).
#pragma once
#include "types.h"

#define PAGE 4096u
#define PTE_PRESENT 0x001u
#define PTE_WRITE 0x002u
#define PTE_USER 0x004u
#define PTE_NO_CACHE 0x018u
#define PTE_ACCESSED 0x020u
#define PTE_DIRTY 0x040u
/** Ours (bits 9 to 11 are software's): shared until written. */
#define PTE_COPY 0x200u
#define FRAME_OF(entry) ((entry) & ~0xfffu)

// Linear addresses. Below USER_BASE lies RAM as it is, above USER_END the devices' registers.
#define USER_BASE 0x40000000u
#define USER_HEAP 0x50000000u
#define USER_HEAP_END 0x60000000u
#define USER_STACK 0x7fff0000u
#define USER_END 0x80000000u

struct table_update {
  u32 *entry;
  u32 value;
  /** The linear address that the entry maps, for its invalidation. */
  u32 address;
};

/** How page tables are changed. */
struct table_ops {
  const char *name;
  /** An entry that was not present, of a table in use. */
  void (*set)(u32 *entry, u32 value);
  /** Entries of the directory in use, and the invalidation of their addresses. */
  void (*update)(const struct table_update *updates, u32 count);
  void (*invalidate)(u32 address);
  void (*invalidate_all)(void);
  void (*load)(u32 directory);
  /** A table (level 1) or directory (level 2) is complete and will be used; or is no longer, and is plain memory again. */
  void (*adopt)(u32 frame, u32 level);
  void (*release)(u32 frame, u32 level);
};
extern const struct table_ops *tables;
extern const struct table_ops native_tables, para_tables;

/** `top`: end of RAM. What is below `kernel_end` and what `reserve`d ranges hold is never handed out. */
void frames_init(u32 top);
u32 frame_count(void);
u32 frames_free(void);
/** A frame that one owner holds, or 0: memory is full. Contents are arbitrary. */
u32 frame_alloc(void);
void frame_share(u32 frame);
/** One owner less. */
void frame_release(u32 frame);
int frame_is_shared(u32 frame);

void paging_init(u32 top);
/** The kernel's directory and all after it are changed by hypercalls. After the last map_device(), before the first task. */
void paging_use_hypercalls(void);
/** Identity mapping of a device's registers; before the first task. */
void map_device(u32 physical, u32 bytes);
/** The entry of a linear address in a directory, its table made when `make` says so; NULL: none, or memory is full. */
u32 *entry_of(u32 directory, u32 address, int make);

/** A directory with the kernel in it and no user pages; 0: memory is full. */
u32 space_create(void);
/** Shares all user pages copy-on-write; 0: memory is full. */
u32 space_fork(u32 directory);
void space_destroy(u32 directory);
/** Frees user pages from `address` on; the directory must be the current one. */
void space_unmap(u32 address, u32 pages);
/** Maps a zeroed page; 0: memory is full. */
int space_map_zero(u32 directory, u32 address);

/** Page fault: 1 when it was a page to be brought or copied. */
int memory_fault(u32 address, u32 error);
/** The range lies in places where user memory may be. */
int user_range(u32 address, u32 bytes);
extern u32 kernel_directory;
