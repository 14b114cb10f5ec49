// Text as a monitor shows it: glyphs, colours and the cursor, as pixels.
import type { TextFrame } from "./frame.ts";

const GLYPH_STRIDE = 32;
const FONT_SELECT = 0x08;
const BLINK = 0x80;
/** Line-drawing characters whose eighth dot is repeated as the ninth (IBM PS/2 Technical Reference, "Character generator"). */
const JOINED_FIRST = 0xc0;
const JOINED_LAST = 0xdf;

export function textSize({ columns, rows, cellWidth, cellHeight }: TextFrame): { width: number; height: number } {
  return { width: columns * cellWidth, height: rows * cellHeight };
}

/** Blinking characters and the cursor are drawn: the picture is of the moment at which they show. */
export function drawText(frame: TextFrame, into: Uint32Array): void {
  const { columns, rows, cells, cellHeight, cellWidth } = frame;
  const width = columns * cellWidth;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const cell = cells[row * columns + column] as number;
      drawCell(frame, cell, into, row * cellHeight * width + column * cellWidth, width);
    }
  }
  drawCursor(frame, into, width);
}

function drawCell(frame: TextFrame, cell: number, into: Uint32Array, origin: number, width: number): void {
  const character = cell & 0xff;
  const { foreground, background } = colorsOf(frame, cell);
  const font = frame.fonts[(cell >> 8) & FONT_SELECT ? 1 : 0];
  const joins = frame.joinLines && character >= JOINED_FIRST && character <= JOINED_LAST;
  for (let y = 0; y < frame.cellHeight; y++) {
    const dots = font[character * GLYPH_STRIDE + (y & (GLYPH_STRIDE - 1))] as number;
    const bits = (dots << 1) | (joins ? dots & 1 : 0);
    const at = origin + y * width;
    for (let x = 0; x < frame.cellWidth; x++) into[at + x] = (bits >> (8 - x)) & 1 ? foreground : background;
  }
}

function drawCursor(frame: TextFrame, into: Uint32Array, width: number): void {
  const { cursor, columns, cells, cellHeight, cellWidth } = frame;
  if (cursor === undefined) return;
  const { row, column, firstLine, lastLine } = cursor;
  const { foreground } = colorsOf(frame, cells[row * columns + column] as number);
  for (let y = firstLine; y <= lastLine && y < cellHeight; y++) {
    const at = (row * cellHeight + y) * width + column * cellWidth;
    into.fill(foreground, at, at + cellWidth);
  }
}

/** Colours of a cell: attribute numbers 0 to 15. */
export function attributeOf(
  frame: Pick<TextFrame, "blink">,
  cell: number,
): { ink: number; paper: number; blinks: boolean } {
  const attribute = cell >> 8;
  const blinks = frame.blink && (attribute & BLINK) !== 0;
  return { ink: attribute & 0x0f, paper: (attribute >> 4) & (frame.blink ? 0x07 : 0x0f), blinks };
}

function colorsOf(frame: TextFrame, cell: number): { foreground: number; background: number } {
  const { ink, paper } = attributeOf(frame, cell);
  return { foreground: frame.palette[ink] as number, background: frame.palette[paper] as number };
}
