// A virtio network card (virtio 1.2, 5.1), one pair of queues, no offloads.
#include "../cpu.h"
#include "../paging.h"
#include "nic.h"
#include "virtio.h"

#define TYPE 1
#define FEATURE_MAC (1u << 5)
#define HEADER 12u
#define BUFFERS 16u
#define BUFFER_BYTES 2048u

const struct nic *virtio_nic;
static struct nic nic;
static struct virtio_device device;
static struct virtio_queue receive, transmit;
static u8 receive_buffers[BUFFERS][BUFFER_BYTES], transmit_buffers[BUFFERS][BUFFER_BYTES];
static u32 next_transmit, in_flight;

static void offer(u32 index) {
  receive.descriptors[index] =
      (struct virtio_descriptor){(u32)receive_buffers[index], BUFFER_BYTES, DESCRIPTOR_WRITE, 0};
  virtio_publish(&receive, (u16)index);
}

static void reap(void) {
  u32 head;
  while (virtio_take(&transmit, &head, NULL)) in_flight--;
}

static void send(const void *frame, u32 bytes) {
  while (in_flight == BUFFERS) reap();
  const u32 index = next_transmit++ % BUFFERS;
  memset(transmit_buffers[index], 0, HEADER);
  memcpy(transmit_buffers[index] + HEADER, frame, bytes);
  transmit.descriptors[index] = (struct virtio_descriptor){(u32)transmit_buffers[index], HEADER + bytes, 0, 0};
  in_flight++;
  virtio_publish(&transmit, (u16)index);
  virtio_notify(&transmit);
  reap();
}

static u32 take(void *frame) {
  u32 head, bytes;
  if (!virtio_take(&receive, &head, &bytes) || head >= BUFFERS) return 0;
  bytes = bytes > HEADER ? bytes - HEADER : 0;
  if (bytes > FRAME_MAX) bytes = FRAME_MAX;
  memcpy(frame, receive_buffers[head] + HEADER, bytes);
  offer(head);
  virtio_notify(&receive);
  return bytes;
}

void virtio_net_init(void) {
  if (!virtio_open(&device, TYPE, FEATURE_MAC)) return;
  if (!virtio_queue(&device, &receive, 0) || !virtio_queue(&device, &transmit, 1)) return;
  transmit.available[0] = 1; // no interrupts: what was sent is looked for at the next frame
  virtio_ready(&device);
  for (u32 i = 0; i < BUFFERS && i < receive.size; i++) offer(i);
  virtio_notify(&receive);
  nic = (struct nic){"virtio-net", {0}, send, take};
  for (u32 i = 0; i < 6; i++) nic.mac[i] = device.config[i];
  virtio_nic = &nic;
}
