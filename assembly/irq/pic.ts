// The two 8259A interrupt controllers as a PC chipset wires them: the slave's INT on the master's IR2, edge or level
// triggering chosen by ELCR (ports 4D0h, 4D1h; ICW1's LTIM bit does nothing). Intel 8259A datasheet 231468; PIIX3
// datasheet for ELCR. 8086 mode only: ICW4's uPM and BUF bits are stored and ignored.
import { CHIPSET_BASE, EIP } from "../../spec/layout";
import {
  PICF_POLL,
  PICF_READ_ISR,
  PICF_ROTATE_AEOI,
  PICF_SPECIAL_MASK,
  PIC_ELCR,
  PIC_FLAGS,
  PIC_ICW1,
  PIC_ICW3,
  PIC_ICW4,
  PIC_IMR,
  PIC_INIT,
  PIC_IRR,
  PIC_ISR,
  PIC_LINES,
  PIC_LOWEST,
  PIC_MASTER,
  PIC_OUTPUT,
  PIC_SLAVE,
  PIC_VECTOR,
} from "../../spec/chipset";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { intrChanged } from "./pending";
import { traceIrq } from "./trace";

const MASTER = CHIPSET_BASE + PIC_MASTER;
const SLAVE = CHIPSET_BASE + PIC_SLAVE;
const CASCADE_INPUT = 2;

const ICW1_ICW4 = 0x01;
const ICW1_SINGLE = 0x02;
const ICW4_AUTO_EOI = 0x02;
const ICW4_SPECIAL_NESTED = 0x10;

/** Inputs whose triggering ELCR can change: not IRQ 0, 1, 2, 8 and 13, which are edge triggered on every PC. */
const ELCR_MASTER = 0xf8;
const ELCR_SLAVE = 0xde;

/** Position of an input in the current priority order: 0 is served first. */
// @ts-ignore: decorator
@inline
function rank(pic: i32, input: i32): i32 {
  return (input - <i32>load<u8>(pic, PIC_LOWEST) - 1) & 7;
}

/** The set bit of `bits` with the highest priority, or -1. */
function first(pic: i32, bits: i32): i32 {
  if (bits == 0) return -1;
  const start = load<u8>(pic, PIC_LOWEST) + 1;
  const rotated = ((bits | (bits << 8)) >> (start & 7)) & 0xff;
  return (ctz(rotated) + <i32>start) & 7;
}

/** The slave hangs on this input of the master (ICW3), unless the master was told that it is alone. */
// @ts-ignore: decorator
@inline
function cascadeBit(pic: i32): i32 {
  if (pic != MASTER || load<u8>(pic, PIC_ICW1) & ICW1_SINGLE) return 0;
  return <i32>load<u8>(pic, PIC_ICW3) & (1 << CASCADE_INPUT);
}

/** The input that INT is asserted for, or -1: unmasked requests against what is in service. */
function deliverable(pic: i32): i32 {
  const request = first(pic, <i32>load<u8>(pic, PIC_IRR) & ~(<i32>load<u8>(pic, PIC_IMR)));
  if (request < 0) return -1;
  let serving = <i32>load<u8>(pic, PIC_ISR);
  // Special mask mode: a level that is in service and masked no longer holds back the others.
  if (load<u8>(pic, PIC_FLAGS) & PICF_SPECIAL_MASK) serving &= ~(<i32>load<u8>(pic, PIC_IMR));
  const current = first(pic, serving);
  if (current < 0) return request;
  const ahead = rank(pic, request) - rank(pic, current);
  if (ahead < 0) return request;
  // Special fully nested mode: a slave in service may interrupt again, with one of its higher inputs.
  const nested = (load<u8>(pic, PIC_ICW4) & ICW4_SPECIAL_NESTED) != 0 && (cascadeBit(pic) & (1 << request)) != 0;
  return ahead == 0 && nested ? request : -1;
}

/** Drives one input: edge-triggered inputs latch a rising edge and forget it when the line falls before the INTA. */
function setInput(pic: i32, input: i32, level: bool): void {
  const bit = 1 << input;
  const lines = <i32>load<u8>(pic, PIC_LINES);
  let irr = <i32>load<u8>(pic, PIC_IRR);
  if (level) {
    if ((<i32>load<u8>(pic, PIC_ELCR) & bit) != 0 || (lines & bit) == 0) irr |= bit;
    store<u8>(pic, <u8>(lines | bit), PIC_LINES);
  } else {
    irr &= ~bit;
    store<u8>(pic, <u8>(lines & ~bit), PIC_LINES);
  }
  store<u8>(pic, <u8>irr, PIC_IRR);
}

/** Recomputes both INT pins and tells who listens to the master's. */
function update(): void {
  const slave = <u8>(deliverable(SLAVE) >= 0);
  if (slave != load<u8>(SLAVE, PIC_OUTPUT)) {
    store<u8>(SLAVE, slave, PIC_OUTPUT);
    setInput(MASTER, CASCADE_INPUT, slave != 0);
  }
  const master = <u8>(deliverable(MASTER) >= 0);
  if (master != load<u8>(MASTER, PIC_OUTPUT)) {
    store<u8>(MASTER, master, PIC_OUTPUT);
    intrChanged(master != 0);
  }
}

