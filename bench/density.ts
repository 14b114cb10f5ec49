// How many guests fit on this machine and make progress, what does each cost the host in memory, how many start in a
// second, and what does scheduling cost as they get more?
import { overlayInitrd } from "../src/images/initramfs.ts";
import { openImage, pullImage } from "../src/images/node/index.ts";
import { type BootSource, Host, type HostedVm, Vm } from "../src/index.ts";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { recordCircumstances } from "./run/circumstances.ts";
import { benchMain, parseBenchOptions, whole } from "./run/command-line.ts";
import { hello, spinner } from "./run/density-guests.ts";
import { processMemoryBytes, residentBytes, writableMappings } from "./run/process-memory.ts";
import { json, markdown, type Report, table, writeReport } from "./run/report.ts";
import { status } from "./run/status-line.ts";

const MIB = 2 ** 20;
const TINY_BYTES = 4 * MIB;
const LINUX_BYTES = 64 * MIB;
/** Host memory a VM may cost beyond the guest memory that it touches. */
const BAR_BYTES = 5 * MIB;
/** The one guest whose memory is looked at goes on for so long after its first word, as the others do. */
const SETTLE_MS = 2000;
const OVERHEAD_AT = [1, 10, 100, 1000];
const LINUX_SCRIPT = '#!/bin/sh\nn=0\nwhile true; do echo "alive $n"; n=$((n + 1)); sleep 1; done\n';

interface Density {
  readonly guest: string;
  readonly asked: number;
  /** Made, started up to their first word, and answering or going on when all of them run. */
  readonly made: number;
  readonly up: number;
  readonly progress: number;
  /** Why no more were made. */
  readonly end: string | undefined;
  readonly startsPerSecond: number;
  /** Until all had made progress, seconds; the time limit where some had not. */
  readonly progressSeconds: number;
  readonly bytesPerVm: number;
  readonly touched: Touched | undefined;
  /** bytesPerVm less the guest RAM that it touched. */
  readonly beyondBytes: number | undefined;
}

interface Overhead {
  readonly guests: number;
  /** Part of the pCPU's time in which no vCPU ran. */
  readonly lost: number;
  readonly switchesPerSecond: number;
  /** Of all guests together. */
  readonly instructionsPerSecond: number;
}

