// Disks, each by one way to reach it. Transfers wait for the interrupt that ends them.
#pragma once
#include "../types.h"

#define SECTOR 512u
/** Most sectors of one transfer: 128 KiB. */
#define SECTORS_MAX 256u

struct disk {
  const char *name;
  u32 sectors;
  /** 1: done; 0: the device says no. The memory is physically contiguous; 1 to SECTORS_MAX sectors. */
  int (*transfer)(u32 sector, u32 count, void *memory, int write);
};

/** NULL where there is none. */
extern const struct disk *ide_pio_disk, *ide_dma_disk, *virtio_disk, *hypercall_disk;
void ide_init(void);
void virtio_blk_init(void);
