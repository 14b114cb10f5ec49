// What `paravane plan` prints: the objective, hosts, VMs, scalability, and the difference that a what-if makes.
import { formatAmount } from "../host/resources/model.ts";
import type { Plan } from "../host/resources/plan.ts";
import type { PlanChanges, VmChange } from "../host/resources/plan-changes.ts";
import { formatTable } from "./table.ts";

const SENSE: Readonly<Record<Plan["objective"], string>> = {
  cost: "least cost",
  work: "most weighted work, pCPU seconds",
  delay: "least delay cost",
};

export function planText(plan: Plan): string {
  const proof = plan.gap > 0 ? `proven to within ${plan.gap.toExponential(1)}` : "proven optimal";
  const head = [
    ["objective", `${number(plan.value)} (${SENSE[plan.objective]}; ${proof})`],
    ...(plan.objective === "cost" ? [] : [["cost", number(plan.cost)]]),
    ["strategy", plan.strategy],
  ];
  const parts = [
    head.map(([name = "", value = ""]) => `${name.padEnd(9)}  ${value}\n`).join(""),
    table(hostRows(plan), 2),
    table(vmRows(plan), 2),
    table(scalabilityRows(plan), 1),
  ];
  if (plan.meanLatencySeconds !== undefined) {
    parts.push(`mean latency ${seconds(plan.meanLatencySeconds)}, estimated: processor sharing of the CPU alone\n`);
  }
  return parts.join("\n");
}

/** The first row is the head; columns from `figures` on hold numbers. */
function table([head = [], ...rows]: readonly (readonly string[])[], figures: number): string {
  return `${formatTable(head, rows, (column) => column >= figures)}\n`;
}

/** Utilisation of each host; the host's name once. */
function hostRows(plan: Plan): string[][] {
  const rows = [["host", "resource", "capacity", "needed", "allocated", "utilisation", "limits"]];
  for (const host of plan.hosts) {
    host.use.forEach((use, i) => {
      const show = (amount: number): string => formatAmount(use.resource, amount);
      rows.push([
        i === 0 ? host.name : "",
        use.resource,
        show(use.capacity),
        show(use.reserved),
        show(use.allocated),
        `${(use.utilisation * 100).toFixed(1)}%`,
        show(use.limits),
      ]);
    });
  }
  return rows;
}

function vmRows(plan: Plan): string[][] {
  const names = resourcesOf(plan);
  return [
    ["vm", "host", ...names, "latency"],
    ...plan.vms.map((vm) => [
      vm.name,
      vm.host ?? "left out",
      ...names.map((name) => {
        const size = vm.sizes[name];
        return vm.host === undefined || size === undefined ? "-" : formatAmount(name, size);
      }),
      vm.latencySeconds === undefined ? "-" : seconds(vm.latencySeconds),
    ]),
  ];
}

function scalabilityRows(plan: Plan): string[][] {
  const names = Object.keys(plan.scalability);
  return [
    ["", ...names],
    ["largest / smallest", ...names.map((name) => number(plan.scalability[name] ?? 0))],
  ];
}

/** One line for each thing that differs. */
function changeLines(changes: PlanChanges): string[] {
  const lines: string[] = [];
  const figure = (name: string, before: number, after: number): void => {
    const difference = after - before;
    if (Math.abs(difference) <= 1e-6 * Math.max(Math.abs(before), Math.abs(after))) return;
    lines.push(
      `${name} ${number(before)} -> ${number(after)} (${difference > 0 ? "+" : "-"}${number(Math.abs(difference))})`,
    );
  };
  figure("objective", changes.value.before, changes.value.after);
  if (changes.cost.before !== changes.value.before || changes.cost.after !== changes.value.after) {
    figure("cost", changes.cost.before, changes.cost.after);
  }
  figure("hosts in use", changes.hostsUsed.before, changes.hostsUsed.after);
  const { before, after } = changes.meanLatencySeconds;
  if (before !== after) lines.push(`mean latency ${latency(before)} -> ${latency(after)}`);
  return [...lines, ...changes.vms.map(vmLine)];
}

export function changesText(changes: PlanChanges): string {
  const lines = changeLines(changes);
  return `against the file's own plan:\n${(lines.length > 0 ? lines : ["nothing changes"]).map((line) => `  ${line}\n`).join("")}`;
}

function vmLine(change: VmChange): string {
  const where = (host: string | undefined): string => host ?? "left out";
  if (change.kind === "added") return `${change.name}: new, ${where(change.host?.after)}`;
  if (change.kind === "removed") return `${change.name}: gone from ${where(change.host?.before)}`;
  const parts = change.host ? [`${where(change.host.before)} -> ${where(change.host.after)}`] : [];
  for (const [resource, size] of Object.entries(change.sizes)) {
    parts.push(`${resource} ${formatAmount(resource, size.before)} -> ${formatAmount(resource, size.after)}`);
  }
  if (change.latencySeconds) {
    parts.push(`latency ${latency(change.latencySeconds.before)} -> ${latency(change.latencySeconds.after)}`);
  }
  return `${change.name}: ${parts.join(", ")}`;
}

function resourcesOf(plan: Plan): string[] {
  return [...new Set(plan.hosts.flatMap((host) => host.use.map(({ resource }) => resource)))];
}

function latency(value: number | undefined): string {
  return value === undefined ? "-" : seconds(value);
}

/** "12.3 ms", "1.5 s", "unbounded". */
function seconds(value: number): string {
  if (!Number.isFinite(value)) return "unbounded";
  if (value >= 1) return `${number(value)} s`;
  if (value >= 1e-3) return `${number(value * 1e3)} ms`;
  return `${number(value * 1e6)} us`;
}

/** Four significant digits, whole numbers in full. */
function number(value: number): string {
  return String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
}
