// One picture of a screen, as a display adapter hands it over: enough to draw it, nothing of how the adapter keeps it.
// Colours are 32-bit words that lie in memory as red, green, blue, alpha.

/** Characters and attributes, with what their looks depend on. */
export interface TextFrame {
  readonly kind: "text";
  readonly columns: number;
  readonly rows: number;
  /** Row by row: character in the low byte, attribute in the high one. */
  readonly cells: Uint16Array;
  readonly cursor: TextCursor | undefined;
  /** Attribute bit 7 means blinking; else it is a bright background. */
  readonly blink: boolean;
  /** Dots of a character cell. */
  readonly cellWidth: 8 | 9;
  readonly cellHeight: number;
  /** In cells of nine dots: the ninth of C0h to DFh repeats the eighth, so that lines join. */
  readonly joinLines: boolean;
  /** Glyphs for attribute bit 3 clear and set: 256 of 32 bytes, a byte a row, the high bit at the left. */
  readonly fonts: readonly [Uint8Array, Uint8Array];
  /** The colours of the sixteen attributes. */
  readonly palette: Uint32Array;
}

export interface TextCursor {
  readonly column: number;
  readonly row: number;
  /** Rows of dots of the cell, from 0, both inclusive. */
  readonly firstLine: number;
  readonly lastLine: number;
}

/** Pixels in one of the adapter's formats. */
export interface PixelFrame {
  readonly kind: "pixels";
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  /** Without gaps between lines. */
  readonly pixels: Uint8Array;
  /** Format "indexed": the colour of each value. */
  readonly palette: Uint32Array;
}

/** Little-endian words: "rgb565" has red in its high bits, "bgr888" blue in its first byte. */
export type PixelFormat = "indexed" | "rgb555" | "rgb565" | "bgr888" | "bgrx8888";

export type Frame = TextFrame | PixelFrame;

/** Whether both look alike. */
export function sameFrame(a: Frame, b: Frame): boolean {
  if (a.kind === "text" && b.kind === "text") {
    return (
      a.columns === b.columns &&
      a.rows === b.rows &&
      a.cellWidth === b.cellWidth &&
      a.cellHeight === b.cellHeight &&
      a.blink === b.blink &&
      a.joinLines === b.joinLines &&
      sameCursor(a.cursor, b.cursor) &&
      sameItems(a.cells, b.cells) &&
      sameItems(a.palette, b.palette) &&
      sameItems(a.fonts[0], b.fonts[0]) &&
      sameItems(a.fonts[1], b.fonts[1])
    );
  }
  if (a.kind === "pixels" && b.kind === "pixels") {
    return (
      a.width === b.width &&
      a.height === b.height &&
      a.format === b.format &&
      sameItems(a.palette, b.palette) &&
      sameItems(a.pixels, b.pixels)
    );
  }
  return false;
}

function sameCursor(a: TextCursor | undefined, b: TextCursor | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.column === b.column && a.row === b.row && a.firstLine === b.firstLine && a.lastLine === b.lastLine;
}

function sameItems<T extends Uint8Array | Uint16Array | Uint32Array>(a: T, b: T): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** An opaque colour of 8-bit components. */
export function packColor(red: number, green: number, blue: number): number {
  return ((0xff << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
