#include "console.h"
#include "drivers/uart.h"
#include "task.h"

#define TYPED 256
const struct console_driver *console;
static u8 typed[TYPED];
static volatile u32 typed_in, typed_out;

void console_init(void) {
  if (uart_init(&com1)) console_use(&uart_console);
}

void console_use(const struct console_driver *driver) { console = driver; }

void console_text(const char *text, u32 count) {
  if (!console) return;
  u8 block[256];
  u32 length = 0;
  for (u32 i = 0; i < count; i++) {
    if (text[i] == '\n') block[length++] = '\r';
    block[length++] = (u8)text[i];
    if (length >= sizeof block - 1) console->write(block, length), length = 0;
  }
  if (length) console->write(block, length);
}

void console_typed(u8 byte) {
  if (typed_in - typed_out < TYPED) typed[typed_in++ % TYPED] = byte;
  task_wake(TASK_READING);
}

u32 console_read(u8 *to, u32 size) {
  while (typed_in == typed_out) task_block(TASK_READING);
  u32 count = 0;
  while (count < size && typed_in != typed_out) to[count++] = typed[typed_out++ % TYPED];
  return count;
}
