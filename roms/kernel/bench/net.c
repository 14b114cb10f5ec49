// Frames of 64 and of 1514 bytes (a packet of 1500): sent, and sent to come back. The other side is the benchmark's own
// (src/bench/virt/echo-network.ts): by the first byte of a frame it counts it, sends it back, or says how many it counted.
#include "bench.h"
#include "../drivers/nic.h"
#include "../irq.h"

#define ETHERTYPE 0xb588 // 88B5h: local experiments; in network order
#define ASK_COUNT 'C'
#define SEND_BACK 'E'
#define SWALLOW 'S'
#define PATIENCE_TICKS 200

struct frame { u8 to[6], from[6]; u16 type; u8 what; u8 pad; u32 number; u8 rest[FRAME_MAX - 20]; };
static struct frame sent, received;

static const struct nic *best_nic(void) {
  if (bench_para && virtio_nic) return virtio_nic;
  return rtl8139_nic ? rtl8139_nic : virtio_nic;
}

static void send(u8 what, u32 number, u32 bytes) {
  const struct nic *nic = best_nic();
  memset(sent.to, 0xff, 6);
  memcpy(sent.from, nic->mac, 6);
  sent.type = ETHERTYPE;
  sent.what = what;
  sent.number = number;
  nic->send(&sent, bytes);
}

/** The answer to what was asked; 0: none came. Its interrupt is taken first. The tick ends a wait for nothing. */
static u32 receive(u8 what) {
  const u32 start = ticks;
  interrupts_once();
  for (;;) {
    const u32 bytes = best_nic()->receive(&received);
    if (bytes && received.type == ETHERTYPE && received.what == what) return bytes;
    if (bytes) continue;
    if (ticks - start > PATIENCE_TICKS) return 0;
    wait_for_interrupt();
  }
}

static const char *no_peer(void) {
  if (!best_nic()) return "no network card";
  send(ASK_COUNT, 0, 64);
  return receive(ASK_COUNT) ? NULL : "nobody answers on the network";
}
static const char *by_nic(void) { return best_nic()->name; }

static const char *run_send(const struct bench *bench, u32 count) {
  tick_start();
  send(ASK_COUNT, 0, 64);
  if (!receive(ASK_COUNT)) return "nobody answers";
  const u32 before = received.number;
  tick_stop();
  mark_begin();
  for (u32 i = 0; i < count; i++) send(SWALLOW, i, bench->bytes);
  mark_end();
  tick_start();
  send(ASK_COUNT, 0, 64);
  if (!receive(ASK_COUNT)) return "nobody answers";
  return received.number - before == count ? NULL : "frames were lost";
}

static const char *run_echo(const struct bench *bench, u32 count) {
  for (u32 i = 0; i < sizeof sent.rest; i++) sent.rest[i] = (u8)(i * 7);
  u32 wrong = 0;
  tick_start();
  mark_begin();
  for (u32 i = 0; i < count && !wrong; i++) {
    send(SEND_BACK, i, bench->bytes);
    wrong += receive(SEND_BACK) != bench->bytes || received.number != i;
  }
  mark_end();
  wrong += memcmp(sent.rest, received.rest, bench->bytes - 20) != 0;
  return wrong ? "a frame came back changed, or not at all" : NULL;
}

const struct bench net_benches[] = {
    {"net-send-64", "a frame of 64 bytes sent", 2000, 64, 0, no_peer, by_nic, run_send},
    {"net-send-1500", "a frame of 1514 bytes sent", 2000, FRAME_MAX, 0, no_peer, by_nic, run_send},
    {"net-echo-64", "a frame of 64 bytes there and back", 500, 64, 0, no_peer, by_nic, run_echo},
    {"net-echo-1500", "a frame of 1514 bytes there and back", 500, FRAME_MAX, 0, no_peer, by_nic, run_echo},
};
const u32 net_bench_count = COUNT(net_benches);
