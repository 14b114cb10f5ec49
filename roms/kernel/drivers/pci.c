#include "pci.h"
#include "../cpu.h"
#include "../paging.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define CAPABILITY_MSIX 0x11

struct pci_function pci_functions[32];
u32 pci_count;

static void select(const struct pci_function *at, u32 offset) {
  out32(ADDRESS, 0x80000000 | at->slot << 11 | at->function << 8 | (offset & 0xfc));
}
u32 pci_read(const struct pci_function *at, u32 offset) {
  select(at, offset);
  return in32(DATA);
}
u16 pci_read16(const struct pci_function *at, u32 offset) { return (u16)(pci_read(at, offset) >> (offset & 2) * 8); }
u8 pci_read8(const struct pci_function *at, u32 offset) { return (u8)(pci_read(at, offset) >> (offset & 3) * 8); }
void pci_write(const struct pci_function *at, u32 offset, u32 value) {
  select(at, offset);
  out32(DATA, value);
}

void pci_init(void) {
  for (u32 slot = 0; slot < 32; slot++) {
    for (u32 function = 0; function < 8 && pci_count < COUNT(pci_functions); function++) {
      struct pci_function at = {.slot = slot, .function = function};
      const u32 id = pci_read(&at, 0);
      if ((id & 0xffff) == 0xffff) {
        if (function == 0) break;
        continue;
      }
      at.vendor = (u16)id;
      at.device = (u16)(id >> 16);
      at.class = pci_read(&at, 8) >> 8;
      pci_functions[pci_count++] = at;
      if (function == 0 && !(pci_read8(&at, 0x0e) & 0x80)) break;
    }
  }
}

const struct pci_function *pci_find(u16 vendor, u16 device) {
  for (u32 i = 0; i < pci_count; i++)
    if (pci_functions[i].vendor == vendor && pci_functions[i].device == device) return &pci_functions[i];
  return NULL;
}

const struct pci_function *pci_find_class(u32 class) {
  for (u32 i = 0; i < pci_count; i++)
    if (pci_functions[i].class >> 8 == class) return &pci_functions[i];
  return NULL;
}

u32 pci_bar(const struct pci_function *at, u32 index, u32 bytes) {
  const u32 bar = pci_read(at, 0x10 + index * 4);
  if (bar & 1) return bar & ~3u;
  map_device(bar & ~15u, bytes);
  return bar & ~15u;
}

void pci_master(const struct pci_function *at) { pci_write(at, 4, (pci_read(at, 4) & 0xffff) | 7); }

u32 pci_capability(const struct pci_function *at, u8 id, u32 after) {
  if (!(pci_read16(at, 6) & 0x10)) return 0;
  u32 offset = after ? pci_read8(at, after + 1) : pci_read8(at, 0x34);
  for (u32 i = 0; offset && i < 48; i++, offset = pci_read8(at, offset + 1))
    if (pci_read8(at, offset) == id) return offset;
  return 0;
}

int pci_msix(const struct pci_function *at, interrupt_handler *handler, void *context) {
  const u32 capability = pci_capability(at, CAPABILITY_MSIX, 0);
  if (!capability) return 0;
  const u32 vector = msi_attach(handler, context);
  if (!vector) return 0;
  const u32 table = pci_read(at, capability + 4);
  volatile u32 *entry = (volatile u32 *)(pci_bar(at, table & 7, PAGE) + (table & ~7u));
  entry[0] = 0xfee00000 | (apic_read(APIC_ID) >> 24) << 12;
  entry[1] = 0;
  entry[2] = vector;
  entry[3] = 0;
  pci_write(at, capability, (pci_read(at, capability) & ~0x40000000u) | 0x80000000u);
  return 1;
}

void pci_intx(const struct pci_function *at, interrupt_handler *handler, void *context) {
  irq_attach(pci_read8(at, 0x3c), handler, context);
}
