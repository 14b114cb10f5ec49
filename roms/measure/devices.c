// A disk without the page cache, raw frames on a network card, lines on a second console.
#include "measure.h"

#define DISK_BYTES (8u << 20)
#define PERIOD (128u << 10)
#define FRAME_MAX 1514
#define ETHERTYPE 0xb588 // 88B5h in network order
#define AF_PACKET 17
#define SOCK_RAW 3
// socketcall(2)
enum { CALL_SOCKET = 1, CALL_BIND = 2, CALL_SEND = 9, CALL_RECV = 10, CALL_SETSOCKOPT = 14 };
#define SOL_SOCKET 1
#define SO_RCVTIMEO 20
#define SIOCGIFFLAGS 0x8913
#define SIOCSIFFLAGS 0x8914
#define SIOCGIFHWADDR 0x8927
#define SIOCGIFINDEX 0x8933
#define IFF_UP 1

// ---------------------------------------------------------------- disk: each word says where in its 128 KiB it lies
static const char *no_disk(void) {
  const long file = disk_path ? call3(SYS_open, (long)disk_path, O_RDONLY, 0) : -1;
  if (file < 0) return "no disk";
  call3(SYS_close, file, 0, 0);
  return NULL;
}

static const char *transfer(u32 bytes, u32 count, int at_random, int write) {
  const long file = call3(SYS_open, (long)disk_path, O_RDWR | O_DIRECT, 0);
  u8 *pattern = map_memory(PERIOD), *buffer = map_memory(bytes);
  const u32 places = DISK_BYTES / bytes;
  u32 random = 12345, wrong = 0;
  for (u32 i = 0; i < PERIOD; i += 4) *(u32 *)(pattern + i) = i * 2654435761u;
  // Only what is there is written.
  wrong += call5(SYS_pread64, file, (long)buffer, (long)bytes, 0, 0) != (long)bytes;
  for (u32 i = 0; i < bytes; i++) wrong += buffer[i] != pattern[i];
  mark_begin();
  for (u32 i = 0; i < count && !wrong; i++) {
    random = random * 1664525 + 1013904223;
    const u32 place = (at_random ? (random >> 8) % places : i % places) * bytes;
    u8 *right = pattern + place % PERIOD;
    if (write) {
      wrong += call5(SYS_pwrite64, file, (long)right, (long)bytes, (long)place, 0) != (long)bytes;
    } else {
      wrong += call5(SYS_pread64, file, (long)buffer, (long)bytes, (long)place, 0) != (long)bytes;
      wrong += *(u32 *)(buffer + bytes - 4) != *(u32 *)(right + bytes - 4);
    }
  }
  mark_end();
  call3(SYS_close, file, 0, 0);
  call3(SYS_munmap, (long)buffer, (long)bytes, 0);
  call3(SYS_munmap, (long)pattern, (long)PERIOD, 0);
  return wrong ? "other bytes than were written, or an error" : NULL;
}
static const char *read_random(const struct question *q, u32 n) { return transfer(q->bytes, n, 1, 0); }
static const char *read_sequential(const struct question *q, u32 n) { return transfer(q->bytes, n, 0, 0); }
static const char *write_random(const struct question *q, u32 n) { return transfer(q->bytes, n, 1, 1); }
static const char *write_sequential(const struct question *q, u32 n) { return transfer(q->bytes, n, 0, 1); }

// ---------------------------------------------------------------- network: the echo of src/bench/virt/echo-network.ts
static long nic = -1;
static u8 address_of_card[6];

