// I/O APIC (82093AA datasheet 290566), 24 pins, one message bus to the local APICs.
// Pins see "asserted", whatever the electrical level: the polarity bit is kept and read back, and the board is taken to be
// wired as the guest was told (ACPI, MP tables). Pin 0 also carries the 8259s' INTR, for redirection in ExtINT mode.
import { CHIPSET_BASE } from "../../spec/layout";
import {
  DELIVER_FIXED,
  DELIVER_LOWEST,
  IOAPIC_ID,
  IOAPIC_LINES,
  IOAPIC_PINS,
  IOAPIC_REDIR,
  IOAPIC_REGSEL,
  IOAPIC_VERSION,
} from "../../spec/chipset";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { deliver } from "./bus";
import { traceIrq } from "./trace";

const REDIR_LOGICAL = 0x800;
const REDIR_REMOTE_IRR = 0x4000;
const REDIR_LEVEL = 0x8000;
const REDIR_MASKED = 0x10000;
const REDIR_WRITABLE_LOW = 0x1afff & ~0x5000;

const PIC_PIN = 0;

function entryOf(pin: i32): i32 {
  return CHIPSET_BASE + IOAPIC_REDIR + (pin << 3);
}

/** Level-triggered as the chip sees it: NMI, SMI, INIT and ExtINT are edges whatever the entry says. */
function levelTriggered(entry: u32): bool {
  const mode = <i32>(entry >> 8) & 7;
  return (entry & REDIR_LEVEL) != 0 && (mode == DELIVER_FIXED || mode == DELIVER_LOWEST);
}

/** Sends the entry's message. */
function send(pin: i32): void {
  const at = entryOf(pin);
  const entry = load<u32>(at);
  const level = levelTriggered(entry);
  traceIrq(IrqTrace.Send, entry & 0xff, IrqSource.Gsi | <u32>pin, (entry >> 8) & 7);
  const taken = deliver(
    load<u32>(at, 4) >> 24,
    (entry & REDIR_LOGICAL) != 0,
    <i32>(entry >> 8) & 7,
    entry & 0xff,
    level,
  );
  if (level && taken) store<u32>(at, load<u32>(at) | REDIR_REMOTE_IRR);
}

/** Sends a level-triggered entry that is asserted, unmasked and not already being served. */
function service(pin: i32): void {
  const entry = load<u32>(entryOf(pin));
  if (entry & (REDIR_MASKED | REDIR_REMOTE_IRR) || !levelTriggered(entry)) return;
  if ((load<u32>(CHIPSET_BASE, IOAPIC_LINES) >> pin) & 1) send(pin);
}

/** Drives a pin. A rising edge on a masked edge-triggered pin is lost, as the datasheet has it. */
export function ioapicSetIrq(gsi: u32, level: bool): void {
  const pin = <i32>gsi;
  if (pin < 0 || pin >= IOAPIC_PINS) return;
  const lines = load<u32>(CHIPSET_BASE, IOAPIC_LINES);
  const bit: u32 = 1 << pin;
  store<u32>(CHIPSET_BASE, level ? lines | bit : lines & ~bit, IOAPIC_LINES);
  if (!level || lines & bit) return;
  const entry = load<u32>(entryOf(pin));
  if (levelTriggered(entry)) service(pin);
  else if (!(entry & REDIR_MASKED)) send(pin);
}

/** The 8259s' INTR on pin 0. */
export function ioapicPicPin(level: bool): void {
  ioapicSetIrq(PIC_PIN, level);
}

/** End of interrupt of a level-triggered vector, broadcast by a local APIC: whoever is still asserted is sent again. */
export function ioapicEoi(vector: u32): void {
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    const at = entryOf(pin);
    const entry = load<u32>(at);
    if ((entry & 0xff) != vector || !(entry & REDIR_REMOTE_IRR)) continue;
    store<u32>(at, entry & ~REDIR_REMOTE_IRR);
    service(pin);
  }
}

/** A local APIC began to accept interrupts: offers the asserted level-triggered pins again. */
export function ioapicRetry(): void {
  for (let pin = 0; pin < IOAPIC_PINS; pin++) service(pin);
}

/** Reads IOREGSEL (offset 0) or IOWIN (10h). */
export function ioapicMmioRead(offset: u32, size: u32): u32 {
  const at = offset & 0xff;
  if (at == 0) return load<u32>(CHIPSET_BASE, IOAPIC_REGSEL);
  return at == 0x10 && size == 4 ? readRegister(load<u32>(CHIPSET_BASE, IOAPIC_REGSEL)) : 0;
}

function readRegister(index: u32): u32 {
  // The arbitration register takes the ID whenever that is written.
  if (index == 0 || index == 2) return load<u32>(CHIPSET_BASE, IOAPIC_ID);
  if (index == 1) return IOAPIC_VERSION;
  if (index < 0x10 || index >= <u32>(0x10 + 2 * IOAPIC_PINS)) return 0;
  return load<u32>(CHIPSET_BASE + IOAPIC_REDIR + <i32>((index - 0x10) << 2));
}

/** Writes IOREGSEL (offset 0) or IOWIN (10h). */
export function ioapicMmioWrite(offset: u32, size: u32, value: u32): void {
  const at = offset & 0xff;
  if (at == 0) store<u32>(CHIPSET_BASE, value & 0xff, IOAPIC_REGSEL);
  else if (at == 0x10 && size == 4) writeRegister(load<u32>(CHIPSET_BASE, IOAPIC_REGSEL), value);
}

function writeRegister(index: u32, value: u32): void {
  if (index == 0) {
    store<u32>(CHIPSET_BASE, value & 0x0f000000, IOAPIC_ID);
    return;
  }
  if (index < 0x10 || index >= <u32>(0x10 + 2 * IOAPIC_PINS)) return;
  const pin = <i32>(index - 0x10) >> 1;
  const at = entryOf(pin);
  if (index & 1) {
    store<u32>(at, value & 0xff000000, 4);
    return;
  }
  let entry = (value & REDIR_WRITABLE_LOW) | (load<u32>(at) & REDIR_REMOTE_IRR);
  // Making an entry edge-triggered ends what it had in service; drivers use that as an explicit EOI.
  if (!levelTriggered(entry)) entry &= ~REDIR_REMOTE_IRR;
  store<u32>(at, entry);
  service(pin);
}

/** Power-on state: every entry masked, the rest 0; the lines keep their levels. */
export function ioapicReset(): void {
  store<u32>(CHIPSET_BASE, 0, IOAPIC_REGSEL);
  store<u32>(CHIPSET_BASE, 0, IOAPIC_ID);
  for (let pin = 0; pin < IOAPIC_PINS; pin++) store<u64>(entryOf(pin), REDIR_MASKED);
}
