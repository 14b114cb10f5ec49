// Our own guests: roms/manifest.json says what each is, needs and must print.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { VmError } from "../vmm/error.ts";
import { findPackage } from "./package-root.ts";

export interface RomEntry {
  /** What one types: `paravane run NAME`. */
  readonly name: string;
  /** One line about what it shows or tests. */
  readonly title: string;
  /** Binary and source, relative to roms/. */
  readonly file: string;
  readonly source: string;
  /** Shell command that makes the binary from the source, run in roms/; {file} and {source} stand for the paths. */
  readonly build: string;
  /** Name and major version of the compiler of a ROM in C: another one makes other bytes. */
  readonly compiler?: string;
  readonly kind: "multiboot" | "elf" | "flat" | "firmware";
  /** Load address of a flat ROM. */
  readonly address?: number;
  readonly entry?: number;
  readonly mode?: "real" | "protected";
  readonly needs?: {
    readonly memory?: string;
    readonly cpu?: string;
    readonly apic?: boolean;
    readonly testDevice?: boolean;
  };
  readonly append?: string;
  /** What a test types on COM1. */
  readonly input?: string;
  /** Regular expression that a line of its console must match. */
  readonly expect?: string;
  /** Exit code of the process when all is well; 0 = power-off. */
  readonly exitCode?: number;
  /** Words for selecting ROMs ("test", "qemu-differs"). */
  readonly tags?: readonly string[];
}

/** A program for guests of others, not a guest itself. */
export type GuestProgram = Pick<RomEntry, "name" | "title" | "file" | "source" | "build" | "compiler">;

export interface RomManifest {
  /** The guest of `paravane run` without a name. */
  readonly default: string;
  readonly roms: readonly RomEntry[];
  readonly programs: readonly GuestProgram[];
}

export function romFolder(): string {
  return join(findPackage().root, "roms");
}

export function readRomManifest(folder = romFolder()): RomManifest {
  return JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as RomManifest;
}

export async function readRomImage(rom: RomEntry | GuestProgram, folder = romFolder()): Promise<Uint8Array> {
  try {
    return await readFile(join(folder, rom.file));
  } catch (cause) {
    throw new VmError(
      "not-found",
      `the ROM ${rom.name} has no binary at roms/${rom.file}; make it with: npm run build:roms`,
      { rom: rom.name },
      { cause },
    );
  }
}
