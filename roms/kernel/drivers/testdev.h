// QEMU's pc-testdev, which kvm-unit-tests are written for.
#pragma once

/** Maps its memory; before the first task. */
void testdev_init(void);
/** Checks its registers, memory and interrupts, with lines as kvm-unit-tests print them; how many failed. */
unsigned testdev_check(void);
