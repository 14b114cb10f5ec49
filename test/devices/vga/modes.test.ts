import { describe, expect, it } from "vitest";
import { drawn, drawnByQemu, haveTools, type Pixels } from "./modes.ts";

const TEXT_40 = 0x01;
const BITS_15 = 0x4110;
/** What the mode is, what modes.asm calls it, and the size of our picture of it. */
const MODES: readonly [title: string, mode: number, width: number, height: number][] = [
  ["text 40x25", TEXT_40, 360, 400],
  ["text 80x25", 0x03, 720, 400],
  ["text 80x50", 0x103, 720, 400],
  ["monochrome text", 0x07, 720, 400],
  ["CGA, four colours", 0x04, 320, 200],
  ["CGA, two colours", 0x06, 640, 200],
  ["320x200 planes", 0x0d, 320, 200],
  ["640x350 planes", 0x10, 640, 350],
  ["640x480, two colours", 0x11, 640, 480],
  ["640x480 planes", 0x12, 640, 480],
  ["320x200, 256 colours", 0x13, 320, 200],
  ["unchained, scrolled, split, with a palette", 0x113, 320, 200],
  ["VBE 640x480, 8 bits, in banks", 0x8101, 640, 480],
  ["VBE 800x600, 8 bits, linear", 0x4103, 800, 600],
  ["VBE 640x480, 15 bits", BITS_15, 640, 480],
  ["VBE 640x480, 16 bits, from line 20 on", 0x6111, 640, 480],
  ["VBE 640x480, 24 bits", 0x4112, 640, 480],
  ["VBE 640x480, 32 bits", 0x4142, 640, 480],
  ["VBE 320x200, 32 bits, in banks", 0x8140, 320, 200],
];

describe.skipIf(!(await haveTools()))("a mode set by the VGA BIOS shows what QEMU shows, pixel for pixel", () => {
  it.each(MODES)("%s", async (_title, mode, width, height) => {
    const coming = drawnByQemu(mode);
    coming.catch(() => {});
    await using vm = await drawn(mode);
    const screen = vm.screen();
    const ours: Pixels = { width: screen.width, height: screen.height, bytes: screen.rgba(), bytesAPixel: 4 };
    expect({ width: ours.width, height: ours.height }).toEqual({ width, height });
    const theirs = await coming;
    // Neither may be empty: two black screens would agree.
    expect(new Set(theirs.bytes).size).toBeGreaterThan(1);
    expect(firstDifference(ours, theirs, mode)).toBeUndefined();
  });
});

/**
 * QEMU doubles pixels and lines where the monitor would; of cells of nine dots that are doubled it draws eight. It widens
 * the DAC's six bits, and five of a pixel, to eight in another way: those must be equal.
 */
function firstDifference(ours: Pixels, theirs: Pixels, mode: number): string | undefined {
  const cellWidth = mode === TEXT_40 ? 9 : undefined;
  const shift = mode === BITS_15 ? 3 : 2;
  const [scaleX, scaleY] = [theirs.width / ours.width, theirs.height / ours.height];
  if (cellWidth === undefined && !(Number.isInteger(scaleX) && Number.isInteger(scaleY)))
    return `QEMU shows ${theirs.width}x${theirs.height}`;
  for (let y = 0; y < theirs.height; y++) {
    for (let x = 0; x < theirs.width; x++) {
      const from = cellWidth === undefined ? Math.floor(x / scaleX) : (x >> 4) * cellWidth + ((x & 15) >> 1);
      const [a, b] = [colorAt(ours, from, Math.floor(y / scaleY), shift), colorAt(theirs, x, y, shift)];
      if (a !== b) return `${x}, ${y}: ${a.toString(8)} here, ${b.toString(8)} in QEMU`;
    }
  }
  return undefined;
}

function colorAt({ width, bytes, bytesAPixel }: Pixels, x: number, y: number, shift: number): number {
  const at = (y * width + x) * bytesAPixel;
  const component = (i: number): number => (bytes[at + i] as number) >> shift;
  return (component(0) << 12) | (component(1) << 6) | component(2);
}
