// Vectors, the two kinds of interrupt controllers, and the tick. SDM 3A chapter 11; 8259A and 82093AA datasheets.
#include "irq.h"
#include "clock.h"
#include "cpu.h"
#include "hypervisor.h"
#include "paging.h"
#include "print.h"
#include "task.h"
#include "trap.h"

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define PIT_HZ 1193182u

#define APIC_BASE 0xfee00000u
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_TIMER_COUNT 0x380
#define APIC_TIMER_NOW 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define LVT_MASKED 0x10000
#define LVT_PERIODIC 0x20000
#define IO_APIC_BASE 0xfec00000u
#define HANDLERS 40

int irq_apic, apic_present;
volatile u32 ticks, timer_fired;
u32 interrupt_counts[128];
static struct { u32 vector; interrupt_handler *run; void *context; } handlers[HANDLERS];
static u32 handler_count;
static u32 pic_mask = 0xffff;
static u32 next_msi = VECTOR_MSI;
static u32 apic_counts_per_tick;
static int ticking;

// ---------------------------------------------------------------- the 8259s
static void pic_write_masks(void) {
  out8(PIC1 + 1, (u8)pic_mask);
  out8(PIC2 + 1, (u8)(pic_mask >> 8));
}

static void pic_init(void) {
  out8(PIC1, 0x11);
  out8(PIC2, 0x11);
  out8(PIC1 + 1, VECTOR_IRQ);
  out8(PIC2 + 1, VECTOR_IRQ + 8);
  out8(PIC1 + 1, 4);
  out8(PIC2 + 1, 2);
  out8(PIC1 + 1, 1);
  out8(PIC2 + 1, 1);
  pic_write_masks();
}

static void pic_end(u32 irq) {
  if (irq >= 8) out8(PIC2, PIC_EOI);
  out8(PIC1, PIC_EOI);
}

// ---------------------------------------------------------------- the APICs
u32 apic_read(u32 offset) { return *(volatile u32 *)(APIC_BASE + offset); }
void apic_write(u32 offset, u32 value) { *(volatile u32 *)(APIC_BASE + offset) = value; }

static void apic_end(void) {
  if (!pv_eoi_done()) apic_write(APIC_EOI, 0);
}

static void io_apic_write(u32 index, u32 value) {
  *(volatile u32 *)IO_APIC_BASE = index;
  *(volatile u32 *)(IO_APIC_BASE + 0x10) = value;
}

static void io_apic_route(u32 irq) {
  const u32 pin = irq == 0 ? 2 : irq; // input 0 has the 8259s
  const u32 pci = irq >= 9 && irq <= 11; // level-triggered, active high on this board
  io_apic_write(0x11 + 2 * pin, apic_read(APIC_ID) & 0xff000000);
  io_apic_write(0x10 + 2 * pin, (VECTOR_IRQ + irq) | (pci ? 0x8000 : 0));
}

static void apic_init(void) {
  map_device(APIC_BASE, PAGE);
  map_device(IO_APIC_BASE, PAGE);
  write_msr(0x1b /* IA32_APIC_BASE */, APIC_BASE | 0x900);
  apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
  apic_write(APIC_TPR, 0);
  apic_write(APIC_LVT_TIMER, LVT_MASKED);
  // Without the I/O APIC the 8259s come in through LINT0 (virtual wire).
  apic_write(APIC_LVT_LINT0, irq_apic ? LVT_MASKED : 0x700);
}

// ---------------------------------------------------------------- both
void irq_init(int use_apic) {
  apic_present = cpuid(1).edx >> 9 & 1;
  irq_apic = use_apic && apic_present;
  pic_init();
  if (apic_present) apic_init();
  if (irq_apic) pv_eoi_init();
}

const char *irq_controller(void) { return !irq_apic ? "8259" : pv_eoi_on() ? "APIC, PV EOI" : "APIC"; }

