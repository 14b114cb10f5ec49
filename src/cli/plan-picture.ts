// Who is where, as SVG: a group of bars a host, a bar a resource, a piece of it a VM. The page around it shows what the
// terminal does.
import { colour, escapeXml, svgDocument, text } from "../chart/svg.ts";
import { formatAmount } from "../host/resources/model.ts";
import type { Plan } from "../host/resources/plan.ts";
import type { PlanChanges } from "../host/resources/plan-changes.ts";
import { changesText, planText } from "./plan-report.ts";
import { reportPage } from "./sched-report.ts";

const WIDTH = 860;
const LABEL = 150;
const LABEL_CHARACTERS = 20;
const BAR = 20;
const GAP = 4;
const HOST_GAP = 10;
const TOP = 36;
/** Of text drawn over a piece, pixels a character. */
const CHARACTER = 6.5;

/** A standalone SVG document. Each piece has a title with VM, resource and amount, which browsers show on hover. */
export function planSvg(plan: Plan): string {
  const room = WIDTH - LABEL - 60;
  const parts: string[] = [];
  let y = TOP;
  for (const host of plan.hosts) {
    parts.push(text(8, y + 14, host.name, "start", 14));
    y += BAR;
    for (const use of host.use) {
      parts.push(
        text(LABEL - 8, y + 14, shorten(use.resource), "end"),
        `<rect class="axis" x="${LABEL}" y="${y}" width="${room}" height="${BAR}"/>`,
      );
      let x = LABEL;
      plan.vms.forEach((vm, i) => {
        const amount = vm.host === host.name ? (vm.sizes[use.resource] ?? 0) : 0;
        if (amount <= 0 || use.capacity <= 0) return;
        const width = (amount / use.capacity) * room;
        const title = `${vm.name}: ${use.resource} ${formatAmount(use.resource, amount)}`;
        // Half transparent, so that dark text stands out on a light page and light text on a dark one.
        parts.push(
          `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colour(i)}" fill-opacity="0.5"><title>${escapeXml(title)}</title></rect>`,
        );
        if (vm.name.length * CHARACTER + 6 < width) parts.push(text(x + width / 2, y + 14, vm.name, "middle"));
        x += width;
      });
      parts.push(text(LABEL + room + 6, y + 14, `${(use.utilisation * 100).toFixed(0)}%`, "start"));
      y += BAR + GAP;
    }
    y += HOST_GAP;
  }
  const left = plan.vms.filter((vm) => vm.host === undefined).map((vm) => vm.name);
  if (left.length > 0) {
    parts.push(text(8, y + 8, `left out: ${left.join(", ")}`, "start"));
    y += BAR;
  }
  const heading = `objective ${plan.objective} ${Number(plan.value.toPrecision(6))}, strategy ${plan.strategy}`;
  return svgDocument(`Placement, ${heading}`, WIDTH, y, [text(8, 22, heading, "start", 15), ...parts]);
}

/** A page of one file: the picture, the tables, and what changed. */
export function planHtml(plan: Plan, changes: PlanChanges | undefined): string {
  return reportPage("Plan", planSvg(plan), [planText(plan), ...(changes ? [changesText(changes)] : [])]);
}

function shorten(name: string): string {
  return name.length > LABEL_CHARACTERS ? `${name.slice(0, LABEL_CHARACTERS - 3)}...` : name;
}
