// The console: what people read and type. Drivers: a 16550, or virtio.
#pragma once
#include "types.h"

struct console_driver {
  const char *name;
  void (*write)(const u8 *bytes, u32 count);
};

/** COM1 from then on. */
void console_init(void);
void console_use(const struct console_driver *driver);
extern const struct console_driver *console;
/** Text: a carriage return goes before each line feed. */
void console_text(const char *text, u32 count);

/** From a driver's interrupt. */
void console_typed(u8 byte);
/** What was typed, at least one byte: others run until there is some. */
u32 console_read(u8 *to, u32 size);
