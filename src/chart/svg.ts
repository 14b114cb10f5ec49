// What all charts share: colours, escaping, the document around them. Readable on light and dark backgrounds.

/** Told apart by people with any colour vision as far as they go: Okabe and Ito's palette, then others; the tenth is grey. */
const PALETTE = [
  "#0072b2",
  "#e69f00",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#a6761d",
  "#7570b3",
  "#66a61e",
  "#999999",
];

export function colour(index: number): string {
  return PALETTE[index % PALETTE.length] as string;
}

export function escapeXml(content: string): string {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}

export type Anchor = "start" | "middle" | "end";

export function text(x: number, y: number, content: string, anchor: Anchor, size = 12): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}">${escapeXml(content)}</text>`;
}

/** A standalone SVG file. */
export function svgDocument(title: string, width: number, height: number, body: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<title>${escapeXml(title)}</title>
<style>text{fill:#222}.axis{stroke:#888;fill:none}.grid{stroke:#8884;fill:none}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>
${body.join("\n")}
</svg>
`;
}
