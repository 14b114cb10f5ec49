// A virtio disk (virtio 1.2, 5.2): one request at a time.
#include "../cpu.h"
#include "disk.h"
#include "virtio.h"

#define TYPE 2
#define REQUEST_IN 0
#define REQUEST_OUT 1

const struct disk *virtio_disk;
static struct disk disk;
static struct virtio_device device;
static struct virtio_queue queue;
static struct { u32 type, reserved; u64 sector; } header ALIGNED(16);
static volatile u8 status;

static int transfer(u32 sector, u32 count, void *memory, int write) {
  header.type = write ? REQUEST_OUT : REQUEST_IN;
  header.sector = sector;
  status = 0xff;
  struct virtio_descriptor *d = queue.descriptors;
  d[0] = (struct virtio_descriptor){(u32)&header, sizeof header, DESCRIPTOR_NEXT, 1};
  d[1] = (struct virtio_descriptor){(u32)memory, count * SECTOR, DESCRIPTOR_NEXT | (write ? 0 : DESCRIPTOR_WRITE), 2};
  d[2] = (struct virtio_descriptor){(u32)&status, 1, DESCRIPTOR_WRITE, 0};
  virtio_publish(&queue, 0);
  virtio_notify(&queue);
  u32 head;
  while (!virtio_take(&queue, &head, NULL)) wait_for_interrupt();
  return status == 0;
}

void virtio_blk_init(void) {
  if (!virtio_open(&device, TYPE, 0) || !virtio_queue(&device, &queue, 0)) return;
  virtio_ready(&device);
  disk = (struct disk){"virtio-blk", *(volatile u32 *)device.config, transfer};
  virtio_disk = &disk;
}
