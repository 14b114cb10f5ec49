import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { AnsiScreen } from "../../src/display/ansi.ts";
import type { PixelFrame } from "../../src/display/frame.ts";
import { encodePng } from "../../src/display/png.ts";
import { type GraphicsScreen, screenOf, screenShows } from "../../src/display/screen.ts";
import { deflate as deflateOfNode } from "../../src/platform/node/deflate.ts";
import { deflate as deflateOfWeb } from "../../src/platform/web/deflate.ts";
import { textScreen } from "../cli/fake-machine.ts";

const palette = Uint32Array.from({ length: 256 }, (_, i) => 0xff000000 + i * 0x010203);

function picture(width: number, height: number): GraphicsScreen {
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => (i * 7) ^ (i >> 5));
  const frame: PixelFrame = { kind: "pixels", width, height, format: "indexed", pixels, palette };
  return screenOf(frame) as GraphicsScreen;
}

/** A terminal that knows what is sent to it: absolute positions, colours, cursor, clearing. */
class Terminal {
  cells: string[][] = [];
  cursor: string | undefined;
  alternate = false;
  #row = 0;
  #column = 0;

  constructor(
    readonly columns: number,
    readonly rows: number,
  ) {
    this.#clear();
  }
  #clear(): void {
    this.cells = Array.from({ length: this.rows }, () => new Array<string>(this.columns).fill(" "));
  }
  write(text: string): void {
    for (const [, parameters = "", final = "", character] of text.matchAll(/\x1b\[([?\d;]*)([A-Za-z])|(.)/gsu)) {
      if (character !== undefined) {
        const row = this.cells[this.#row];
        if (row === undefined || this.#column >= this.columns) throw new Error("outside the terminal");
        row[this.#column++] = character;
      } else if (final === "H") {
        const [row = "1", column = "1"] = parameters.split(";");
        [this.#row, this.#column] = [Number(row) - 1, Number(column) - 1];
      } else if (final === "J") this.#clear();
      else if (parameters === "?25") this.cursor = final === "h" ? `${this.#column},${this.#row}` : undefined;
      else if (parameters === "?1049") this.alternate = final === "h";
      else if (final !== "m") throw new Error(`unknown sequence ${parameters}${final}`);
    }
  }
  lines(): string[] {
    return this.cells.map((row) => row.join("").trimEnd());
  }
}

describe("a text screen in a terminal", () => {
  it("shows what the screen shows, and sends only what has changed", () => {
    const terminal = new Terminal(100, 30);
    const ansi = new AnsiScreen();
    const first = ansi.update(textScreen(["hello", "", "world"]), terminal);
    terminal.write(first);
    expect(terminal.lines().slice(0, 3)).toEqual(["hello", "", "world"]);
    expect(terminal.cursor).toBe("0,0");
    const second = ansi.update(textScreen(["hullo", "", "world"]), terminal);
    expect(second.length).toBeLessThan(60);
    terminal.write(second);
    expect(terminal.lines().slice(0, 3)).toEqual(["hullo", "", "world"]);
    ansi.forget();
    expect(ansi.update(textScreen(["hullo"]), terminal).length).toBeGreaterThan(2000);
  });

  it("leaves out what does not fit", () => {
    const terminal = new Terminal(4, 2);
    terminal.write(new AnsiScreen().update(textScreen(["123456", "2", "3"]), terminal));
    expect(terminal.lines()).toEqual(["1234", "2"]);
  });

  it("has its colours, IBM's numbers as ECMA-48 counts", () => {
    const out = new AnsiScreen().update(textScreen(["x"]), { columns: 80, rows: 25 });
    expect(out).toContain("\u001b[0;37;40mx");
  });

  it("gives the terminal back", () => {
    const terminal = new Terminal(10, 3);
    terminal.write(AnsiScreen.ENTER);
    expect(terminal.alternate).toBe(true);
    terminal.write(AnsiScreen.LEAVE);
    expect(terminal.alternate).toBe(false);
  });
});

it("a picture is shown in half blocks, made smaller to fit", () => {
  const terminal = new Terminal(40, 12);
  terminal.write(new AnsiScreen().update(picture(640, 200), terminal));
  const lines = terminal.lines().filter((line) => line !== "");
  expect(lines[0]).toBe("▀".repeat(40));
  expect(lines.length).toBe(6);
});

describe("text is found", () => {
  it("in a line, and over lines", () => {
    const screen = textScreen(["debian login:", "Password:"]);
    expect(screenShows(screen, /login:$/)).toBe(true);
    expect(screenShows(screen, /^Password:/)).toBe(true);
    expect(screenShows(screen, /login:\nPass/)).toBe(true);
    expect(screenShows(screen, /root/)).toBe(false);
  });
  it("never in a picture", () => {
    expect(screenShows(picture(8, 8), /.*/)).toBe(false);
  });
});

describe("a PNG file", () => {
  it.each([
    ["zlib", deflateOfNode],
    ["Compression Streams", deflateOfWeb],
  ])("made with %s holds every pixel", async (_title, deflate) => {
    const screen = picture(37, 21);
    const file = await encodePng({ width: 37, height: 21, rgba: screen.rgba() }, deflate);
    expect(decodePng(file)).toEqual({
      width: 37,
      height: 21,
      rgb: [...screen.rgba()].filter((_, i) => i % 4 !== 3),
    });
  });
});

/** Eight-bit RGB without interlacing; every chunk's CRC is checked by Node's crc32 where there is one. */
function decodePng(file: Uint8Array): { width: number; height: number; rgb: number[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  expect([...file.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  let [width, height] = [0, 0];
  const data: Uint8Array[] = [];
  for (let at = 8; at < file.length; ) {
    const size = view.getUint32(at);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (type === "IHDR") {
      [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
      expect([...file.subarray(at + 16, at + 21)]).toEqual([8, 2, 0, 0, 0]);
    } else if (type === "IDAT") data.push(file.subarray(at + 8, at + 8 + size));
    at += size + 12;
  }
  const raw = inflateSync(Buffer.concat(data));
  const rgb: number[] = [];
  const line = width * 3;
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (line + 1)];
    expect([0, 2]).toContain(filter);
    for (let x = 0; x < line; x++) {
      const above = filter === 2 && y > 0 ? (rgb[(y - 1) * line + x] as number) : 0;
      rgb.push(((raw[y * (line + 1) + 1 + x] as number) + above) & 0xff);
    }
  }
  return { width, height, rgb };
}
