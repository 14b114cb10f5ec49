#include "virtio.h"
#include "../cpu.h"
#include "../paging.h"

#define VENDOR 0x1af4
#define DEVICE_BASE 0x1040
#define CAPABILITY_VENDOR 9
#define CONFIG_COMMON 1
#define CONFIG_NOTIFY 2
#define CONFIG_ISR 3
#define CONFIG_DEVICE 4
// struct virtio_pci_common_cfg
#define FEATURE_SELECT 8
#define FEATURES 12
#define CONFIG_VECTOR 16
#define STATUS 20
#define QUEUE_SELECT 22
#define QUEUE_SIZE 24
#define QUEUE_VECTOR 26
#define QUEUE_ENABLE 28
#define QUEUE_NOTIFY_OFFSET 30
#define QUEUE_DESCRIPTORS 32
#define QUEUE_AVAILABLE 40
#define QUEUE_USED 48
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_OK 4
#define STATUS_FEATURES 8

static volatile u8 *at8(volatile u8 *base, u32 offset) { return base + offset; }
static volatile u16 *at16(volatile u8 *base, u32 offset) { return (volatile u16 *)(base + offset); }
static volatile u32 *at32(volatile u8 *base, u32 offset) { return (volatile u32 *)(base + offset); }

static void virtio_interrupt(void *context) {
  struct virtio_device *device = context;
  if (!device->msix && !*device->isr) return; // another one's on the same line; reading it takes the line back
  device->interrupts++;
  if (device->on_interrupt) device->on_interrupt(device);
}

static void find_structures(struct virtio_device *device) {
  const struct pci_function *pci = device->pci;
  for (u32 at = 0; (at = pci_capability(pci, CAPABILITY_VENDOR, at)) != 0;) {
    const u32 type = pci_read8(pci, at + 3), bar = pci_read8(pci, at + 4);
    const u32 offset = pci_read(pci, at + 8), bytes = pci_read(pci, at + 12);
    if (bar > 5 || type < CONFIG_COMMON || type > CONFIG_DEVICE) continue;
    volatile u8 *base = (volatile u8 *)(pci_bar(pci, bar, offset + bytes) + offset);
    if (type == CONFIG_COMMON) device->common = base;
    if (type == CONFIG_ISR) device->isr = base;
    if (type == CONFIG_DEVICE) device->config = base;
    if (type == CONFIG_NOTIFY) device->notify = (u32)base, device->notify_multiplier = pci_read(pci, at + 16);
  }
}

int virtio_open(struct virtio_device *device, u32 type, u32 features) {
  device->pci = pci_find(VENDOR, (u16)(DEVICE_BASE + type));
  if (!device->pci) return 0;
  find_structures(device);
  if (!device->common || !device->isr || !device->notify) return 0;
  pci_master(device->pci);
  volatile u8 *common = device->common;
  *at8(common, STATUS) = 0;
  while (*at8(common, STATUS)) {
  }
  *at8(common, STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
  *at32(common, FEATURE_SELECT) = 0;
  *at32(common, FEATURES) = features;
  *at32(common, FEATURE_SELECT) = 1;
  *at32(common, FEATURES) = 1; // VERSION_1
  *at8(common, STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES;
  if (!(*at8(common, STATUS) & STATUS_FEATURES)) return 0;
  device->msix = pci_msix(device->pci, virtio_interrupt, device);
  *at16(common, CONFIG_VECTOR) = 0xffff;
  if (!device->msix) pci_intx(device->pci, virtio_interrupt, device);
  return 1;
}

int virtio_queue(struct virtio_device *device, struct virtio_queue *queue, u32 index) {
  volatile u8 *common = device->common;
  *at16(common, QUEUE_SELECT) = (u16)index;
  u32 size = *at16(common, QUEUE_SIZE);
  if (size > QUEUE_MAX) size = QUEUE_MAX;
  const u32 frame = size ? frame_alloc() : 0;
  if (!frame) return 0;
  memset((void *)frame, 0, PAGE);
  queue->size = size;
  queue->index = index;
  queue->descriptors = (void *)frame;
  queue->available = (void *)(frame + QUEUE_MAX * 16);
  queue->used = (void *)(frame + 2048);
  *at16(common, QUEUE_SIZE) = (u16)size;
  *at16(common, QUEUE_VECTOR) = device->msix ? 0 : 0xffff;
  const u32 places[3][2] = {{QUEUE_DESCRIPTORS, (u32)queue->descriptors},
                            {QUEUE_AVAILABLE, (u32)queue->available},
                            {QUEUE_USED, (u32)queue->used}};
  for (u32 i = 0; i < 3; i++) {
    *at32(common, places[i][0]) = places[i][1];
    *at32(common, places[i][0] + 4) = 0;
  }
  queue->doorbell = (volatile u16 *)(device->notify + *at16(common, QUEUE_NOTIFY_OFFSET) * device->notify_multiplier);
  *at16(common, QUEUE_ENABLE) = 1;
  return 1;
}

void virtio_ready(struct virtio_device *device) { *at8(device->common, STATUS) |= STATUS_OK; }

void virtio_publish(struct virtio_queue *queue, u16 head) {
  queue->available[2 + queue->published++ % queue->size] = head;
  memory_fence();
  queue->available[1] = queue->published;
}

void virtio_notify(struct virtio_queue *queue) {
  memory_fence();
  if (!(queue->used[0] & 1 /* no notify */)) *queue->doorbell = (u16)queue->index;
}

int virtio_take(struct virtio_queue *queue, u32 *head, u32 *bytes) {
  if (queue->used[1] == queue->seen) return 0;
  barrier();
  const volatile u32 *element = (const volatile u32 *)(queue->used + 2) + 2 * (queue->seen++ % queue->size);
  *head = element[0];
  if (bytes) *bytes = element[1];
  return 1;
}
