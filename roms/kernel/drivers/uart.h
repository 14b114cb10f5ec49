// The 16550 (PC16550D datasheet): the console of the full set.
#pragma once
#include "../console.h"
#include "../types.h"

struct uart {
  u16 base;
  u32 irq;
  int present;
  /** Its transmitter's FIFO takes 16 bytes at a time. */
  u32 fifo;
};
extern struct uart com1, com2;
extern const struct console_driver uart_console;

/** 115200 baud, FIFOs on; 0: nothing is there. */
int uart_init(struct uart *uart);
void uart_write(struct uart *uart, const u8 *bytes, u32 count);
/** Typed bytes go to the console from then on. */
void uart_start_input(struct uart *uart);
