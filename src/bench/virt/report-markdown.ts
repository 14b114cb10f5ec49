// The comparison as Markdown.
import {
  type Comparison,
  exitTable,
  explanations,
  extraTable,
  failures,
  formTable,
  measurementTables,
  NOT_WON,
  notWonVerdicts,
  PUBLISHED_NOTE,
  publishedTables,
  type ReportTable,
  ratioText,
  switchTable,
  whereParaDoesNotWin,
} from "./report.ts";
import { titleOf } from "./titles.ts";

export function virtReportMarkdown(comparison: Comparison): string {
  const bad = failures(comparison);
  const switches = switchTable(comparison);
  const extras = extraTable(comparison);
  const notWon = whereParaDoesNotWin(comparison);
  const parts = [
    `# ${plain(comparison.title)}`,
    ...(comparison.circumstances.length > 0
      ? [comparison.circumstances.map((line) => `- ${plain(line)}`).join("\n")]
      : []),
    table(formTable(comparison)),
    `Times are for one operation: the median of ${comparison.repeats} interleaved runs, ± half of what they lie apart. Ratios are times, the last column's form is 1.`,
    ...measurementTables(comparison).map((t) => `## ${t.title}\n\n${table(t)}`),
    ...(bad.length > 0 ? [`## Wrong results\n\n${bad.map((line) => `- ${plain(line)}`).join("\n")}`] : []),
    ...(switches.rows.length > 0 ? [`## ${switches.title}\n\n${table(switches)}`] : []),
    `## Why\n\n${explanations(comparison)
      .map(
        ({ operation, ratio, why }) =>
          `- ${plain(titleOf(operation))}: ${ratio.slower} / ${ratio.faster} = ${ratioText(ratio)}. ${plain(why)}.`,
      )
      .join("\n")}`,
    ...(notWon.length > 0
      ? [
          "## Where paravirtualization does not win",
          ...notWonVerdicts().flatMap((verdict) => {
            const lines = notWon.filter((one) => one.verdict === verdict);
            const items = lines.map(({ operation, text }) => `- ${plain(operation)}: ${plain(text)}.`).join("\n");
            return lines.length === 0 ? [] : [`Para is ${NOT_WON[verdict]}:\n\n${items}`];
          }),
        ]
      : []),
    ...(extras.rows.length > 0 ? [`## ${extras.title}\n\n${table(extras)}`] : []),
    `## Exits\n\n${table(exitTable(comparison))}`,
    `## Published figures\n\n${PUBLISHED_NOTE}\n\n${publishedTables(comparison)
      .map((t) => `### ${t.title}\n\n${table(t)}`)
      .join("\n\n")}`,
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Names and reasons come from outside: they make no cell, tag, link or heading. */
function plain(text: string): string {
  return text
    .replace(/[\r\n]+/g, " ")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/[\\|[\]`*_]/g, (c) => `\\${c}`);
}

function table({ header, rows }: ReportTable): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(plain).join(" | ")} |`;
  const rule = `|${header.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}
