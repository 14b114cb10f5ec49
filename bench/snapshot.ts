// How long does a snapshot of a Linux guest take, how large is it, and how soon does a restored guest print its next byte?
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openImage, pullImage } from "../src/images/node/index.ts";
import { type SnapshotInfo, type SnapshotOptions, type SnapshotStore, snapshotFolder, Vm } from "../src/index.ts";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { recordCircumstances } from "./run/circumstances.ts";
import { benchMain, parseBenchOptions, whole } from "./run/command-line.ts";
import { json, markdown, type Report, table, writeReport } from "./run/report.ts";
import { type Sample, summarize } from "./run/sample.ts";
import { status } from "./run/status-line.ts";

const MIB = 2 ** 20;
/** What the issue promises: call of Vm.restore to the guest's next console byte. */
const BAR_MS = 150;
/** A guest at work: processes, files in memory, console output without end. */
const LOAD =
  "i=0; while true; do i=$((i+1)); echo tick $i; head -c 65536 /dev/urandom > /tmp/f$((i % 8)); cat /proc/meminfo > /tmp/m; done";

interface Kind {
  readonly name: string;
  readonly options: Partial<SnapshotOptions>;
  /** Guest time that it runs on before the snapshot is taken. */
  readonly runMs: number;
}

const KINDS: readonly Kind[] = [
  { name: "full", options: { track: true }, runMs: 0 },
  { name: "incremental", options: { parent: "full" }, runMs: 1000 },
  { name: "incremental without dirty log", options: { parent: "full", track: false }, runMs: 0 },
  { name: "full, not compressed", options: { compress: false }, runMs: 0 },
];

interface Row {
  readonly kind: Kind;
  readonly info: SnapshotInfo;
  readonly saveMs: number;
  readonly restoreMs: Sample;
  readonly firstByteMs: Sample;
}

await benchMain(async () => {
  const options = parseBenchOptions({
    name: "snapshot",
    emulators: ["paravane"],
    timeoutSeconds: 120,
    own: [{ name: "memory", value: "MiB", about: "of the guest (default 128)" }],
  });
  const memoryMib = whole(options.own["memory"], "--memory", 128);
  await build({ quiet: true });
  await pullImage("linux");
  const folder = await mkdtemp(join(tmpdir(), "paravane-bench-"));
  try {
    const store = await snapshotFolder(folder);
    // Before the guest boots, which would be taken for other work.
    const close = await recordCircumstances(options.command, options.emulators);
    status(`booting linux in ${memoryMib} MiB`);
    const vm = await boot(memoryMib, options.timeoutSeconds);
    const rows: Row[] = [];
    for (const kind of KINDS) {
      await sleep(kind.runMs);
      status(`${kind.name}: saving`);
      const start = performance.now();
      const info = await vm.snapshot({ store, name: kind.name, ...kind.options });
      const saveMs = performance.now() - start;
      await vm.pause();
      rows.push({ kind, info, saveMs, ...(await restores(store, kind.name, options.repeats)) });
      vm.resume();
    }
    await vm.stop();
    status("");
    const report = makeReport(rows, memoryMib, options.repeats, close());
    const out = await writeReport(report, options.out);
    process.stdout.write(options.json ? json(report) : markdown(report));
    if (process.stderr.isTTY) process.stderr.write(`bench: report in ${out}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function boot(memoryMib: number, timeoutSeconds: number): Promise<Vm> {
  const { kernel, initrd, append } = await openImage("linux");
  const vm = await Vm.create({
    memoryBytes: memoryMib * MIB,
    boot: {
      kind: "linux",
      kernel,
      ...(initrd === undefined ? {} : { initrd }),
      append: `${append} paravane.run="${LOAD}"`,
    },
  });
  let text = "";
  const listener = vm.on("serial", ({ bytes }) => {
    text += new TextDecoder("latin1").decode(bytes);
  });
  vm.start();
  const end = performance.now() + timeoutSeconds * 1000;
  while (!text.includes("tick 20")) {
    if (vm.state !== "running" || performance.now() > end)
      throw new VmError("timeout", `The guest did not get to work: ...${text.slice(-200)}`);
    await sleep(20);
  }
  listener[Symbol.dispose]();
  return vm;
}

async function restores(
  store: SnapshotStore,
  name: string,
  repeats: number,
): Promise<{ restoreMs: Sample; firstByteMs: Sample }> {
  const restored: number[] = [];
  const spoken: number[] = [];
  for (let n = 0; n < repeats; n++) {
    status(`${name}: restoring, ${n + 1} of ${repeats}`);
    const start = performance.now();
    const vm = await Vm.restore({ store, name });
    restored.push(performance.now() - start);
    const first = new Promise<void>((resolve) => vm.on("serial", () => resolve()));
    vm.start();
    await first;
    spoken.push(performance.now() - start);
    await vm.stop();
  }
  return { restoreMs: summarize(restored) as Sample, firstByteMs: summarize(spoken) as Sample };
}

function makeReport(
  rows: readonly Row[],
  memoryMib: number,
  repeats: number,
  circumstances: Report["circumstances"],
): Report {
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  const spread = ({ median, min, max }: Sample): string => `${median.toFixed(0)} (${min.toFixed(0)}-${max.toFixed(0)})`;
  const body = rows.map(({ kind, info, saveMs, restoreMs, firstByteMs }) => [
    kind.name,
    mib(info.sizeBytes),
    mib(info.memoryBytes),
    info.pausedMs.toFixed(0),
    saveMs.toFixed(0),
    spread(restoreMs),
    spread(firstByteMs),
  ]);
  const header = [
    "snapshot",
    "file, MiB",
    "memory in it, MiB",
    "guest stood still, ms",
    "saved after, ms",
    "restored, ms",
    "next console byte, ms",
  ];
  const note = `Debian's kernel and a busybox shell at work in ${memoryMib} MiB, real clock. Saving: one run each, of the \
running guest; "saved after" ends when the file is on the disk. Restoring: from the call of Vm.restore, core already \
compiled, file in the page cache; median (min-max) of ${repeats}. The bar for the next console byte of a 128 MiB guest is \
${BAR_MS} ms.`;
  return {
    name: "snapshot",
    title: "Snapshots: save and restore",
    circumstances,
    body: `${note}\n\n${table(header, body)}`,
    chart: {
      title: "Restore to the next console byte",
      unit: "milliseconds, shorter is better",
      series: ["restored", "next console byte"],
      groups: rows.map(({ kind, restoreMs, firstByteMs }) => ({
        label: kind.name,
        values: [restoreMs.median, firstByteMs.median],
      })),
    },
    data: {
      memoryMib,
      rows: rows.map(({ kind, info, saveMs, restoreMs, firstByteMs }) => ({
        kind: kind.name,
        sizeBytes: info.sizeBytes,
        memoryBytes: info.memoryBytes,
        pausedMs: info.pausedMs,
        saveMs,
        restoreMs,
        firstByteMs,
      })),
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
