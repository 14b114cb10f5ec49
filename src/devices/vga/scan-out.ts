// What the screen shows: from registers and video memory to a frame. The picture is that of one moment; effects within a
// frame (registers changed while the beam runs) are not drawn.
import { type Frame, type PixelFormat, type PixelFrame, packColor, type TextFrame } from "../../display/frame.ts";
import { DISPI_BPP, DISPI_X, DISPI_X_OFFSET, DISPI_Y, DISPI_Y_OFFSET, type Dispi } from "./dispi.ts";
import {
  AC_COLOR_SELECT,
  AC_MODE,
  AC_PANNING,
  AC_PLANE_ENABLE,
  CR_CURSOR_END,
  CR_CURSOR_HIGH,
  CR_CURSOR_LOW,
  CR_CURSOR_START,
  CR_HORIZONTAL_END,
  CR_LINE_COMPARE,
  CR_MAX_SCAN_LINE,
  CR_MODE,
  CR_OFFSET,
  CR_OVERFLOW,
  CR_START_HIGH,
  CR_START_LOW,
  CR_VERTICAL_END,
  GC_MISC,
  GC_MODE,
  SEQ_CHARACTER_MAP,
  SEQ_CLOCK,
  type VgaRegisters,
} from "./registers.ts";

const MISC_GRAPHICS = 0x01;
const SHIFT_CGA = 0x20;
const SHIFT_256 = 0x40;
const AC_JOIN_LINES = 0x04;
const AC_BLINK = 0x08;
const AC_PANNING_ABOVE = 0x20;
const AC_WIDE_PIXELS = 0x40;
const AC_SELECT_54 = 0x80;
const CRTC_MA13 = 0x01;
const CRTC_MA14 = 0x02;
const CRTC_BYTE_MODE = 0x40;
const CLOCK_8_DOTS = 0x01;
const CURSOR_OFF = 0x20;
const FONT_BYTES = 8192;
const FONT_PLANE = 2;
/** Where the eight fonts lie in plane 2, by character map number. */
const FONT_OFFSETS = [0x0000, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000] as const;
/** Words a plane has without banks; addresses of the CRT controller wrap there. */
const PLANE_MASK = 0xffff;

export function scanOut(registers: VgaRegisters, dispi: Dispi, memory: Uint8Array, words: Uint32Array): Frame {
  if (dispi.enabled && dispi.get(DISPI_BPP) > 4) return linearFrame(registers, dispi, memory);
  if (dispi.enabled) return planarFrame(registers, words, dispiRaster(dispi));
  const graphics = ((registers.graphics[GC_MISC] as number) & MISC_GRAPHICS) !== 0;
  return graphics ? planarFrame(registers, words, crtcRaster(registers)) : textFrame(registers, words);
}

// ---- colours

/** The palette of the DAC as it shows: 6-bit components fill eight bits. */
function dacColors({ dac, pelMask, wideDac, shown }: VgaRegisters): Uint32Array {
  const widen = wideDac ? (v: number) => v : (v: number) => (v << 2) | (v >> 4);
  return Uint32Array.from({ length: 256 }, (_, index) => {
    if (!shown) return packColor(0, 0, 0);
    const at = (index & pelMask) * 3;
    return packColor(widen(dac[at] as number), widen(dac[at + 1] as number), widen(dac[at + 2] as number));
  });
}

/** The colours of the sixteen values that planes and attributes have, through the attribute controller's palette. */
function attributeColors(registers: VgaRegisters): Uint32Array {
  const colors = dacColors(registers);
  const { attribute } = registers;
  const select = attribute[AC_COLOR_SELECT] as number;
  const replace54 = ((attribute[AC_MODE] as number) & AC_SELECT_54) !== 0;
  return Uint32Array.from({ length: 16 }, (_, value) => {
    const entry = attribute[value & (attribute[AC_PLANE_ENABLE] as number)] as number;
    const low = replace54 ? (entry & 0x0f) | ((select & 3) << 4) : entry;
    return colors[low | ((select & 0x0c) << 4)] as number;
  });
}

// ---- text