/** Drops an INT pin, as the first INTA pulse does; update() raises it again if there is more. */
function dropOutput(pic: i32): void {
  if (!load<u8>(pic, PIC_OUTPUT)) return;
  store<u8>(pic, 0, PIC_OUTPUT);
  if (pic == SLAVE) setInput(MASTER, CASCADE_INPUT, false);
  else intrChanged(false);
}

/** Interrupt acknowledge on one chip: moves a request into service. Returns the input, 7 when nothing is requested. */
function acknowledge(pic: i32): i32 {
  const input = deliverable(pic);
  dropOutput(pic);
  if (input < 0) return 7;
  const bit = 1 << input;
  if (!(<i32>load<u8>(pic, PIC_ELCR) & bit)) store<u8>(pic, <u8>(<i32>load<u8>(pic, PIC_IRR) & ~bit), PIC_IRR);
  if (load<u8>(pic, PIC_ICW4) & ICW4_AUTO_EOI) {
    if (load<u8>(pic, PIC_FLAGS) & PICF_ROTATE_AEOI) store<u8>(pic, <u8>input, PIC_LOWEST);
  } else {
    store<u8>(pic, <u8>(<i32>load<u8>(pic, PIC_ISR) | bit), PIC_ISR);
  }
  return input;
}

/** IRQ line 0..15; line 2 is the cascade and has no pin of its own. */
export function picSetIrq(line: u32, level: bool): void {
  if (line == CASCADE_INPUT || line > 15) return;
  setInput(line < 8 ? MASTER : SLAVE, <i32>line & 7, level);
  update();
}

/** The INTR signal to the processor. */
export function picOutput(): bool {
  return load<u8>(MASTER, PIC_OUTPUT) != 0;
}

/**
 * The processor's INTA cycle: returns the vector. With nothing requested any more it is the spurious one: IR7 of the
 * master, or of the slave (and then the master has its IR2 in service), without an in-service bit.
 */
export function picAcknowledge(vcpu: i32): i32 {
  const input = acknowledge(MASTER);
  let vector = <i32>load<u8>(MASTER, PIC_VECTOR) + input;
  let irq = input;
  if (input == CASCADE_INPUT && cascadeBit(MASTER)) {
    // Only a slave that was given the number of the cascade input answers; else nobody drives the bus.
    const answers = !(load<u8>(SLAVE, PIC_ICW1) & ICW1_SINGLE) && (load<u8>(SLAVE, PIC_ICW3) & 7) == CASCADE_INPUT;
    if (answers) irq = 8 + acknowledge(SLAVE);
    vector = answers ? <i32>load<u8>(SLAVE, PIC_VECTOR) + irq - 8 : 0xff;
  }
  traceIrq(IrqTrace.Take, vector, IrqSource.Pic | <u32>irq, load<u32>(vcpu, EIP));
  update();
  return vector;
}

function chipOf(port: u32): i32 {
  return port & 0x80 ? SLAVE : MASTER;
}

/** Reads 20h, 21h, A0h, A1h, 4D0h or 4D1h. */
export function picRead(port: u32): u32 {
  if (port >= 0x4d0) return <u32>load<u8>(port & 1 ? SLAVE : MASTER, PIC_ELCR);
  const pic = chipOf(port);
  const flags = <u32>load<u8>(pic, PIC_FLAGS);
  if (flags & PICF_POLL) {
    store<u8>(pic, <u8>(flags & ~PICF_POLL), PIC_FLAGS);
    return poll(pic);
  }
  if (port & 1) return <u32>load<u8>(pic, PIC_IMR);
  return <u32>(flags & PICF_READ_ISR ? load<u8>(pic, PIC_ISR) : load<u8>(pic, PIC_IRR));
}

/** A poll is an interrupt acknowledge whose answer is read: 80h | input, or 0 when nothing is requested. */
function poll(pic: i32): u32 {
  if (deliverable(pic) < 0) return 0;
  const input = acknowledge(pic);
  update();
  return 0x80 | <u32>input;
}

/** Writes 20h, 21h, A0h, A1h, 4D0h or 4D1h. */
export function picWrite(port: u32, value: u32): void {
  if (port >= 0x4d0) writeElcr(port & 1 ? SLAVE : MASTER, value);
  else if (port & 1) writeOdd(chipOf(port), value);
  else if (value & 0x10) writeIcw1(chipOf(port), value);
  else if (value & 0x08) writeOcw3(chipOf(port), value);
  else writeOcw2(chipOf(port), value);
  update();
}

function writeElcr(pic: i32, value: u32): void {
  const elcr = value & (pic == MASTER ? ELCR_MASTER : ELCR_SLAVE);
  const lines = <u32>load<u8>(pic, PIC_LINES);
  store<u8>(pic, <u8>elcr, PIC_ELCR);
  // The request of a level input is the line itself.
  store<u8>(pic, <u8>((<u32>load<u8>(pic, PIC_IRR) & ~elcr) | (lines & elcr)), PIC_IRR);
}

