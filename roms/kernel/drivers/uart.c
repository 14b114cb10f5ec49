#include "uart.h"
#include "../cpu.h"
#include "../irq.h"

// Registers by offset.
#define DATA 0
#define INTERRUPTS 1
#define FIFO 2
#define LINE 3
#define MODEM 4
#define LINE_STATUS 5
#define SCRATCH 7
#define STATUS_RECEIVED 0x01
#define STATUS_ROOM 0x20
#define FIFO_BYTES 16

struct uart com1 = {.base = 0x3f8, .irq = 4}, com2 = {.base = 0x2f8, .irq = 3};

int uart_init(struct uart *uart) {
  const u16 base = uart->base;
  out8(base + SCRATCH, 0x5a);
  if (in8(base + SCRATCH) != 0x5a) return 0;
  out8(base + INTERRUPTS, 0);
  out8(base + LINE, 0x80);
  out8(base + DATA, 1);
  out8(base + INTERRUPTS, 0);
  out8(base + LINE, 0x03);
  out8(base + FIFO, 0x07);
  out8(base + MODEM, 0x0b);
  uart->fifo = (in8(base + FIFO) & 0xc0) == 0xc0 ? FIFO_BYTES : 1;
  uart->present = 1;
  return 1;
}

void uart_write(struct uart *uart, const u8 *bytes, u32 count) {
  while (count) {
    while (!(in8(uart->base + LINE_STATUS) & STATUS_ROOM)) {
    }
    for (u32 room = uart->fifo; room && count; room--, count--) out8(uart->base + DATA, *bytes++);
  }
}

static void uart_interrupt(void *context) {
  const struct uart *uart = context;
  while (in8(uart->base + LINE_STATUS) & STATUS_RECEIVED) console_typed(in8(uart->base + DATA));
}

void uart_start_input(struct uart *uart) {
  if (!uart->present) return;
  irq_attach(uart->irq, uart_interrupt, uart);
  out8(uart->base + INTERRUPTS, 1);
}

static void write_com1(const u8 *bytes, u32 count) { uart_write(&com1, bytes, count); }
const struct console_driver uart_console = {"16550", write_com1};
