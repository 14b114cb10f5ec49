// Network cards: whole Ethernet frames.
#pragma once
#include "../types.h"

#define FRAME_MAX 1514u

struct nic {
  const char *name;
  u8 mac[6];
  /** Waits for room; the frame is copied or gone on return. */
  void (*send)(const void *frame, u32 bytes);
  /** A frame that has arrived, copied: its length, 0: none. */
  u32 (*receive)(void *frame);
};

/** NULL where there is none. */
extern const struct nic *rtl8139_nic, *virtio_nic;
void rtl8139_init(void);
void virtio_net_init(void);