function textFrame(registers: VgaRegisters, words: Uint32Array): TextFrame {
  const { crtc, attribute, sequencer, shown } = registers;
  const cellHeight = ((crtc[CR_MAX_SCAN_LINE] as number) & 0x1f) + 1;
  const doubled = (crtc[CR_MAX_SCAN_LINE] as number) >> 7;
  const columns = (crtc[CR_HORIZONTAL_END] as number) + 1;
  const lines = registers.vertical(CR_VERTICAL_END, 1, 6) + 1;
  const rows = Math.max(1, Math.floor(lines / (cellHeight << doubled)));
  const pitch = (crtc[CR_OFFSET] as number) * 2;
  const start = startAddress(registers);
  const rowAddress = (row: number): number => {
    const split = row * (cellHeight << doubled) - lineCompare(registers) - 1;
    return split < 0 ? start + row * pitch : Math.floor(split / (cellHeight << doubled)) * pitch;
  };
  const cells = new Uint16Array(columns * rows);
  for (let row = 0; row < rows && shown; row++) {
    const from = rowAddress(row);
    for (let column = 0; column < columns; column++)
      cells[row * columns + column] = (words[(from + column) & PLANE_MASK] as number) & 0xffff;
  }
  const map = sequencer[SEQ_CHARACTER_MAP] as number;
  const mode = attribute[AC_MODE] as number;
  return {
    kind: "text",
    columns,
    rows,
    cells,
    cursor: shown ? textCursor(registers, start, pitch, columns, rows) : undefined,
    blink: (mode & AC_BLINK) !== 0,
    cellWidth: (sequencer[SEQ_CLOCK] as number) & CLOCK_8_DOTS ? 8 : 9,
    cellHeight,
    joinLines: (mode & AC_JOIN_LINES) !== 0,
    // Map B is for attribute bit 3 clear.
    fonts: [fontOf(words, (map & 3) | ((map >> 2) & 4)), fontOf(words, ((map >> 2) & 3) | ((map >> 3) & 4))],
    palette: attributeColors(registers),
  };
}

function textCursor(registers: VgaRegisters, start: number, pitch: number, columns: number, rows: number) {
  const { crtc } = registers;
  const first = crtc[CR_CURSOR_START] as number;
  const lastLine = (crtc[CR_CURSOR_END] as number) & 0x1f;
  const place = (((crtc[CR_CURSOR_HIGH] as number) << 8) | (crtc[CR_CURSOR_LOW] as number)) - start;
  if (first & CURSOR_OFF || (first & 0x1f) > lastLine || pitch === 0 || place < 0) return undefined;
  const row = Math.floor(place / pitch);
  const column = place % pitch;
  return row < rows && column < columns ? { column, row, firstLine: first & 0x1f, lastLine } : undefined;
}

function fontOf(words: Uint32Array, map: number): Uint8Array {
  const from = FONT_OFFSETS[map] as number;
  const font = new Uint8Array(FONT_BYTES);
  for (let i = 0; i < FONT_BYTES; i++) font[i] = (words[from + i] as number) >>> (8 * FONT_PLANE);
  return font;
}

// ---- planes to pixels

/** How lines of pixels lie in the planes. */
interface Raster {
  /** Characters of eight or, with wide pixels, four pixels. */
  readonly characters: number;
  readonly height: number;
  /** Word at which a line begins, before wrapping, and the dots it is moved to the left. */
  line(y: number): { readonly word: number; readonly panning: number };
  readonly wordMask: number;
}

function startAddress({ crtc }: VgaRegisters): number {
  return ((crtc[CR_START_HIGH] as number) << 8) | (crtc[CR_START_LOW] as number);
}

/** The last scan line before the screen starts again at address 0. */
function lineCompare({ crtc }: VgaRegisters): number {
  const bit8 = ((crtc[CR_OVERFLOW] as number) >> 4) & 1;
  const bit9 = ((crtc[CR_MAX_SCAN_LINE] as number) >> 6) & 1;
  return (crtc[CR_LINE_COMPARE] as number) | (bit8 << 8) | (bit9 << 9);
}

function crtcRaster(registers: VgaRegisters): Raster {
  const { crtc, attribute } = registers;
  const maxScan = crtc[CR_MAX_SCAN_LINE] as number;
  const doubled = maxScan >> 7;
  const rowLines = (maxScan & 0x1f) + 1;
  const mode = crtc[CR_MODE] as number;
  // Where row scans are part of the address each of them is a line of its own, else they repeat one.
  const substituted = (mode & (CRTC_MA13 | CRTC_MA14)) !== (CRTC_MA13 | CRTC_MA14);
  const repeat = substituted ? 1 << doubled : rowLines << doubled;
  const lines = registers.vertical(CR_VERTICAL_END, 1, 6) + 1;
  const pitch = (crtc[CR_OFFSET] as number) * 2;
  const start = startAddress(registers);
  const compare = lineCompare(registers);
  const bit13 = mode & CRTC_BYTE_MODE ? 13 : 12;
  const panning = attribute[AC_PANNING] as number;
  const panningBelow = (attribute[AC_MODE] as number) & AC_PANNING_ABOVE ? 0 : panning;
  return {
    characters: (crtc[CR_HORIZONTAL_END] as number) + 1,
    height: Math.max(1, Math.floor(lines / repeat)),
    wordMask: PLANE_MASK,
    line: (y) => {
      const split = y * repeat - compare - 1;
      const scan = split < 0 ? y * repeat : split;
      let word = (split < 0 ? start : 0) + Math.floor(scan / (rowLines << doubled)) * pitch;
      const rowScan = (scan >> doubled) % rowLines;
      if (!(mode & CRTC_MA13)) word = (word & ~(1 << bit13)) | ((rowScan & 1) << bit13);
      if (!(mode & CRTC_MA14)) word = (word & ~(2 << bit13)) | (((rowScan >> 1) & 1) << (bit13 + 1));
      return { word, panning: split < 0 ? panning : panningBelow };
    },
  };
}

