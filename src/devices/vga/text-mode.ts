// Text mode 3 as a VGA BIOS leaves it (80 columns, 25 rows, 9 by 16 dots), for guests that start without firmware.
import type { VgaRegisters } from "./registers.ts";

export const TEXT_COLUMNS = 80;
export const TEXT_ROWS = 25;
export const TEXT_CELL_HEIGHT = 16;
const GLYPHS = 256;
const FONT_STRIDE = 32;
/** Words that mode 3 uses: 32 KiB of characters and attributes, and a font beside them. */
const TEXT_WORDS = 0x4000;
export const TEXT_MEMORY_BYTES = TEXT_WORDS * 4;
const FONT_PLANE_SHIFT = 16;
/** Light grey on black. */
const BLANK_CELL = 0x0720;

// ---- the register values of mode 3 (IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Mode tables")
const MISC = 0x67;
const SEQUENCER = [0x03, 0x00, 0x03, 0x00, 0x02];
// biome-ignore format: a table
const CRTC = [
  0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
  0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
const GRAPHICS = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff];
// biome-ignore format: a table
const ATTRIBUTE = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
  0x0c, 0x00, 0x0f, 0x08, 0x00,
];
const DAC_COLORS = 64;
/** Of a colour number's six bits rgbRGB: two thirds for the capital, one third for the small one. */
const STRONG = 0x2a;
const WEAK = 0x15;

/** Programs the registers as software does, through their ports. */
export function enterTextMode(registers: VgaRegisters): void {
  const write = (indexPort: number, index: number, value: number): void => {
    registers.write(indexPort, index);
    registers.write(indexPort + 1, value);
  };
  registers.write(0x3c2, MISC);
  for (const [index, value] of SEQUENCER.entries()) write(0x3c4, index, value);
  // Unlocks registers 0 to 7.
  write(0x3d4, 0x11, 0);
  for (const [index, value] of CRTC.entries()) write(0x3d4, index, value);
  for (const [index, value] of GRAPHICS.entries()) write(0x3ce, index, value);
  registers.read(0x3da);
  for (const [index, value] of ATTRIBUTE.entries()) {
    registers.write(0x3c0, index);
    registers.write(0x3c0, value);
  }
  registers.write(0x3c0, 0x20);
  registers.write(0x3c6, 0xff);
  registers.write(0x3c8, 0);
  for (let color = 0; color < DAC_COLORS; color++) {
    for (const bit of [2, 1, 0])
      registers.write(0x3c9, ((color >> bit) & 1) * STRONG + ((color >> (bit + 3)) & 1) * WEAK);
  }
}

/** Blank cells, and the font where there is one. `words` are the planes. */
export function fillTextMemory(words: Uint32Array, font: Uint8Array | undefined): void {
  words.fill(BLANK_CELL, 0, TEXT_WORDS);
  if (font === undefined) return;
  for (let glyph = 0; glyph < GLYPHS; glyph++) {
    for (let row = 0; row < TEXT_CELL_HEIGHT; row++) {
      const at = glyph * FONT_STRIDE + row;
      const dots = font[glyph * TEXT_CELL_HEIGHT + row] as number;
      words[at] = ((words[at] as number) & 0xffff) | (dots << FONT_PLANE_SHIFT);
    }
  }
}

/** The first two glyphs of the 8x16 font that every VGA BIOS has: nothing, and a face. */
// biome-ignore format: a picture
const FONT_START = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e, 0, 0, 0, 0,
];

/** The 8x16 font in a VGA BIOS image, 16 bytes a glyph; undefined where none is found. */
export function fontOfBios(image: Uint8Array): Uint8Array | undefined {
  const size = GLYPHS * TEXT_CELL_HEIGHT;
  for (let at = 0; at + size <= image.length; at++) {
    if (FONT_START.every((byte, i) => image[at + i] === byte)) return image.slice(at, at + size);
  }
  return undefined;
}
