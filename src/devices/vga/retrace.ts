// Where the beam is: input status 1 from the clock and the CRT controller's timing, so that a guest which waits for a
// retrace waits as long as it would at a real screen.
import {
  CR_HORIZONTAL_END,
  CR_HORIZONTAL_TOTAL,
  CR_RETRACE_END,
  CR_RETRACE_START,
  CR_VERTICAL_END,
  CR_VERTICAL_TOTAL,
  SEQ_CLOCK,
  type VgaRegisters,
} from "./registers.ts";

/** No pixels are shown: horizontal or vertical blanking. */
const STATUS_BLANK = 0x01;
const STATUS_VERTICAL_RETRACE = 0x08;
/** Nanoseconds a dot of the two crystals, 25.175 and 28.322 MHz. */
const DOT_NS = [1e3 / 25.175, 1e3 / 28.322] as const;
const CLOCK_8_DOTS = 0x01;
const CLOCK_HALF = 0x08;

/** Input status 1 at a time of the guest's clock. */
export function inputStatus1(registers: VgaRegisters, nowNs: number): number {
  const { crtc, sequencer, misc } = registers;
  const clock = sequencer[SEQ_CLOCK] as number;
  const dots = (clock & CLOCK_8_DOTS ? 8 : 9) * (clock & CLOCK_HALF ? 2 : 1);
  const characterNs = dots * (DOT_NS[(misc >> 2) & 1] as number);
  const lineCharacters = (crtc[CR_HORIZONTAL_TOTAL] as number) + 5;
  const lines = registers.vertical(CR_VERTICAL_TOTAL, 0, 5) + 2;
  const lineNs = lineCharacters * characterNs;
  const inFrame = nowNs % (lines * lineNs);
  const line = Math.floor(inFrame / lineNs);
  const character = (inFrame - line * lineNs) / characterNs;
  const blank = line > registers.vertical(CR_VERTICAL_END, 1, 6) || character > (crtc[CR_HORIZONTAL_END] as number) + 1;
  // The end is a comparison of the low four bits.
  const start = registers.vertical(CR_RETRACE_START, 2, 7);
  const retraceLines = ((crtc[CR_RETRACE_END] as number) - start) & 0x0f || 16;
  const retrace = line >= start && line < start + retraceLines;
  return (blank ? STATUS_BLANK : 0) | (retrace ? STATUS_VERTICAL_RETRACE : 0);
}
