// A screen as what a terminal is told to show it: ECMA-48 control sequences, only for what has changed.
import type { GraphicsScreen, Screen, TextScreen } from "./screen.ts";

const ESC = "\u001b[";
/** IBM's colour numbers have blue in bit 0 and red in bit 2, ECMA-48's the other way round. */
const ANSI_COLOR = [0, 4, 2, 6, 1, 5, 3, 7] as const;
const HALF_BLOCK = "▀";

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export class AnsiScreen {
  /** What the terminal shows, one string a cell: its colours and its character. */
  #shown: string[] = [];
  #columns = 0;

  /** Before the first `update`: the terminal's alternate screen, cleared. */
  static readonly ENTER = `${ESC}?1049h${ESC}0m${ESC}2J`;
  /** After the last: everything as it was. */
  static readonly LEAVE = `${ESC}0m${ESC}?25h${ESC}?1049l`;

  /** What to send so that the terminal shows this screen; what does not fit at the right and below is left out. */
  update(screen: Screen, size: TerminalSize): string {
    const cells = screen.kind === "text" ? textCells(screen, size) : pictureCells(screen, size);
    let out = `${ESC}?25l`;
    if (cells.columns !== this.#columns || cells.items.length !== this.#shown.length) {
      out += `${ESC}0m${ESC}2J`;
      this.#shown = [];
      this.#columns = cells.columns;
    }
    let colors = "";
    let next = -1;
    cells.items.forEach(({ style, character }, i) => {
      const shown = style + character;
      if (this.#shown[i] === shown) return;
      this.#shown[i] = shown;
      const column = i % cells.columns;
      if (i !== next || column === 0) out += `${ESC}${Math.floor(i / cells.columns) + 1};${column + 1}H`;
      if (style !== colors) out += style;
      colors = style;
      next = i + 1;
      out += character;
    });
    return out + cursorSequence(screen, size);
  }

  /** The terminal shows something else now: the next update draws everything. */
  forget(): void {
    this.#shown = [];
    this.#columns = 0;
  }
}

interface Cells {
  readonly columns: number;
  readonly items: readonly { readonly style: string; readonly character: string }[];
}

function textCells(screen: TextScreen, size: TerminalSize): Cells {
  const columns = Math.min(screen.columns, size.columns);
  const rows = Math.min(screen.rows, size.rows);
  const items = Array.from({ length: columns * rows }, (_, i) => {
    const { character, foreground, background, blinks } = screen.cell(i % columns, Math.floor(i / columns));
    const ink = (foreground < 8 ? 30 : 90) + (ANSI_COLOR[foreground & 7] as number);
    const paper = (background < 8 ? 40 : 100) + (ANSI_COLOR[background & 7] as number);
    return { style: `${ESC}0;${blinks ? "5;" : ""}${ink};${paper}m`, character };
  });
  return { columns, items };
}

/** Graphics by half blocks: each cell is two pixels, one above the other, of the picture made smaller. */
function pictureCells(screen: GraphicsScreen, size: TerminalSize): Cells {
  const { width, height } = screen;
  const rgba = screen.rgba();
  const scale = Math.max(1, width / size.columns, height / (size.rows * 2));
  const columns = Math.max(1, Math.min(size.columns, Math.floor(width / scale)));
  const rows = Math.max(1, Math.min(size.rows, Math.floor(height / scale / 2)));
  const color = (column: number, halfRow: number): string => {
    const x = Math.min(width - 1, Math.floor((column + 0.5) * scale));
    const y = Math.min(height - 1, Math.floor((halfRow + 0.5) * scale));
    const at = (y * width + x) * 4;
    return `${rgba[at]};${rgba[at + 1]};${rgba[at + 2]}`;
  };
  const items = Array.from({ length: columns * rows }, (_, i) => {
    const column = i % columns;
    const row = Math.floor(i / columns) * 2;
    return { style: `${ESC}0;38;2;${color(column, row)};48;2;${color(column, row + 1)}m`, character: HALF_BLOCK };
  });
  return { columns, items };
}

function cursorSequence(screen: Screen, size: TerminalSize): string {
  const cursor = screen.kind === "text" ? screen.cursor : undefined;
  if (cursor === undefined || cursor.column >= size.columns || cursor.row >= size.rows) return "";
  return `${ESC}${cursor.row + 1};${cursor.column + 1}H${ESC}?25h`;
}
