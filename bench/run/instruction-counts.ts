// How many instructions do fixed pieces of guest work retire? With the virtual clock the answer is exact and the same on
// every host, so a change of it is a change of the machine: of its timing, of an instruction, of a device.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { resolveGuest } from "../../src/cli/guest.ts";
import { readRomImage, readRomManifest } from "../../src/cli/roms.ts";
import { INIT_BANNER } from "../../src/images/init.ts";
import { sha256 } from "../../src/images/node/cache.ts";
import { ImageCache } from "../../src/images/node/index.ts";
import type { BootSource, VmConfig } from "../../src/index.ts";
import { VmError } from "../../src/vmm/error.ts";
import { compileInit, makeBenchGuest } from "./bench-guest.ts";
import { type BenchGuest, MEMORY_BYTES, openGuest, Scratch } from "./guest-files.ts";
import { runVirtually } from "./virtual-run.ts";

/** The counts of one guest, good for exactly these bytes. */
export interface GuestCounts {
  /** Hex SHA-256 of what it is made of: "kernel", "initrd" or "rom". */
  readonly made: Readonly<Record<string, string>>;
  /** Instructions by what they did; "end" is all of them. */
  readonly instructions: Readonly<Record<string, number>>;
}

export interface CountsFile {
  readonly command: string;
  readonly guests: Readonly<Record<string, GuestCounts>>;
}

/** A guest that can be counted. */
export interface CountedGuest {
  readonly name: string;
  readonly made: Readonly<Record<string, string>>;
  count(): Promise<GuestCounts>;
}

export const COUNTS_FILE = fileURLToPath(new URL("../instruction-counts.json", import.meta.url));
export const UPDATE_COMMAND = "npm run bench:counts -- --update";

/** A fiftieth of the benchmark's usual work: a second on a machine of today. */
const PERCENT = 2;

export function readCounts(): CountsFile {
  return JSON.parse(readFileSync(COUNTS_FILE, "utf8")) as CountsFile;
}

export function writeCounts(guests: CountsFile["guests"]): void {
  writeFileSync(COUNTS_FILE, `${JSON.stringify({ command: UPDATE_COMMAND, guests }, null, 2)}\n`);
}

/** Our ROM `hello`, with what the manifest says that one types. */
export async function romGuest(): Promise<CountedGuest> {
  const rom = readRomManifest().roms.find(({ name }) => name === "hello");
  if (rom === undefined) throw new VmError("not-found", "roms/manifest.json has no ROM named hello.");
  const image = await readRomImage(rom);
  const { name } = rom;
  const none = undefined;
  const request = {
    guest: name,
    kernel: none,
    initrd: none,
    append: none,
    bios: none,
    as: none,
    loadAddress: none,
    entry: none,
    modules: [],
    guestDecompress: false,
  };
  const made = { rom: sha256(image) };
  return {
    name: rom.name,
    made,
    count: async () => {
      const { boot, defaults } = await resolveGuest(request, { show: () => {}, done: () => {} });
      const instructions = await countInstructions({ ...defaults, boot }, () => undefined, rom.input);
      return { made, instructions };
    },
  };
}

/** Debian's stock kernel from power-on to its end. Pulls the image, some seconds, if need be. */
export async function debianGuest(): Promise<CountedGuest> {
  return linuxGuest("linux", await openGuest("linux"), "paravane.run=true", toInit);
}

/** Why linux-tiny cannot be counted here without building it first; undefined when it can. */
export async function linuxMissing(): Promise<string | undefined> {
  const manifest = await new ImageCache().readManifest("linux-tiny").catch(() => undefined);
  return manifest === undefined
    ? 'linux-tiny is not in the image cache; "paravane images pull linux-tiny" builds it'
    : undefined;
}

/** The boot of linux-tiny to its end, and our benchmark programs in it. Pulls the image if need be. */
export async function linuxGuests(): Promise<CountedGuest[]> {
  await using scratch = await Scratch.create();
  const bench = await makeBenchGuest(compileInit(scratch));
  const programs = (line: string): string | undefined => /^bench: ((?:begin|end) \S+)/.exec(line)?.[1];
  return [
    linuxGuest("linux-tiny", await openGuest("linux-tiny"), "paravane.run=true", toInit),
    linuxGuest("programs", bench, `bench_percent=${PERCENT}`, programs),
  ];
}

function toInit(line: string): string | undefined {
  return line.includes(INIT_BANNER) ? "power-on to init" : undefined;
}

function linuxGuest(
  name: string,
  guest: BenchGuest,
  append: string,
  markOf: (line: string) => string | undefined,
): CountedGuest {
  const { kernel, initrd } = guest;
  const boot: BootSource = { kind: "linux", kernel, initrd, append: `console=ttyS0 ${append}` };
  const made = { kernel: guest.kernelDigest, initrd: guest.initrdDigest };
  return {
    name,
    made,
    count: async () => ({
      made,
      instructions: sections(await countInstructions({ boot, memoryBytes: MEMORY_BYTES }, markOf)),
    }),
  };
}

/** Two marks "begin X" and "end X" become one number, X: the instructions between them. */
function sections(marks: Readonly<Record<string, number>>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [mark, at] of Object.entries(marks)) {
    const name = /^end (.+)$/.exec(mark)?.[1];
    const begin = name === undefined ? undefined : marks[`begin ${name}`];
    if (name !== undefined && begin !== undefined) counts[name] = at - begin;
    else if (!mark.startsWith("begin ")) counts[mark] = at;
  }
  return counts;
}

/** A line for which `markOf` returns a name is marked with the instructions retired when it was complete. */
async function countInstructions(
  config: VmConfig,
  markOf: (line: string) => string | undefined,
  input?: string,
): Promise<Record<string, number>> {
  const marks: Record<string, number> = {};
  const end = await runVirtually(config, input, (line, instructions) => {
    const mark = markOf(line);
    if (mark !== undefined) marks[mark] ??= instructions;
  });
  return { ...marks, end };
}