/** Begins an initialization: edge latches, mask and priorities are cleared, IRR is selected for reading. */
function writeIcw1(pic: i32, value: u32): void {
  store<u8>(pic, <u8>value, PIC_ICW1);
  store<u8>(pic, <u8>(<u32>load<u8>(pic, PIC_LINES) & <u32>load<u8>(pic, PIC_ELCR)), PIC_IRR);
  store<u8>(pic, 0, PIC_ISR);
  store<u8>(pic, 0, PIC_IMR);
  store<u8>(pic, 7, PIC_LOWEST);
  store<u8>(pic, 0, PIC_FLAGS);
  if (pic == SLAVE) store<u8>(pic, 7, PIC_ICW3);
  if (!(value & ICW1_ICW4)) store<u8>(pic, 0, PIC_ICW4);
  store<u8>(pic, 2, PIC_INIT);
}

/** ICW2, ICW3 and ICW4 in this order, the mask (OCW1) otherwise. */
function writeOdd(pic: i32, value: u32): void {
  const icw1 = <u32>load<u8>(pic, PIC_ICW1);
  const step = load<u8>(pic, PIC_INIT);
  if (step == 0) {
    store<u8>(pic, <u8>value, PIC_IMR);
  } else if (step == 2) {
    store<u8>(pic, <u8>(value & 0xf8), PIC_VECTOR);
    store<u8>(pic, icw1 & ICW1_SINGLE ? (icw1 & ICW1_ICW4 ? 4 : 0) : 3, PIC_INIT);
  } else if (step == 3) {
    store<u8>(pic, <u8>value, PIC_ICW3);
    store<u8>(pic, icw1 & ICW1_ICW4 ? 4 : 0, PIC_INIT);
  } else {
    store<u8>(pic, <u8>value, PIC_ICW4);
    store<u8>(pic, 0, PIC_INIT);
  }
}

/** OCW2: end of interrupt and rotation. R = 80h, SL = 40h, EOI = 20h. */
function writeOcw2(pic: i32, value: u32): void {
  const command = value >> 5;
  const level = <i32>value & 7;
  if (command == 0 || command == 4) {
    const flags = <u32>load<u8>(pic, PIC_FLAGS) & ~PICF_ROTATE_AEOI;
    store<u8>(pic, <u8>(command == 4 ? flags | PICF_ROTATE_AEOI : flags), PIC_FLAGS);
  } else if (command == 6) {
    store<u8>(pic, <u8>level, PIC_LOWEST);
  } else if (command != 2) {
    const input = command & 2 ? level : nonSpecific(pic);
    if (input < 0) return;
    traceIrq(IrqTrace.End, pic == SLAVE ? 8 + input : input, IrqSource.Pic, 0);
    store<u8>(pic, <u8>(<i32>load<u8>(pic, PIC_ISR) & ~(1 << input)), PIC_ISR);
    if (command & 4) store<u8>(pic, <u8>input, PIC_LOWEST);
  }
}

/** What a non-specific EOI ends: the highest level in service; in special mask mode masked ones are left alone. */
function nonSpecific(pic: i32): i32 {
  let serving = <i32>load<u8>(pic, PIC_ISR);
  if (load<u8>(pic, PIC_FLAGS) & PICF_SPECIAL_MASK) serving &= ~(<i32>load<u8>(pic, PIC_IMR));
  return first(pic, serving);
}

/** OCW3: special mask mode (ESMM = 40h, SMM = 20h), poll (04h), register to read (RR = 02h, RIS = 01h). */
function writeOcw3(pic: i32, value: u32): void {
  let flags = <u32>load<u8>(pic, PIC_FLAGS);
  if (value & 0x40) flags = value & 0x20 ? flags | PICF_SPECIAL_MASK : flags & ~PICF_SPECIAL_MASK;
  if (value & 0x02) flags = value & 0x01 ? flags | PICF_READ_ISR : flags & ~PICF_READ_ISR;
  flags = value & 0x04 ? flags | PICF_POLL : flags & ~PICF_POLL;
  store<u8>(pic, <u8>flags, PIC_FLAGS);
}

/** Power-on state: vectors 0, nothing masked or in service, cascaded as on a PC; the lines keep their levels. */
export function picReset(): void {
  resetChip(MASTER, 1 << CASCADE_INPUT);
  resetChip(SLAVE, CASCADE_INPUT);
  setInput(MASTER, CASCADE_INPUT, false);
  intrChanged(false);
  update();
}

function resetChip(pic: i32, icw3: i32): void {
  const lines = load<u8>(pic, PIC_LINES);
  memory.fill(pic, 0, PIC_OUTPUT + 1);
  store<u8>(pic, lines, PIC_LINES);
  store<u8>(pic, 7, PIC_LOWEST);
  store<u8>(pic, <u8>icw3, PIC_ICW3);
}