static const char *no_nic(void) {
  if (nic >= 0) return NULL;
  if (!nic_name) return "no network card";
  u32 arguments[3] = {AF_PACKET, SOCK_RAW, ETHERTYPE};
  const long made = call3(SYS_socketcall, CALL_SOCKET, (long)arguments, 0);
  if (made < 0) return "no packet sockets";
  struct { char name[16]; u32 value, rest[3]; } request = {{0}, 0, {0}};
  for (u32 i = 0; nic_name[i] && i < 15; i++) request.name[i] = nic_name[i];
  if (call3(SYS_ioctl, made, SIOCGIFINDEX, (long)&request)) return "no network card of that name";
  const u32 index = request.value;
  // The answer comes to who asked: the card takes no other's.
  call3(SYS_ioctl, made, SIOCGIFHWADDR, (long)&request);
  memcpy(address_of_card, (const u8 *)&request.value + 2, 6);
  call3(SYS_ioctl, made, SIOCGIFFLAGS, (long)&request);
  request.value |= IFF_UP;
  call3(SYS_ioctl, made, SIOCSIFFLAGS, (long)&request);
  struct { u16 family, protocol; u32 index; u8 rest[12]; } address = {AF_PACKET, ETHERTYPE, index, {0}};
  u32 bind[3] = {(u32)made, (u32)&address, sizeof address};
  if (call3(SYS_socketcall, CALL_BIND, (long)bind, 0)) return "the card cannot be bound";
  const u32 patience[2] = {3, 0};
  u32 option[5] = {(u32)made, SOL_SOCKET, SO_RCVTIMEO, (u32)patience, sizeof patience};
  call3(SYS_socketcall, CALL_SETSOCKOPT, (long)option, 0);
  nic = made;
  return NULL;
}

static u8 frame[FRAME_MAX + 8], received[FRAME_MAX + 8];

static long transmit(u8 what, u32 number, u32 bytes) {
  memset(frame, 0xff, 6);
  memcpy(frame + 6, address_of_card, 6);
  *(u16 *)(frame + 12) = ETHERTYPE;
  frame[14] = what;
  memcpy(frame + 16, &number, 4);
  u32 arguments[4] = {(u32)nic, (u32)frame, bytes, 0};
  return call3(SYS_socketcall, CALL_SEND, (long)arguments, 0);
}

/** Waits for an answer of this kind, at most some seconds; its number. */
static u32 answer(u8 what, long *bytes) {
  for (;;) {
    u32 arguments[4] = {(u32)nic, (u32)received, sizeof received, 0};
    *bytes = call3(SYS_socketcall, CALL_RECV, (long)arguments, 0);
    if (*bytes < 0 || received[14] == what) break;
  }
  u32 number;
  memcpy(&number, received + 16, 4);
  return number;
}

static const char *run_echo(const struct question *question, u32 count) {
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count && !wrong; i++) {
    long bytes = 0;
    wrong += transmit('E', i, question->bytes) != (long)question->bytes || answer('E', &bytes) != i || bytes != (long)question->bytes;
  }
  mark_end();
  return wrong ? "a frame came back changed, or not at all" : NULL;
}

static const char *run_send(const struct question *question, u32 count) {
  long bytes;
  transmit('C', 0, 64);
  const u32 before = answer('C', &bytes);
  u32 wrong = 0;
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong += transmit('S', i, question->bytes) != (long)question->bytes;
  // The last one is out when the count comes, which goes behind it.
  transmit('C', 0, 64);
  const u32 after = answer('C', &bytes);
  mark_end();
  return wrong || after - before != count ? "frames were lost" : NULL;
}

// ---------------------------------------------------------------- console
static const char *no_console(void) {
  const long file = console_path ? call3(SYS_open, (long)console_path, O_RDWR | O_NOCTTY, 0) : -1;
  if (file < 0) return "no second console";
  call3(SYS_close, file, 0, 0);
  return NULL;
}

static const char *run_console(const struct question *question, u32 count) {
  static u8 line[80];
  const long file = call3(SYS_open, (long)console_path, O_RDWR | O_NOCTTY, 0);
  u32 wrong = 0;
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\n';
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong += write_all((int)file, line, question->bytes) != (long)question->bytes;
  call3(SYS_ioctl, file, TCSBRK, 1); // until all is out
  mark_end();
  call3(SYS_close, file, 0, 0);
  return wrong ? "bytes were lost" : NULL;
}

const struct question device_questions[] = {
    {"disk-read-rand-4k", 300, 4096, read_random, no_disk},
    {"disk-read-seq-128k", 120, 128 << 10, read_sequential, no_disk},
    {"disk-write-rand-4k", 300, 4096, write_random, no_disk},
    {"disk-write-seq-128k", 60, 128 << 10, write_sequential, no_disk},
    {"net-echo-64", 300, 64, run_echo, no_nic},
    {"net-echo-1500", 300, FRAME_MAX, run_echo, no_nic},
    {"net-send-1500", 1000, FRAME_MAX, run_send, no_nic},
    {"console-line", 200, 80, run_console, no_console},
};
const u32 device_question_count = COUNT(device_questions);
