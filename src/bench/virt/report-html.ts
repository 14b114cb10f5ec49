// The comparison as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.
import { barChart } from "../../chart/bars.ts";
import { escapeXml } from "../../chart/svg.ts";
import { durationText } from "./explain.ts";
import {
  type Comparison,
  exitTable,
  explanations,
  extraTable,
  failures,
  formTable,
  mainForms,
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
import { grouped, titleOf } from "./titles.ts";

const STYLE = `
:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem}
svg text{font-variant-numeric:tabular-nums}
table{border-collapse:collapse;margin:.7rem 0;display:block;overflow-x:auto}
th,td{padding:.2rem .6rem;border-bottom:1px solid #8884;text-align:right;vertical-align:top;font-variant-numeric:tabular-nums}
td{white-space:nowrap}
table.text td{white-space:normal}
td:first-child{min-width:9rem}
th:first-child,td:first-child,table.text td,table.text th{text-align:left}
figure{margin:.7rem 0;overflow-x:auto}
svg{min-width:36rem;max-width:100%;height:auto}
.bad{color:#c0392b}
li{margin:.25rem 0}
`;

/** Room for the longest title. */
const LABEL_WIDTH = 250;

export function virtReportHtml(comparison: Comparison): string {
  const bad = failures(comparison);
  const switches = switchTable(comparison);
  const extras = extraTable(comparison);
  const notWon = whereParaDoesNotWin(comparison);
  const body = [
    `<h1>${escapeXml(comparison.title)}</h1>`,
    list(comparison.circumstances),
    htmlTable(formTable(comparison), "text"),
    `<p>Times are for one operation: the median of ${comparison.repeats} interleaved runs, ± half of what they lie apart. Ratios are times; the last form is 1. Lines at the bars' ends go from the least to the most.</p>`,
    ...(bad.length > 0 ? [`<h2 class="bad">Wrong results</h2>`, list(bad)] : []),
    ...groupSections(comparison),
    ...(switches.rows.length > 0 ? [`<h2>${escapeXml(switches.title)}</h2>`, htmlTable(switches)] : []),
    "<h2>Why</h2>",
    list(
      explanations(comparison).map(
        ({ operation, ratio, why }) =>
          `${titleOf(operation)}: ${ratio.slower} / ${ratio.faster} = ${ratioText(ratio)}. ${why}.`,
      ),
    ),
    ...(notWon.length > 0
      ? [
          "<h2>Where paravirtualization does not win</h2>",
          ...notWonVerdicts().flatMap((verdict) => {
            const lines = notWon.filter((one) => one.verdict === verdict);
            return lines.length === 0
              ? []
              : [
                  `<h3>${escapeXml(capital(NOT_WON[verdict]))}</h3>`,
                  list(lines.map(({ operation, text }) => `${operation}: ${text}.`)),
                ];
          }),
        ]
      : []),
    ...(extras.rows.length > 0 ? [`<h2>${escapeXml(extras.title)}</h2>`, htmlTable(extras)] : []),
    `<h2>${exitTable(comparison).title}</h2>`,
    htmlTable(exitTable(comparison), "text"),
    "<h2>Published figures</h2>",
    `<p>${escapeXml(PUBLISHED_NOTE)}</p>`,
    ...publishedTables(comparison).flatMap((table) => [`<h3>${escapeXml(table.title)}</h3>`, htmlTable(table)]),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeXml(comparison.title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body.join("\n")}
</body>
</html>
`;
}

/** A chart and its table for each group. */
function groupSections(comparison: Comparison): string[] {
  const charts = new Map(grouped(comparison.operations).map(({ title, results }) => [title, results]));
  return measurementTables(comparison).flatMap((table) => {
    const results = charts.get(table.title) ?? [];
    const chart = barChart({
      title: table.title,
      unit: "time of one operation",
      format: durationText,
      logarithmic: true,
      labelWidth: LABEL_WIDTH,
      series: mainForms(comparison.forms),
      groups: results.map((result) => ({
        label: titleOf(result.operation),
        values: mainForms(comparison.forms).map((form) => result.forms[form]?.ns.median),
        ranges: mainForms(comparison.forms).map((form) => result.forms[form]?.ns),
      })),
    });
    return [`<h2>${escapeXml(table.title)}</h2>`, `<figure>${chart}</figure>`, htmlTable(table)];
  });
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

function list(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `<ul>${lines.map((line) => `<li>${escapeXml(line)}</li>`).join("\n")}</ul>`;
}

function htmlTable({ header, rows }: ReportTable, kind = ""): string {
  const cells = (tag: "th" | "td", row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join("")}</tr>`;
  return `<table${kind === "" ? "" : ` class="${kind}"`}>\n<thead>${cells("th", header)}</thead>\n<tbody>\n${rows.map((row) => cells("td", row)).join("\n")}\n</tbody>\n</table>`;
}
