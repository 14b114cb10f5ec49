// Virtio 1 over PCI (virtio 1.2, 2.7 and 4.1): one function, its queues, one request at a time or in a batch.
#pragma once
#include "pci.h"

#define QUEUE_MAX 64

struct virtio_descriptor { u64 address; u32 bytes; u16 flags, next; };
#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_WRITE 2

struct virtio_queue {
  u32 size, index;
  struct virtio_descriptor *descriptors;
  volatile u16 *available; // flags, idx, ring[]
  volatile u16 *used;      // flags, idx, then {u32 id, bytes}[]
  u16 published, seen;
  volatile u16 *doorbell;
};

struct virtio_device {
  const struct pci_function *pci;
  volatile u8 *common, *isr, *config;
  u32 notify, notify_multiplier;
  int msix;
  /** Counted up by each of its interrupts. */
  volatile u32 interrupts;
  void (*on_interrupt)(struct virtio_device *device);
};

/** Finds a device by its virtio type and resets it, features VERSION_1 and `features` accepted; 0: there is none. */
int virtio_open(struct virtio_device *device, u32 type, u32 features);
/** A queue of at most QUEUE_MAX entries in frames of its own. */
int virtio_queue(struct virtio_device *device, struct virtio_queue *queue, u32 index);
void virtio_ready(struct virtio_device *device);
/** The chain that begins with this descriptor is the device's from then on, once it is told. */
void virtio_publish(struct virtio_queue *queue, u16 head);
void virtio_notify(struct virtio_queue *queue);
/** A chain has come back: its head and the bytes written; 0: none. */
int virtio_take(struct virtio_queue *queue, u32 *head, u32 *bytes);
