// A picture of a screen as users of the library get it: of one moment, and theirs to keep.
import { CP437 } from "./cp437.ts";
import type { Frame, PixelFrame, TextFrame } from "./frame.ts";
import { drawPixels } from "./pixels.ts";
import { attributeOf, drawText, textSize } from "./text-image.ts";

interface Picture {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** What it is drawn from: plain data. @internal */
  readonly frame: Frame;
  /** width * height pixels of four bytes, as ImageData of a canvas wants them. */
  rgba(): Uint8ClampedArray;
}

export interface TextCell {
  /** In Unicode. */
  readonly character: string;
  /** In the PC's code page 437. */
  readonly code: number;
  /** 0 to 15, in IBM's order: 1 is blue, 4 red, 8 dark grey. */
  readonly foreground: number;
  readonly background: number;
  readonly blinks: boolean;
}

export interface TextScreen extends Picture {
  readonly kind: "text";
  readonly columns: number;
  readonly rows: number;
  /** Where the cursor is, counted from 0; undefined while it is hidden. */
  readonly cursor: { readonly column: number; readonly row: number } | undefined;
  /** Throws RangeError outside the screen. */
  cell(column: number, row: number): TextCell;
  /** The rows as text, without spaces at their ends. */
  lines(): string[];
}

export interface GraphicsScreen extends Picture {
  readonly kind: "graphics";
}

export type Screen = TextScreen | GraphicsScreen;

export function screenOf(frame: Frame): Screen {
  return frame.kind === "text" ? textScreen(frame) : graphicsScreen(frame);
}

/** Whether a line of a text screen, or all of them joined by "\n", match. Pictures show no text. */
export function screenShows(screen: Screen, pattern: RegExp): boolean {
  if (screen.kind !== "text") return false;
  const lines = screen.lines();
  return lines.some((line) => pattern.test(line)) || pattern.test(lines.join("\n"));
}

function textScreen(frame: TextFrame): TextScreen {
  const { columns, rows, cells, cursor } = frame;
  const size = textSize(frame);
  return {
    kind: "text",
    frame,
    ...size,
    columns,
    rows,
    cursor: cursor && { column: cursor.column, row: cursor.row },
    cell: (column, row) => {
      const cell = column < 0 || column >= columns ? undefined : cells[row * columns + column];
      if (cell === undefined) throw new RangeError(`The screen has no cell ${column}, ${row}.`);
      const { ink, paper, blinks } = attributeOf(frame, cell);
      const code = cell & 0xff;
      return { character: CP437[code] as string, code, foreground: ink, background: paper, blinks };
    },
    lines: () =>
      Array.from({ length: rows }, (_, row) =>
        Array.from(cells.subarray(row * columns, (row + 1) * columns), (cell) => CP437[cell & 0xff])
          .join("")
          .trimEnd(),
      ),
    rgba: () => picture(size.width * size.height, (into) => drawText(frame, into)),
  };
}

function graphicsScreen(frame: PixelFrame): GraphicsScreen {
  const { width, height } = frame;
  return {
    kind: "graphics",
    frame,
    width,
    height,
    rgba: () => picture(width * height, (into) => drawPixels(frame, into)),
  };
}

function picture(count: number, draw: (into: Uint32Array) => void): Uint8ClampedArray {
  const words = new Uint32Array(count);
  draw(words);
  return new Uint8ClampedArray(words.buffer);
}
