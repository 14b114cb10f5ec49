// Several small charts in one SVG: lines over a common axis, or bars with a name each.
import { linearScale, logScale, type Scale, shortNumber } from "./scale.ts";
import { colour, svgDocument, text } from "./svg.ts";

export interface LinePanel {
  readonly kind: "lines";
  readonly title: string;
  readonly x: { readonly label: string; readonly logarithmic?: boolean };
  readonly y: { readonly label: string; readonly max?: number };
  readonly lines: readonly {
    readonly label: string;
    /** Colour, and the other line of a pair: same colour, dashed, not in the legend. */
    readonly colour: number;
    readonly dashed?: boolean;
    /** Goes on at its height until the next point, in place of straight to it. */
    readonly steps?: boolean;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

export interface BarPanel {
  readonly kind: "bars";
  readonly title: string;
  readonly logarithmic?: boolean;
  /** Undefined: no value, a dash in place of the bar. */
  readonly bars: readonly { readonly label: string; readonly value: number | undefined }[];
}

export interface Figure {
  readonly title: string;
  /** Below the title: what was measured. */
  readonly subtitle: string;
  readonly columns: number;
  readonly panels: readonly (LinePanel | BarPanel)[];
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const WIDTH = 960;
const MARGIN = 16;
const HEAD = 52;
const GAP = 28;
const LINES_HEIGHT = 270;
const BAR = 15;

export function figure({ title, subtitle, columns, panels }: Figure): string {
  const width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns;
  const parts = [text(MARGIN, 24, title, "start", 16), text(MARGIN, 42, subtitle, "start", 12)];
  let y = HEAD;
  for (let row = 0; row < panels.length; row += columns) {
    const inRow = panels.slice(row, row + columns);
    const height = Math.max(...inRow.map(heightOf));
    inRow.forEach((panel, column) => {
      const left = MARGIN + column * (width + GAP);
      const box = { left, top: y, right: left + width, bottom: y + height };
      parts.push(...(panel.kind === "lines" ? drawLines(panel, box) : drawBars(panel, box)));
    });
    y += height + 10;
  }
  return svgDocument(title, WIDTH, Math.ceil(y), parts);
}

function heightOf(panel: LinePanel | BarPanel): number {
  return panel.kind === "lines" ? LINES_HEIGHT : 30 + panel.bars.length * BAR + 6;
}

function drawLines(panel: LinePanel, box: Box): string[] {
  const plot = { left: box.left + 44, top: box.top + 46, right: box.right - 6, bottom: box.bottom - 38 };
  const xs = panel.lines.flatMap((line) => line.points.map(([x]) => x));
  const ys = panel.lines.flatMap((line) => line.points.map(([, y]) => y));
  const x = panel.x.logarithmic
    ? logScale(
        Math.min(...xs.filter((value) => value > 0), Math.max(...xs, 1) / 10),
        Math.max(...xs, Number.MIN_VALUE),
        plot.left,
        plot.right,
      )
    : linearScale(Math.min(...xs, 0), Math.max(...xs, Number.MIN_VALUE), plot.left, plot.right, 6);
  const y = linearScale(0, panel.y.max ?? (Math.max(...ys, 0) * 1.05 || 1), plot.bottom, plot.top);
  return [
    text(box.left, box.top + 18, panel.title, "start", 13),
    ...axes(panel, plot, x, y),
    ...panel.lines.map((line) => {
      const dash = line.dashed ? ' stroke-dasharray="4 3" opacity="0.8"' : "";
      return `<path d="${pathOf(line, x, y)}" fill="none" stroke="${colour(line.colour)}" stroke-width="1.6"${dash}/>`;
    }),
    ...legend(panel, box),
  ];
}

function pathOf({ points, steps }: LinePanel["lines"][number], x: Scale, y: Scale): string {
  let path = "";
  for (const [px, py] of points) {
    const [sx, sy] = [x.at(px).toFixed(1), y.at(py).toFixed(1)];
    path += path === "" ? `M${sx} ${sy}` : steps ? `H${sx}V${sy}` : `L${sx} ${sy}`;
  }
  return path;
}

function axes(panel: LinePanel, plot: Box, x: Scale, y: Scale): string[] {
  const { left, top, right, bottom } = plot;
  return [
    ...y.ticks.flatMap((tick) => [
      `<path class="grid" d="M${left} ${y.at(tick).toFixed(1)}H${right}"/>`,
      text(left - 5, y.at(tick) + 4, shortNumber(tick), "end", 10),
    ]),
    ...x.ticks.flatMap((tick) => [
      `<path class="axis" d="M${x.at(tick).toFixed(1)} ${bottom}v4"/>`,
      text(x.at(tick), bottom + 15, shortNumber(tick), "middle", 10),
    ]),
    `<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`,
    text((left + right) / 2, bottom + 30, panel.x.label, "middle", 11),
    text(left - 38, top - 8, panel.y.label, "start", 11),
  ];
}

/** In one line above the plot, right-aligned, as far as it goes. */
function legend(panel: LinePanel, box: Box): string[] {
  const entries = panel.lines.filter((line) => !line.dashed);
  if (entries.length < 2) return [];
  const parts: string[] = [];
  let x = box.right - 6;
  const room = box.left + 44 + 7 * panel.y.label.length;
  for (const { label, colour: index } of [...entries].reverse()) {
    const width = 20 + 6.4 * label.length;
    x -= width;
    if (x < room) break;
    parts.push(
      `<rect x="${x.toFixed(1)}" y="${box.top + 29}" width="10" height="10" fill="${colour(index)}"/>`,
      text(x + 14, box.top + 38, label, "start", 11),
    );
  }
  return parts;
}

function drawBars(panel: BarPanel, box: Box): string[] {
  const values = panel.bars.flatMap(({ value }) => (value !== undefined && value > 0 ? [value] : []));
  const labels = 8 + 6.6 * Math.max(...panel.bars.map(({ label }) => label.length));
  const [start, end] = [box.left + labels, box.right - 46];
  const max = Math.max(...values, Number.MIN_VALUE);
  // A logarithmic bar begins at the power of ten below the smallest value, so that this one has a length too.
  const scale = panel.logarithmic
    ? logScale(10 ** Math.floor(Math.log10(Math.min(...values, max)) - 0.01), max, start, end)
    : linearScale(0, max, start, end);
  return [
    text(box.left, box.top + 18, `${panel.title}${panel.logarithmic ? " (log)" : ""}`, "start", 13),
    ...panel.bars.flatMap(({ label, value }, i) => {
      const y = box.top + 28 + i * BAR;
      const width = value !== undefined && value > 0 ? Math.max(1, scale.at(value) - start) : 0;
      return [
        text(start - 6, y + BAR - 5, label, "end", 11),
        `<rect x="${start.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 4}" fill="${colour(i)}"/>`,
        text(start + width + 4, y + BAR - 5, value === undefined ? "-" : shortNumber(value), "start", 10),
      ];
    }),
  ];
}
