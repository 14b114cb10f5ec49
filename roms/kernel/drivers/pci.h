// PCI by configuration mechanism 1 (PCI 2.3, 3.2.2.3.2), bus 0, as firmware has left it.
#pragma once
#include "../irq.h"
#include "../types.h"

struct pci_function { u32 slot, function; u16 vendor, device; u32 class; };

u32 pci_read(const struct pci_function *at, u32 offset);
u16 pci_read16(const struct pci_function *at, u32 offset);
u8 pci_read8(const struct pci_function *at, u32 offset);
void pci_write(const struct pci_function *at, u32 offset, u32 value);

extern struct pci_function pci_functions[32];
extern u32 pci_count;
void pci_init(void);
const struct pci_function *pci_find(u16 vendor, u16 device);
/** Class and subclass, as 0101h for IDE. */
const struct pci_function *pci_find_class(u32 class);
/** Physical address or port of a base address register, mapped where it is memory. */
u32 pci_bar(const struct pci_function *at, u32 index, u32 bytes);
void pci_master(const struct pci_function *at);
/** Offset of a capability, of those with this ID the one after `after`; 0: none. */
u32 pci_capability(const struct pci_function *at, u8 id, u32 after);
/** Turns MSI-X on with a message for `handler` in its entry 0; 0: the function or the machine cannot. */
int pci_msix(const struct pci_function *at, interrupt_handler *handler, void *context);
/** INTx through the 8259s, shared. */
void pci_intx(const struct pci_function *at, interrupt_handler *handler, void *context);
