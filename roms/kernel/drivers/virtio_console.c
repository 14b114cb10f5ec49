#include "virtio_console.h"
#include "../cpu.h"
#include "virtio.h"

#define TYPE 3
#define RECEIVE 0
#define TRANSMIT 1

static struct virtio_device device;
static struct virtio_queue receive, transmit;
static u8 received[64];

static void offer_buffer(void) {
  receive.descriptors[0] = (struct virtio_descriptor){(u32)received, sizeof received, DESCRIPTOR_WRITE, 0};
  virtio_publish(&receive, 0);
  virtio_notify(&receive);
}

static void on_interrupt(struct virtio_device *unused) {
  (void)unused;
  u32 head, bytes;
  while (virtio_take(&receive, &head, &bytes)) {
    for (u32 i = 0; i < bytes && i < sizeof received; i++) console_typed(received[i]);
    offer_buffer();
  }
}

/** The bytes are the device's until it gives them back: it does so at once, whatever becomes of them. */
static void write(const u8 *bytes, u32 count) {
  transmit.descriptors[0] = (struct virtio_descriptor){(u32)bytes, count, 0, 0};
  transmit.available[0] = 1; // no interrupt: the used ring is looked at
  virtio_publish(&transmit, 0);
  virtio_notify(&transmit);
  u32 head;
  while (!virtio_take(&transmit, &head, NULL)) barrier();
}

const struct console_driver virtio_console = {"virtio-console", write};

int virtio_console_init(void) {
  if (!virtio_open(&device, TYPE, 0)) return 0;
  if (!virtio_queue(&device, &receive, RECEIVE) || !virtio_queue(&device, &transmit, TRANSMIT)) return 0;
  device.on_interrupt = on_interrupt;
  virtio_ready(&device);
  offer_buffer();
  return 1;
}
