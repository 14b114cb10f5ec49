// Disk requests of 4 to 128 KiB, in a row and at random. The disk is one that was made for it: every word says where in its
// 128 KiB it lies, so each read is checked, and writes write what was there.
#include "bench.h"
#include "../drivers/disk.h"

#define KIB 1024u
#define BUFFER (128 * KIB)
/** What is used of the disk. */
#define AREA_SECTORS (8192 * KIB / SECTOR)

static u8 buffer[BUFFER] ALIGNED(4096);
/** What every 128 KiB of the disk hold. No request crosses a border of them. */
static u8 pattern[BUFFER] ALIGNED(4096);

static const struct disk *best_disk(void) {
  if (bench_para && virtio_disk) return virtio_disk;
  return ide_dma_disk ? ide_dma_disk : ide_pio_disk ? ide_pio_disk : virtio_disk;
}

static void make_pattern(void) {
  for (u32 i = 0; i < BUFFER; i += 4) *(u32 *)(pattern + i) = i * 2654435761u;
}

static u8 *content_of(u32 sector) { return pattern + sector * SECTOR % BUFFER; }
static int is_right(u32 sector, u32 bytes) { return memcmp(buffer, content_of(sector), bytes) == 0; }

static const char *check_disk(const struct disk *disk) {
  if (!disk) return "no disk";
  if (disk->sectors < AREA_SECTORS) return "the disk is smaller than 8 MiB";
  make_pattern();
  if (!disk->transfer(0, 8, buffer, 0) || !is_right(0, 8 * SECTOR) || !disk->transfer(AREA_SECTORS - 8, 8, buffer, 0) ||
      !is_right(AREA_SECTORS - 8, 8 * SECTOR))
    return "the disk was not made for this";
  return NULL;
}

static const char *no_disk(void) { return check_disk(best_disk()); }
static const char *no_pio(void) { return bench_para ? "not a device of the para set" : check_disk(ide_pio_disk); }
static const char *no_calls(void) { return check_disk(hypercall_disk); }
static const char *by_calls(void) { return hypercall_disk->name; }
static const char *by_disk(void) { return best_disk()->name; }
static const char *by_pio(void) { return ide_pio_disk->name; }

enum { SEQUENTIAL, RANDOM };

static const char *transfer(const struct disk *disk, u32 bytes, u32 count, int order, int write) {
  const u32 sectors = bytes / SECTOR, places = AREA_SECTORS / sectors;
  u32 random = 12345, wrong = 0, sector = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) {
    random = random * 1664525 + 1013904223;
    sector = (order == RANDOM ? (random >> 8) % places : i % places) * sectors;
    wrong += !disk->transfer(sector, sectors, write ? content_of(sector) : buffer, write);
    if (!write) wrong += *(u32 *)(buffer + bytes - 4) != *(u32 *)(content_of(sector) + bytes - 4);
  }
  mark_end();
  if (write) {
    memset(buffer, 0, bytes);
    wrong += !disk->transfer(sector, sectors, buffer, 0);
  }
  wrong += !is_right(sector, bytes);
  return wrong ? "other bytes than were written, or an error" : NULL;
}

static const char *read_sequential(const struct bench *b, u32 n) { return transfer(best_disk(), b->bytes, n, SEQUENTIAL, 0); }
static const char *read_random(const struct bench *b, u32 n) { return transfer(best_disk(), b->bytes, n, RANDOM, 0); }
static const char *write_sequential(const struct bench *b, u32 n) { return transfer(best_disk(), b->bytes, n, SEQUENTIAL, 1); }
static const char *write_random(const struct bench *b, u32 n) { return transfer(best_disk(), b->bytes, n, RANDOM, 1); }
static const char *read_pio(const struct bench *b, u32 n) { return transfer(ide_pio_disk, b->bytes, n, SEQUENTIAL, 0); }
static const char *write_pio(const struct bench *b, u32 n) { return transfer(ide_pio_disk, b->bytes, n, SEQUENTIAL, 1); }

static const char *read_calls(const struct bench *b, u32 n) { return transfer(hypercall_disk, b->bytes, n, SEQUENTIAL, 0); }
static const char *write_calls(const struct bench *b, u32 n) { return transfer(hypercall_disk, b->bytes, n, SEQUENTIAL, 1); }

#define SIZES(name, about, by, missing, run)                                    \
  {name "-4k", about " of 4 KiB", 400, 4 * KIB, 0, missing, by, run},           \
  {name "-16k", about " of 16 KiB", 300, 16 * KIB, 0, missing, by, run},        \
  {name "-64k", about " of 64 KiB", 100, 64 * KIB, 0, missing, by, run},        \
  {name "-128k", about " of 128 KiB", 60, 128 * KIB, 0, missing, by, run}

const struct bench block_benches[] = {
    SIZES("block-read-seq", "a read in a row", by_disk, no_disk, read_sequential),
    SIZES("block-read-rand", "a read somewhere", by_disk, no_disk, read_random),
    SIZES("block-write-seq", "a write in a row", by_disk, no_disk, write_sequential),
    SIZES("block-write-rand", "a write somewhere", by_disk, no_disk, write_random),
    SIZES("block-pio-read", "a read by programmed I/O", by_pio, no_pio, read_pio),
    SIZES("block-pio-write", "a write by programmed I/O", by_pio, no_pio, write_pio),
    SIZES("block-call-read", "a read by hypercall", by_calls, no_calls, read_calls),
    SIZES("block-call-write", "a write by hypercall", by_calls, no_calls, write_calls),
};
const u32 block_bench_count = COUNT(block_benches);