await benchMain(async () => {
  const options = parseBenchOptions({
    name: "density",
    emulators: ["paravane"],
    timeoutSeconds: 60,
    own: [
      { name: "guests", value: "N", about: "most tiny guests (default 1000)" },
      { name: "linux", value: "N", about: "most Linux guests (default 12; none for 0)" },
      { name: "seconds", value: "S", about: "length of each overhead measurement (default 5)" },
    ],
  });
  const most = whole(options.own.guests, "--guests", 1000);
  const mostLinux = options.own.linux === "0" ? 0 : whole(options.own.linux, "--linux", 12);
  const measureSeconds = whole(options.own.seconds, "--seconds", 5);
  await build({ quiet: true });
  const close = await recordCircumstances(options.command, options.emulators);
  const overheads: Overhead[] = [];
  for (const count of OVERHEAD_AT.filter((n) => n <= most)) overheads.push(await overhead(count, measureSeconds));
  const densities = [await density("hello", await hello(), TINY_BYTES, most, options.timeoutSeconds)];
  if (mostLinux > 0) {
    const { name, boot } = await linuxGuest();
    densities.push(await density(name, boot, LINUX_BYTES, mostLinux, options.timeoutSeconds));
  }
  status("");
  const report = makeReport(densities, overheads, close());
  const folder = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${folder}\n`);
  if (densities.some((row) => row.progress < row.made || (row.beyondBytes ?? 0) > BAR_BYTES)) process.exitCode = 1;
});

/** linux-tiny where it is made already, else Debian's kernel. */
async function linuxGuest(): Promise<{ name: string; boot: BootSource }> {
  let name = "linux-tiny";
  let image: Awaited<ReturnType<typeof openImage>>;
  try {
    image = await openImage(name);
  } catch (error) {
    if (!(error instanceof VmError) || error.code !== "not-found") throw error;
    name = "linux";
    await pullImage(name, { onProgress: ({ phase }) => status(`${name}: ${phase}`) });
    image = await openImage(name);
  }
  const script = { kind: "file", path: "density", data: new TextEncoder().encode(LINUX_SCRIPT), permissions: 0o755 };
  const initrd = overlayInitrd(image.initrd ?? new Uint8Array(), [{ ...script, kind: "file" }]);
  const append = `${image.append} paravane.script=/density`;
  return { name, boot: { kind: "linux", kernel: image.kernel, initrd, append } };
}

/** Makes guests until `most` or the host's end, starts all, and asks all for a sign of life. */
async function density(
  guest: string,
  boot: BootSource,
  memoryBytes: number,
  most: number,
  timeoutSeconds: number,
): Promise<Density> {
  const tiny = guest === "hello";
  const ready = tiny ? "> " : "alive 0";
  const one = await touched(boot, memoryBytes, ready);
  // The machine's own limit is what is looked for, not the admission's.
  await using host = await Host.create({ capacity: { memory: "1000T" } });
  // The first on each pCPU pays for what all share: compiled code, images, heaps.
  const first = await Promise.all(Array.from({ length: host.pcpus }, () => host.createVm({ boot, memoryBytes })));
  for (const vm of first) await vm.start();
  await untilAll(first, (vm) => printed(vm).includes(ready), performance.now() + timeoutSeconds * 1000);
  const before = processMemoryBytes();
  const vms: HostedVm[] = [];
  let end: string | undefined;
  for (let i = 0; i < most && end === undefined; i++) {
    status(`${guest}: making ${i + 1} of ${most}`);
    try {
      vms.push(await host.createVm({ boot, memoryBytes }));
    } catch (error) {
      end = error instanceof Error ? error.message : String(error);
    }
  }
  const started = performance.now();
  const deadline = started + timeoutSeconds * 1000;
  for (const vm of vms) await vm.start();
  status(`${guest}: waiting for ${vms.length}`);
  const up = await untilAll(vms, (vm) => printed(vm).includes(ready), deadline);
  const startSeconds = (performance.now() - started) / 1000;
  const asked = performance.now();
  const marks = vms.map((vm) => printed(vm).length);
  if (tiny) for (const [i, vm] of vms.entries()) vm.serial().write(`echo answer${i}\r`);
  const progress = await untilAll(
    vms,
    // Linux prints by itself; what it printed after it was up counts.
    (vm, i) => (tiny ? printed(vm).includes(`\nanswer${i}\r`) : printed(vm).slice(marks[i]).includes("alive ")),
    asked + timeoutSeconds * 1000,
  );
  const bytesPerVm = (processMemoryBytes() - before) / Math.max(1, vms.length);
  return {
    guest,
    asked: most,
    made: vms.length,
    up,
    progress,
    end,
    startsPerSecond: up / startSeconds,
    progressSeconds: (performance.now() - asked) / 1000,
    bytesPerVm,
    touched: one,
    beyondBytes: one === undefined ? undefined : bytesPerVm - one.ramBytes,
  };
}

function printed(vm: HostedVm): string {
  return new TextDecoder("latin1").decode(vm.scrollback());
}

/** How many of `vms` have done it when all have, or at `deadlineMs` on performance.now's clock. */
async function untilAll(
  vms: readonly HostedVm[],
  done: (vm: HostedVm, index: number) => boolean,
  deadlineMs: number,
): Promise<number> {
  let open = vms.map((_, i) => i);
  while (open.length > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    open = open.filter((i) => !done(vms[i] as HostedVm, i));
  }
  return vms.length - open.length;
}

interface Touched {
  readonly ramBytes: number;
  /** What the core keeps about it: decoded code, TLBs, tables. */
  readonly derivedBytes: number;
}

/** What one such guest has touched when it is ready; undefined where the host does not tell (not Linux). */
async function touched(boot: BootSource, memoryBytes: number, ready: string): Promise<Touched | undefined> {
  const before = new Set(writableMappings().map(({ start }) => start));
  await using vm = await Vm.create({ boot, memoryBytes });
  let text = "";
  await new Promise<void>((resolve) => {
    vm.on("serial", ({ bytes }) => {
      text = (text + new TextDecoder("latin1").decode(bytes)).slice(-4096);
      if (text.includes(ready)) resolve();
    });
    vm.start();
  });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await vm.pause();
  const memory = writableMappings().find(({ start, end }) => !before.has(start) && end - start > memoryBytes);
  if (memory === undefined) return undefined;
  // RAM is the last part of a VM's memory (src/vmm/memory.ts).
  const ram = memory.end - memoryBytes;
  return {
    ramBytes: residentBytes({ start: ram, end: memory.end }),
    derivedBytes: residentBytes({ start: memory.start, end: ram }),
  };
}

/** `count` guests that never idle, on one pCPU. */
async function overhead(count: number, seconds: number): Promise<Overhead> {
  await using host = await Host.create({ pcpus: 1, capacity: { memory: "1000T" } });
  const vms: HostedVm[] = [];
  for (let i = 0; i < count; i++) {
    status(`overhead: making ${i + 1} of ${count}`);
    vms.push(await host.createVm({ boot: spinner(), memoryBytes: MIB }));
  }
  for (const vm of vms) await vm.start();
  const look = async () => {
    const statistics = await Promise.all(vms.map((vm) => vm.statistics()));
    const [account] = await host.accounts();
    if (account === undefined) throw new VmError("internal", "The host has no pCPU.");
    return { ...account, instructions: statistics.reduce((sum, { instructions }) => sum + instructions, 0) };
  };
  await new Promise((resolve) => setTimeout(resolve, 500));
  status(`overhead: ${count} guests, ${seconds} s`);
  const before = await look();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await look();
  const elapsed = after.upNs - before.upNs;
  return {
    guests: count,
    lost: Math.max(0, 1 - (after.busyNs - before.busyNs) / elapsed),
    switchesPerSecond: ((after.switches - before.switches) / elapsed) * 1e9,
    instructionsPerSecond: ((after.instructions - before.instructions) / elapsed) * 1e9,
  };
}

function makeReport(
  densities: readonly Density[],
  overheads: readonly Overhead[],
  circumstances: Report["circumstances"],
): Report {
  const mib = (bytes: number | undefined): string => (bytes === undefined ? "-" : (bytes / MIB).toFixed(2));
  const densityTable = table(
    [
      "",
      "made",
      "up",
      "progress",
      "starts/s",
      "all answer in, s",
      "MiB a VM",
      "of it guest RAM",
      "beyond",
      "of it decoded code, tables",
    ],
    densities.map((row) => [
      row.guest,
      row.made < row.asked ? `${row.made} of ${row.asked}` : String(row.made),
      String(row.up),
      String(row.progress),
      row.startsPerSecond.toFixed(1),
      row.progressSeconds.toFixed(1),
      mib(row.bytesPerVm),
      mib(row.touched?.ramBytes),
      mib(row.beyondBytes),
      mib(row.touched?.derivedBytes),
    ]),
  );
  const alone = overheads[0]?.instructionsPerSecond;
  const overheadTable = table(
    ["guests", "pCPU time lost", "switches/s", "MIPS", "of one guest's"],
    overheads.map((row) => [
      String(row.guests),
      `${(row.lost * 100).toFixed(2)}%`,
      row.switchesPerSecond.toFixed(0),
      (row.instructionsPerSecond / 1e6).toFixed(0),
      alone === undefined ? "-" : `${((row.instructionsPerSecond / alone) * 100).toFixed(1)}%`,
    ]),
  );
  const ends = densities.flatMap(({ guest, end }) => (end === undefined ? [] : [`- ${guest}: no more, ${end}`]));
  return {
    name: "density",
    title: "Density: guests on one machine",
    circumstances,
    body: `Guests of ${TINY_BYTES / MIB} MiB (hello) and ${LINUX_BYTES / MIB} MiB (Linux) on all pCPUs. All are made, then \
started together, beside one on each pCPU that is not counted; *up*: printed the prompt, or the first word of init's script; *progress*: with all of them running, answered \
a command (hello) or printed another line (Linux). Memory is the growth of the process (PSS) divided by the VMs; guest RAM \
and decoded code are what one such guest had touched when it was up. Bar: at most ${BAR_BYTES / MIB} MiB beyond.

${densityTable}

${ends.join("\n")}

## Scheduling overhead

Guests that never idle on one pCPU, policy credit. Lost is the pCPU's time in which no vCPU ran.

${overheadTable}`,
    chart: {
      title: "pCPU time lost to scheduling",
      unit: "percent",
      series: ["lost"],
      groups: overheads.map((row) => ({ label: `${row.guests} guests`, values: [row.lost * 100] })),
    },
    data: { densities, overheads, barBytes: BAR_BYTES },
  };
}
