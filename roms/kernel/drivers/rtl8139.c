// The RTL8139C (its datasheet, chapter 5): four transmit buffers, one receive ring.
#include "../cpu.h"
#include "../irq.h"
#include "../paging.h"
#include "nic.h"
#include "pci.h"

#define ID 0x00
#define TRANSMIT_STATUS 0x10
#define TRANSMIT_ADDRESS 0x20
#define RECEIVE_ADDRESS 0x30
#define COMMAND 0x37
#define READ_POINTER 0x38
#define INTERRUPT_MASK 0x3c
#define INTERRUPT_STATUS 0x3e
#define RECEIVE_CONFIG 0x44
#define CONFIG1 0x52
#define COMMAND_RESET 0x10
#define COMMAND_ENABLE 0x0c
#define COMMAND_EMPTY 0x01
#define STATUS_OWN 0x2000
#define RECEIVED 0x0001
#define INTERRUPTS 0x0051 // received, overflow
/** 8 KiB, and a frame that would cross the end goes on behind it. */
#define RING 8192u
#define ACCEPT 0x8f // everything but errors; WRAP
#define DESCRIPTORS 4u

const struct nic *rtl8139_nic;
static struct nic nic;
static u16 base;
static u8 ring[RING + 16 + 2048] ALIGNED(16);
static u8 buffers[DESCRIPTORS][2048] ALIGNED(16);
static u32 next_descriptor, read_at, used;

static void on_interrupt(void *unused) {
  (void)unused;
  out16(base + INTERRUPT_STATUS, in16(base + INTERRUPT_STATUS));
}

static void send(const void *frame, u32 bytes) {
  const u32 index = next_descriptor++ % DESCRIPTORS;
  // Before the first round nobody owns them yet.
  if (used == DESCRIPTORS)
    while (!(in32((u16)(base + TRANSMIT_STATUS + 4 * index)) & STATUS_OWN)) {
    }
  else used++;
  memcpy(buffers[index], frame, bytes);
  const u32 padded = bytes < 60 ? 60 : bytes;
  memset(buffers[index] + bytes, 0, padded - bytes);
  out32((u16)(base + TRANSMIT_ADDRESS + 4 * index), (u32)buffers[index]);
  out32((u16)(base + TRANSMIT_STATUS + 4 * index), padded);
}

static u32 receive(void *frame) {
  if (in8(base + COMMAND) & COMMAND_EMPTY) return 0;
  const u16 status = *(volatile u16 *)(ring + read_at);
  const u32 length = *(volatile u16 *)(ring + read_at + 2); // with the four bytes of the FCS
  const int good = status & RECEIVED && length >= 18 && length <= FRAME_MAX + 4;
  if (good) memcpy(frame, ring + read_at + 4, length - 4);
  read_at = ((read_at + length + 4 + 3) & ~3u) % RING;
  out16(base + READ_POINTER, (u16)(read_at - 16));
  return good ? length - 4 : 0;
}

void rtl8139_init(void) {
  const struct pci_function *pci = pci_find(0x10ec, 0x8139);
  if (!pci) return;
  pci_master(pci);
  base = (u16)pci_bar(pci, 0, 256);
  out8(base + CONFIG1, 0);
  out8(base + COMMAND, COMMAND_RESET);
  while (in8(base + COMMAND) & COMMAND_RESET) {
  }
  nic = (struct nic){"RTL8139", {0}, send, receive};
  for (u32 i = 0; i < 6; i++) nic.mac[i] = in8((u16)(base + ID + i));
  out32(base + RECEIVE_ADDRESS, (u32)ring);
  out8(base + COMMAND, COMMAND_ENABLE);
  out32(base + RECEIVE_CONFIG, ACCEPT);
  pci_intx(pci, on_interrupt, NULL);
  out16(base + INTERRUPT_STATUS, 0xffff);
  out16(base + INTERRUPT_MASK, INTERRUPTS);
  rtl8139_nic = &nic;
}
