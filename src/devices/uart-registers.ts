// Registers of the 16550 and their bits (National PC16550D datasheet, section 8).

// ---- registers (offset from the base port; DLL and DLM while LCR.DLAB is set)
export const RBR_THR = 0;
export const IER = 1;
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCR = 7;

export const IER_RDA = 0x01;
export const IER_THRE = 0x02;
export const IER_RLS = 0x04;
export const IER_MSI = 0x08;
export const IIR_NONE = 0x01;
export const IIR_MSI = 0x00;
export const IIR_THRE = 0x02;
export const IIR_RDA = 0x04;
export const IIR_RLS = 0x06;
export const IIR_TIMEOUT = 0x0c;
export const IIR_FIFO = 0xc0;
export const FCR_ENABLE = 0x01;
export const FCR_CLEAR_RX = 0x02;
export const FCR_CLEAR_TX = 0x04;
export const LCR_BREAK = 0x40;
export const LCR_DLAB = 0x80;
export const MCR_DTR = 0x01;
export const MCR_RTS = 0x02;
export const MCR_OUT1 = 0x04;
export const MCR_OUT2 = 0x08;
export const MCR_LOOP = 0x10;
export const MCR_BITS = 0x1f;
export const LSR_DR = 0x01;
export const LSR_OE = 0x02;
export const LSR_PE = 0x04;
export const LSR_FE = 0x08;
export const LSR_BI = 0x10;
export const LSR_THRE = 0x20;
export const LSR_TEMT = 0x40;
export const LSR_FIFO_ERROR = 0x80;
export const MSR_DCTS = 0x01;
export const MSR_DDSR = 0x02;
export const MSR_TERI = 0x04;
export const MSR_DDCD = 0x08;
export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;

/** Characters that either FIFO holds. */
export const FIFO_DEPTH = 16;

/** MSR's lines in loopback, where MCR's four outputs are the inputs: RTS->CTS, DTR->DSR, OUT1->RI, OUT2->DCD. */
export function loopbackLines(mcr: number): number {
  let lines = 0;
  if (mcr & MCR_RTS) lines |= MSR_CTS;
  if (mcr & MCR_DTR) lines |= MSR_DSR;
  if (mcr & MCR_OUT1) lines |= MSR_RI;
  if (mcr & MCR_OUT2) lines |= MSR_DCD;
  return lines;
}

/** MSR once the lines are these: what has changed adds to the delta bits that nobody has read. */
export function modemStatus(msr: number, lines: number): number {
  const changed = (lines ^ msr) & 0xf0;
  let delta = msr & 0x0f;
  if (changed & MSR_CTS) delta |= MSR_DCTS;
  if (changed & MSR_DSR) delta |= MSR_DDSR;
  if (changed & MSR_DCD) delta |= MSR_DDCD;
  // Ring is reported at its trailing edge only.
  if (changed & MSR_RI && !(lines & MSR_RI)) delta |= MSR_TERI;
  return lines | delta;
}
