// A virtio console (virtio 1.2, 5.3), port 0.
#pragma once
#include "../console.h"

/** 0: there is none. What is typed there goes to the console. */
int virtio_console_init(void);
extern const struct console_driver virtio_console;
