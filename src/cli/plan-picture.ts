// Who is where, as SVG: a group of bars a host, a bar a resource, a piece of it a VM. Readable on light and dark
// backgrounds. The page around it has the same tables as the terminal.
import { formatAmount } from "../host/resources/model.ts";
import type { Plan } from "../host/resources/plan.ts";
import type { PlanChanges } from "../host/resources/plan-changes.ts";
import { changeLines, hostRows, resourcesOf, scalabilityRows, vmRows } from "./plan-report.ts";

const WIDTH = 860;
const LABEL = 150;
const BAR = 20;
const GAP = 4;
const HOST_GAP = 16;
const TOP = 40;
/** Told apart by people with any colour vision (Okabe and Ito's palette, but for its dark blue: names are black). */
const COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00"];
const LABEL_CHARACTERS = 20;
/** Of text drawn over a piece, pixels a character. */
const CHARACTER = 6.5;

/** A standalone SVG document. Each piece has a title with VM, resource and amount, which browsers show on hover. */
export function planSvg(plan: Plan): string {
  const room = WIDTH - LABEL - 60;
  const names = resourcesOf(plan);
  const parts: string[] = [];
  let y = TOP;
  for (const host of plan.hosts) {
    parts.push(`<text x="8" y="${y + 14}" font-weight="bold">${escapeXml(host.name)}</text>`);
    y += BAR;
    for (const use of host.use) {
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escapeXml(shorten(use.resource))}</text>`,
        `<rect class="frame" x="${LABEL}" y="${y}" width="${room}" height="${BAR}"/>`,
      );
      let x = LABEL;
      plan.vms.forEach((vm, i) => {
        const amount = vm.host === host.name ? (vm.sizes[use.resource] ?? 0) : 0;
        if (amount <= 0 || use.capacity <= 0) return;
        const width = (amount / use.capacity) * room;
        const title = `${vm.name}: ${use.resource} ${formatAmount(use.resource, amount)}`;
        parts.push(
          `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${COLOURS[i % COLOURS.length]}"><title>${escapeXml(title)}</title></rect>`,
        );
        if (vm.name.length * CHARACTER + 6 < width) {
          parts.push(
            `<text class="on" x="${(x + width / 2).toFixed(1)}" y="${y + 14}" text-anchor="middle">${escapeXml(vm.name)}</text>`,
          );
        }
        x += width;
      });
      parts.push(`<text x="${LABEL + room + 6}" y="${y + 14}">${(use.utilisation * 100).toFixed(0)}%</text>`);
      y += BAR + GAP;
    }
    y += HOST_GAP;
  }
  const left = plan.vms.filter((vm) => vm.host === undefined).map((vm) => vm.name);
  if (left.length > 0) {
    parts.push(`<text x="8" y="${y + 8}">${escapeXml(`left out: ${left.join(", ")}`)}</text>`);
    y += BAR;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<title>${escapeXml(`Placement by ${plan.objective}: ${names.join(", ")}`)}</title>
<style>text{fill:#222}.on{fill:#000}.frame{fill:none;stroke:#888}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>
<text x="8" y="22" font-size="15">${escapeXml(`objective ${plan.objective} ${Number(plan.value.toPrecision(6))}, strategy ${plan.strategy}`)}</text>
${parts.join("\n")}
</svg>
`;
}

/** A page of one file: the picture, the tables, and what changed. */
export function planHtml(plan: Plan, changes: PlanChanges | undefined): string {
  const table = ([head = [], ...rows]: readonly (readonly string[])[]): string =>
    `<table><tr>${head.map((cell) => `<th>${escapeXml(cell)}</th>`).join("")}</tr>\n${rows
      .map((row) => `<tr>${row.map((cell) => `<td>${escapeXml(cell)}</td>`).join("")}</tr>`)
      .join("\n")}</table>`;
  const changed = changes
    ? `<h2>Against the file's own plan</h2><ul>${changeLines(changes)
        .map((line) => `<li>${escapeXml(line)}</li>`)
        .join("")}</ul>`
    : "";
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Paravane plan</title>
<style>:root{color-scheme:light dark}body{font:14px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .8em;text-align:left;border-bottom:1px solid #8884}</style>
<h1>Plan</h1>
${planSvg(plan)}${changed}
<h2>Hosts</h2>${table(hostRows(plan))}
<h2>VMs</h2>${table(vmRows(plan))}
<h2>Scalability</h2>${table(scalabilityRows(plan))}
</html>
`;
}

function shorten(name: string): string {
  return name.length > LABEL_CHARACTERS ? `${name.slice(0, LABEL_CHARACTERS - 3)}...` : name;
}

function escapeXml(content: string): string {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