static void add_handler(u32 vector, interrupt_handler *handler, void *context) {
  if (handler_count == HANDLERS) panic("too many interrupt handlers");
  handlers[handler_count].vector = vector;
  handlers[handler_count].run = handler;
  handlers[handler_count++].context = context;
}

void irq_attach(u32 irq, interrupt_handler *handler, void *context) {
  if (irq > 15) return;
  add_handler(VECTOR_IRQ + irq, handler, context);
  if (irq_apic) {
    io_apic_route(irq);
    return;
  }
  pic_mask &= ~(1u << irq);
  if (irq >= 8) pic_mask &= ~4u;
  pic_write_masks();
}

u32 msi_attach(interrupt_handler *handler, void *context) {
  if (!irq_apic || next_msi == VECTOR_MSI_END) return 0;
  add_handler(next_msi, handler, context);
  return next_msi++;
}

void vector_attach(u32 vector, interrupt_handler *handler) { add_handler(vector, handler, NULL); }

void interrupt(u32 vector) {
  interrupt_counts[vector & 127]++;
  if (vector == VECTOR_SPURIOUS) return;
  for (u32 i = 0; i < handler_count; i++)
    if (handlers[i].vector == vector) handlers[i].run(handlers[i].context);
  if (irq_apic || vector >= VECTOR_MSI) apic_end();
  else pic_end(vector - VECTOR_IRQ);
}

// ---------------------------------------------------------------- the tick
static void pit_program(u32 mode, u32 count) {
  out8(PIT_COMMAND, (u8)(0x30 | mode << 1));
  out8(PIT_CHANNEL0, (u8)count);
  out8(PIT_CHANNEL0, (u8)(count >> 8));
}

static void pit_mask(int masked) {
  pic_mask = masked ? pic_mask | 1 : pic_mask & ~1u;
  out8(PIC1 + 1, (u8)pic_mask);
}

static void tick(void *unused) {
  (void)unused;
  if (!ticking) {
    timer_fired++;
    return;
  }
  ticks++;
  tasks_tick();
}

/** How far the APIC's timer counts in a tick, by the clock. */
static void calibrate_apic_timer(void) {
  apic_write(APIC_TIMER_DIVIDE, 0xb); // by 1
  apic_write(APIC_TIMER_COUNT, 0xffffffff);
  const u64 start = clock_ns();
  u64 now;
  do now = clock_ns();
  while (now - start < 5000000);
  const u32 counted = 0xffffffff - apic_read(APIC_TIMER_NOW);
  apic_counts_per_tick = (u32)div64((u64)counted * (1000000000 / TICKS_A_SECOND), (u32)(now - start), NULL);
}

void tick_start(void) {
  static int attached;
  if (!attached) {
    attached = 1;
    if (irq_apic) {
      calibrate_apic_timer();
      add_handler(VECTOR_APIC_TIMER, tick, NULL);
    } else add_handler(VECTOR_IRQ, tick, NULL);
  }
  ticking = 1;
  if (irq_apic) {
    apic_write(APIC_LVT_TIMER, VECTOR_APIC_TIMER | LVT_PERIODIC);
    apic_write(APIC_TIMER_COUNT, apic_counts_per_tick);
  } else {
    pit_program(2, PIT_HZ / TICKS_A_SECOND);
    pit_mask(0);
  }
}

void tick_stop(void) {
  ticking = 0;
  if (irq_apic) {
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_TIMER_COUNT, 0);
  } else pit_mask(1);
  interrupts_once(); // one that is on its way
}

void timer_once(u32 ns) {
  if (irq_apic) {
    apic_write(APIC_LVT_TIMER, VECTOR_APIC_TIMER);
    const u64 counts = div64((u64)ns * apic_counts_per_tick, 1000000000 / TICKS_A_SECOND, NULL);
    apic_write(APIC_TIMER_COUNT, counts ? (u32)counts : 1);
  } else {
    const u32 counts = (u32)div64((u64)ns * PIT_HZ, 1000000000, NULL);
    pit_program(0, counts < 1 ? 1 : counts > 0xffff ? 0xffff : counts);
    pit_mask(0);
  }
}
