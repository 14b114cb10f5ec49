// Grouped horizontal bars as SVG: one group a question, one bar a series.
import { colour, svgDocument, text } from "./svg.ts";

export interface BarGroup {
  readonly label: string;
  readonly values: readonly (number | undefined)[];
  /** From the least to the most measured: a line at the bar's end. */
  readonly ranges?: readonly ({ readonly min: number; readonly max: number } | undefined)[];
}

export interface Chart {
  readonly title: string;
  /** What a bar's length is: "seconds". */
  readonly unit: string;
  readonly series: readonly string[];
  /** `values[i]` belongs to `series[i]`; undefined leaves the bar out. */
  readonly groups: readonly BarGroup[];
  readonly logarithmic?: boolean;
  /** What stands at a bar's end; three digits by default. */
  readonly format?: (value: number) => string;
  /** Pixels for the labels; default 190. */
  readonly labelWidth?: number;
}

const WIDTH = 860;
const VALUE_WIDTH = 70;
const BAR = 13;
const GROUP_GAP = 12;
const TOP = 64;
export function barChart(chart: Chart): string {
  const present = chart.groups
    .flatMap(({ values, ranges = [] }) => [...values, ...ranges.flatMap((range) => [range?.min, range?.max])])
    .filter((v): v is number => v !== undefined && v > 0);
  const max = Math.max(...present, Number.MIN_VALUE);
  const min = chart.logarithmic ? Math.min(...present, max) / 2 : 0;
  const labelWidth = chart.labelWidth ?? 190;
  const room = WIDTH - labelWidth - VALUE_WIDTH;
  const length = (value: number): number =>
    chart.logarithmic ? (Math.log(value / min) / Math.log(max / min)) * room : (value / max) * room;

  const format = chart.format ?? ((value) => Number(value.toPrecision(3)).toString());
  const parts: string[] = [];
  let y = TOP;
  for (const group of chart.groups) {
    const height = group.values.length * BAR;
    parts.push(text(labelWidth - 8, y + height / 2 + 4, group.label, "end"));
    group.values.forEach((value, i) => {
      if (value === undefined || value <= 0) return;
      const width = Math.max(1, length(value)).toFixed(1);
      const at = y + i * BAR;
      parts.push(`<rect x="${labelWidth}" y="${at}" width="${width}" height="${BAR - 2}" fill="${colour(i)}"/>`);
      const range = group.ranges?.[i];
      const end = range === undefined ? Number(width) : Math.max(Number(width), length(range.max));
      if (range !== undefined && range.min > 0 && range.max > range.min) {
        const middle = at + (BAR - 2) / 2;
        parts.push(
          `<path d="M${(labelWidth + length(range.min)).toFixed(1)} ${middle}H${(labelWidth + end).toFixed(1)}" stroke="#888" stroke-width="2"/>`,
        );
      }
      parts.push(text(labelWidth + end + 5, at + BAR - 3, format(value), "start", 10));
    });
    y += height + GROUP_GAP;
  }
  const legend = chart.series.map((name, i) => {
    const x = labelWidth + i * 165;
    return `<rect x="${x}" y="36" width="11" height="11" fill="${colour(i)}"/>${text(x + 16, 46, name, "start")}`;
  });
  const unit = `${chart.unit}${chart.logarithmic ? ", logarithmic" : ""}`;
  return svgDocument(chart.title, WIDTH, y + 4, [
    text(12, 22, `${chart.title} (${unit})`, "start", 15),
    ...legend,
    ...parts,
  ]);
}
