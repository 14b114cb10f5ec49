// An IDE disk, master on the primary channel: programmed I/O (ATA-6, READ and WRITE MULTIPLE) and the PIIX's bus master.
#include "../cpu.h"
#include "../irq.h"
#include "../paging.h"
#include "disk.h"
#include "pci.h"

#define BASE 0x1f0
#define CONTROL 0x3f6
#define IRQ 14
#define COUNT_REGISTER 2
#define LBA 3
#define DRIVE 6
#define COMMAND 7
#define STATUS 7
#define STATUS_BUSY 0x80
#define STATUS_DATA 0x08
#define STATUS_ERROR 0x21
#define IDENTIFY 0xec
#define SET_MULTIPLE 0xc6
#define READ_MULTIPLE 0xc4
#define WRITE_MULTIPLE 0xc5
#define READ_DMA 0xc8
#define WRITE_DMA 0xca
/** Sectors for each interrupt of a programmed transfer. */
#define BLOCK 16u
// Bus master registers (82371SB, 2.7).
#define BM_COMMAND 0
#define BM_STATUS 2
#define BM_TABLE 4
#define BM_START 1
#define BM_TO_MEMORY 8
#define BM_INTERRUPT 4
#define BM_FAILED 2
#define BORDER 0x10000u

const struct disk *ide_pio_disk, *ide_dma_disk;
static struct disk pio, dma;
static volatile u32 interrupts;
static u16 bus_master;
static struct { u32 address; u16 bytes, flags; } prd[4] ALIGNED(64);

static void ide_interrupt(void *unused) {
  (void)unused;
  in8(BASE + STATUS); // takes the line back
  interrupts++;
}

static void wait_ready(void) {
  while (in8(CONTROL) & STATUS_BUSY) {
  }
}

static void command(u8 code, u32 sector, u32 count) {
  wait_ready();
  out8(BASE + DRIVE, (u8)(0xe0 | (sector >> 24 & 15)));
  out8(BASE + COUNT_REGISTER, (u8)count);
  out8(BASE + LBA, (u8)sector);
  out8(BASE + LBA + 1, (u8)(sector >> 8));
  out8(BASE + LBA + 2, (u8)(sector >> 16));
  out8(BASE + COMMAND, code);
}

static void wait_interrupt(u32 seen) {
  while (interrupts == seen) wait_for_interrupt();
}

static int pio_transfer(u32 sector, u32 count, void *memory, int write) {
  u8 *at = memory;
  u32 seen = interrupts;
  command(write ? WRITE_MULTIPLE : READ_MULTIPLE, sector, count);
  while (count) {
    const u32 now = count < BLOCK ? count : BLOCK;
    if (write) {
      wait_ready();
      if (!(in8(CONTROL) & STATUS_DATA)) return 0;
      out_words(BASE, at, now * SECTOR / 2);
      wait_interrupt(seen);
      seen = interrupts;
    } else {
      wait_interrupt(seen);
      seen = interrupts;
      if (!(in8(CONTROL) & STATUS_DATA)) return 0;
      in_words(BASE, at, now * SECTOR / 2);
    }
    at += now * SECTOR;
    count -= now;
  }
  return !(in8(CONTROL) & STATUS_ERROR);
}

static int dma_transfer(u32 sector, u32 count, void *memory, int write) {
  u32 address = (u32)memory, bytes = count * SECTOR, entries = 0;
  while (bytes) {
    const u32 room = BORDER - address % BORDER, now = bytes < room ? bytes : room;
    prd[entries].address = address;
    prd[entries].bytes = (u16)now; // 0 stands for 64 KiB
    prd[entries++].flags = now == bytes ? 0x8000 : 0;
    address += now;
    bytes -= now;
  }
  const u32 seen = interrupts;
  const u8 direction = write ? 0 : BM_TO_MEMORY;
  out32(bus_master + BM_TABLE, (u32)prd);
  out8(bus_master + BM_COMMAND, direction);
  out8(bus_master + BM_STATUS, (u8)(in8(bus_master + BM_STATUS) | BM_INTERRUPT | BM_FAILED));
  command(write ? WRITE_DMA : READ_DMA, sector, count);
  out8(bus_master + BM_COMMAND, direction | BM_START);
  wait_interrupt(seen);
  out8(bus_master + BM_COMMAND, 0);
  return !(in8(bus_master + BM_STATUS) & BM_FAILED) && !(in8(CONTROL) & STATUS_ERROR);
}

void ide_init(void) {
  if (in8(BASE + STATUS) == 0xff) return;
  out8(CONTROL, 2); // no interrupts yet
  command(IDENTIFY, 0, 0);
  if (in8(BASE + STATUS) == 0) return;
  wait_ready();
  if (!(in8(BASE + STATUS) & STATUS_DATA)) return; // nothing, or a CD drive
  u16 identity[256];
  in_words(BASE, identity, 256);
  pio = (struct disk){"IDE, programmed I/O", identity[60] | (u32)identity[61] << 16, pio_transfer};
  ide_pio_disk = &pio;
  command(SET_MULTIPLE, 0, BLOCK);
  wait_ready();
  in8(BASE + STATUS);
  irq_attach(IRQ, ide_interrupt, NULL);
  out8(CONTROL, 0);
  const struct pci_function *pci = pci_find_class(0x0101);
  if (!pci) return;
  pci_master(pci);
  bus_master = (u16)pci_bar(pci, 4, 16);
  if (!bus_master) return;
  dma = (struct disk){"IDE, bus master", pio.sectors, dma_transfer};
  ide_dma_disk = &dma;
}
