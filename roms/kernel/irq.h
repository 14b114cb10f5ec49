// Interrupts: from the 8259s (the full set) or through the APICs (the para set, where there is one), ended as either wants.
#pragma once
#include "types.h"

#define TICKS_A_SECOND 100

typedef void interrupt_handler(void *context);

/** Masks everything, then takes the controllers that `use_apic` and the machine's CPUID ask for. */
void irq_init(int use_apic);
/** The APICs are in use. */
extern int irq_apic;
/** The local APIC is there, whoever delivers the ISA interrupts. */
extern int apic_present;
/** "8259", "APIC" or "APIC, PV EOI". */
const char *irq_controller(void);

/** An ISA interrupt (0 to 15), unmasked from then on. Several devices may share a line: each looks whether it is it. */
void irq_attach(u32 irq, interrupt_handler *handler, void *context);
/** A vector for messages of a PCI device, 0: no APIC or none left. */
u32 msi_attach(interrupt_handler *handler, void *context);
void vector_attach(u32 vector, interrupt_handler *handler);
void interrupt(u32 vector);

/** The periodic tick: from the 8254 or the local APIC's timer. While it is off nothing interrupts a measurement. */
void tick_start(void);
void tick_stop(void);
extern volatile u32 ticks;
/** One interrupt after so many nanoseconds (at most 50 ms), in place of the tick: `timer_fired` counts them. */
void timer_once(u32 ns);
extern volatile u32 timer_fired;

/** How often each vector came. */
extern u32 interrupt_counts[128];

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_ICR 0x300
u32 apic_read(u32 offset);
void apic_write(u32 offset, u32 value);