function dispiRaster(dispi: Dispi): Raster {
  const x = dispi.get(DISPI_X_OFFSET);
  const pitch = dispi.lineBytes >> 2;
  return {
    characters: dispi.get(DISPI_X) >> 3,
    height: dispi.get(DISPI_Y),
    wordMask: 0xffffffff,
    line: (y) => ({ word: (dispi.get(DISPI_Y_OFFSET) + y) * pitch + (x >> 3), panning: x & 7 }),
  };
}

function planarFrame(registers: VgaRegisters, words: Uint32Array, raster: Raster): PixelFrame {
  const shift = registers.graphics[GC_MODE] as number;
  if (shift & SHIFT_256) {
    // With pixels of two dots a character clock of eight dots shows the four bytes of a word.
    const wide = ((registers.attribute[AC_MODE] as number) & AC_WIDE_PIXELS) !== 0;
    const pixels = chunky(raster, words, wide ? 1 : 2, 4, (word, i) => (word >>> (8 * i)) & 0xff, 1);
    return { ...pixels, palette: dacColors(registers) };
  }
  const pixels = chunky(raster, words, 1, 8, shift & SHIFT_CGA ? cgaPixel : planarPixel, 0);
  return { ...pixels, palette: paddedTo256(attributeColors(registers)) };
}

const planarPixel = (word: number, i: number): number => {
  const bits = word >>> (7 - i);
  return (bits & 1) | ((bits >>> 7) & 2) | ((bits >>> 14) & 4) | ((bits >>> 21) & 8);
};

/** Two bits of plane 0, then of plane 1; planes 2 and 3 give the upper two. */
const cgaPixel = (word: number, i: number): number => {
  const bits = word >>> ((i & 4) * 2 + (3 - (i & 3)) * 2);
  return (bits & 3) | ((bits >>> 14) & 0x0c);
};

/** One byte a pixel. `perWord` pixels come of each word; a character has `wordsPerCharacter` of them. */
function chunky(
  raster: Raster,
  words: Uint32Array,
  wordsPerCharacter: number,
  perWord: number,
  pixelOf: (word: number, i: number) => number,
  panningShift: number,
): Omit<PixelFrame, "palette"> {
  const { height, wordMask } = raster;
  const wordsOfLine = raster.characters * wordsPerCharacter;
  const width = wordsOfLine * perWord;
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const { word, panning } = raster.line(y);
    let x = -Math.min((panning & 7) >> panningShift, perWord - 1);
    for (let n = word; x < width; n++) {
      const value = words[(n & wordMask) >>> 0] ?? 0;
      for (let i = 0; i < perWord; i++, x++) if (x >= 0 && x < width) pixels[y * width + x] = pixelOf(value, i);
    }
  }
  return { kind: "pixels", width, height, format: "indexed", pixels };
}

function paddedTo256(colors: Uint32Array): Uint32Array {
  const all = new Uint32Array(256);
  all.set(colors);
  return all;
}

// ---- linear modes

const FORMATS: Readonly<Record<number, { format: PixelFormat; bytes: number }>> = {
  8: { format: "indexed", bytes: 1 },
  15: { format: "rgb555", bytes: 2 },
  16: { format: "rgb565", bytes: 2 },
  24: { format: "bgr888", bytes: 3 },
  32: { format: "bgrx8888", bytes: 4 },
};

function linearFrame(registers: VgaRegisters, dispi: Dispi, memory: Uint8Array): PixelFrame {
  const { format, bytes } = FORMATS[dispi.get(DISPI_BPP)] as { format: PixelFormat; bytes: number };
  const width = dispi.get(DISPI_X);
  const height = dispi.get(DISPI_Y);
  const lineBytes = width * bytes;
  const pixels = new Uint8Array(lineBytes * height);
  for (let y = 0; y < height && registers.shown; y++) {
    const from = (dispi.get(DISPI_Y_OFFSET) + y) * dispi.lineBytes + dispi.get(DISPI_X_OFFSET) * bytes;
    pixels.set(memory.subarray(from, from + lineBytes), y * lineBytes);
  }
  return { kind: "pixels", width, height, format, pixels, palette: dacColors(registers) };
}
