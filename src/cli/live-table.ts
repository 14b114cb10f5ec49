// The table of `paravane up`: redrawn in place on a terminal, a line of JSON each time with --json, else printed once at the
// end.
import type { VmStatsView } from "../api/views.ts";
import type { CliIo } from "./machine.ts";
import { formatTable } from "./table.ts";

const HEADER = ["NAME", "STATE", "CPU %", "STEAL %", "MIPS", "EXITS/S", "MEMORY", "IN/S", "OUT/S"];

interface Sample {
  readonly atMs: number;
  readonly view: VmStatsView;
}

export class LiveTable {
  readonly #last = new Map<string, Sample>();
  #drawnLines = 0;
  #text = "";

  constructor(
    private readonly io: CliIo,
    private readonly json: boolean,
  ) {}

  show(views: readonly VmStatsView[], memoryMib: ReadonlyMap<string, number>): void {
    const rows = views.map((view) => this.#row(view, memoryMib.get(view.name) ?? 0));
    if (this.json) {
      this.io.stdout.write(`${JSON.stringify(rows.map((row) => row.json))}\n`);
      return;
    }
    this.#text = formatTable(
      HEADER,
      rows.map((row) => row.cells),
    );
    if (this.io.stdout.isTTY) this.#draw();
  }

  close(): void {
    if (!this.json && !this.io.stdout.isTTY && this.#text !== "") this.io.stdout.write(`${this.#text}\n`);
  }

  #draw(): void {
    const { rows = 24, columns = 80 } = this.io.stdout;
    const all = this.#text.split("\n").map((line) => line.slice(0, columns - 1));
    const shown = all.length < rows ? all : [...all.slice(0, rows - 2), `... and ${all.length - rows + 2} more`];
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : "";
    this.io.stdout.write(`${up}\x1b[J${shown.join("\n")}\n`);
    this.#drawnLines = shown.length;
  }

  #row(view: VmStatsView, memory: number): { cells: (string | number)[]; json: Record<string, unknown> } {
    const atMs = performance.now();
    const before = this.#last.get(view.name);
    this.#last.set(view.name, { atMs, view });
    const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1e3;
    // Counters begin anew when a VM does, or comes to another pCPU.
    const rate = (of: (view: VmStatsView) => number): number =>
      before === undefined || seconds <= 0 ? 0 : Math.max(0, of(view) - of(before.view)) / seconds;
    const json = {
      name: view.name,
      state: view.state,
      cpuPercent: round(rate((v) => v.scheduler?.ranNs ?? 0) / 1e7, 1),
      stealPercent: round(rate((v) => v.scheduler?.stolenNs ?? 0) / 1e7, 1),
      mips: round(rate((v) => v.instructions) / 1e6, 1),
      exitsPerSecond: Math.round(rate((v) => v.exitTotal)),
      memoryMib: memory,
      heldMib: memory - round((view.devices["virtio-balloon"]?.["balloonBytes"] ?? 0) / 2 ** 20, 1),
      bytesInPerSecond: Math.round(rate((v) => deviceBytes(v, "in"))),
      bytesOutPerSecond: Math.round(rate((v) => deviceBytes(v, "out"))),
    };
    return {
      json,
      cells: [
        json.name,
        json.state,
        json.cpuPercent,
        json.stealPercent,
        json.mips,
        json.exitsPerSecond,
        json.heldMib === memory ? `${memory}M` : `${json.heldMib}/${memory}M`,
        json.bytesInPerSecond,
        json.bytesOutPerSecond,
      ],
    };
  }
}

/** Bytes that devices moved, by the names that their metrics have. */
const DIRECTIONS = { in: ["received", "readBytes", "rxBytes"], out: ["sent", "writtenBytes", "txBytes"] } as const;

function deviceBytes(view: VmStatsView, direction: keyof typeof DIRECTIONS): number {
  let sum = 0;
  for (const metrics of Object.values(view.devices))
    for (const name of DIRECTIONS[direction]) sum += metrics[name] ?? 0;
  return sum;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
