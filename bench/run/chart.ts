// Grouped horizontal bars as SVG: one group a question, one bar an emulator. Readable on light and dark backgrounds.

export interface Chart {
  readonly title: string;
  /** What a bar's length is: "seconds". */
  readonly unit: string;
  readonly series: readonly string[];
  /** `values[i]` belongs to `series[i]`; undefined leaves the bar out. */
  readonly groups: readonly { readonly label: string; readonly values: readonly (number | undefined)[] }[];
  readonly logarithmic?: boolean;
}

const WIDTH = 860;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 70;
const BAR = 13;
const GROUP_GAP = 12;
const TOP = 64;
/** Told apart by people with any colour vision (Okabe and Ito's palette). */
const COLOURS = ["#0072b2", "#e69f00", "#d55e00", "#009e73", "#999999"];

export function barChart(chart: Chart): string {
  const present = chart.groups.flatMap((group) => group.values.filter((v): v is number => v !== undefined && v > 0));
  const max = Math.max(...present, Number.MIN_VALUE);
  const min = chart.logarithmic ? Math.min(...present, max) / 2 : 0;
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const length = (value: number): number =>
    chart.logarithmic ? (Math.log(value / min) / Math.log(max / min)) * room : (value / max) * room;

  const parts: string[] = [];
  let y = TOP;
  for (const group of chart.groups) {
    const height = group.values.length * BAR;
    parts.push(text(LABEL_WIDTH - 8, y + height / 2 + 4, group.label, "end"));
    group.values.forEach((value, i) => {
      if (value === undefined || value <= 0) return;
      const width = Math.max(1, length(value)).toFixed(1);
      const at = y + i * BAR;
      parts.push(
        `<rect x="${LABEL_WIDTH}" y="${at}" width="${width}" height="${BAR - 2}" fill="${COLOURS[i % COLOURS.length]}"/>`,
      );
      parts.push(
        text(LABEL_WIDTH + Number(width) + 5, at + BAR - 3, Number(value.toPrecision(3)).toString(), "start", 10),
      );
    });
    y += height + GROUP_GAP;
  }
  const legend = chart.series.map((name, i) => {
    const x = LABEL_WIDTH + i * 165;
    return `<rect x="${x}" y="36" width="11" height="11" fill="${COLOURS[i % COLOURS.length]}"/>${text(x + 16, 46, name, "start")}`;
  });
  const unit = `${chart.unit}${chart.logarithmic ? ", logarithmic" : ""}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 4}" font-family="sans-serif" font-size="12">
<title>${escapeXml(chart.title)}</title>
<style>text{fill:#222}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>
${text(12, 22, `${chart.title} (${unit})`, "start", 15)}
${legend.join("\n")}
${parts.join("\n")}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor: "start" | "end", size = 12): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
