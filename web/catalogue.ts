// The guests that lie beside the page: our own ROMs, and images that its server has.
import type { BootSource } from "../src/index.ts";
import { beside } from "./beside.ts";
import { fetchBytes, fetchJson } from "./fetch.ts";
import { ROM_LIST, type RomRow, romUrl } from "./rom-list.ts";

export interface Preset {
  /** What a URL names it by. */
  readonly name: string;
  readonly title: string;
  readonly kind: "rom" | "linux" | "firmware";
  readonly memoryBytes: number;
  readonly cpu?: string;
  readonly append?: string;
  /** A program that tests the machine. */
  readonly test: boolean;
  /** Fetches what it boots. Throws VmError("not-found" | "host"). */
  load(append: string | undefined): Promise<BootSource>;
  /** Other files of the image, "vgabios" for one. */
  file(name: string): Promise<Uint8Array | undefined>;
}

/** Row of images.json; src/platform/node/page-server.ts makes it. */
interface ImageRow {
  readonly name: string;
  readonly title: string;
  readonly kind: "linux" | "firmware";
  readonly append: string;
  readonly memoryBytes?: number;
  readonly files: readonly string[];
}

const MIB = 2 ** 20;
const LINUX_MEMORY = 128 * MIB;

let rows: Promise<readonly RomRow[]> | undefined;

function romRows(): Promise<readonly RomRow[]> {
  rows ??= fetchJson(ROM_LIST);
  return rows;
}

export async function loadCatalogue(): Promise<Preset[]> {
  const [roms, images] = await Promise.all([
    romRows(),
    // A page on a plain file server has no images.
    fetchJson<ImageRow[]>("./images.json").catch(() => []),
  ]);
  return [...roms.map(romPreset), ...images.map(imagePreset)];
}

/** Our ROM alone, without waiting for a list. */
export async function loadRom(name: string): Promise<Preset | undefined> {
  return (await romRows()).filter((row) => row.name === name).map(romPreset)[0];
}

function romPreset(row: RomRow): Preset {
  const { name, title, kind, cpu } = row;
  return {
    name,
    title,
    kind: "rom",
    test: row.test ?? false,
    memoryBytes: row.memoryBytes ?? 16 * MIB,
    ...(cpu === undefined ? {} : { cpu }),
    ...(row.append === undefined ? {} : { append: row.append }),
    load: async (append = row.append) => {
      const image = await fetchBytes(romUrl(row));
      switch (kind) {
        case "multiboot":
          return { kind, kernel: image, name, ...(append === undefined ? {} : { append }) };
        case "elf":
          return { kind, kernel: image };
        case "firmware":
          return { kind, image };
        case "flat":
          return {
            kind,
            image,
            address: row.address ?? 0,
            mode: row.mode ?? "protected",
            ...(row.entry === undefined ? {} : { entry: row.entry }),
          };
      }
    },
    file: async () => undefined,
  };
}

function imagePreset(row: ImageRow): Preset {
  const { name, title, kind, files } = row;
  const read = (file: string): Promise<Uint8Array> => fetchBytes(beside(`./images/${name}/${file}`));
  return {
    name,
    title,
    kind,
    test: false,
    memoryBytes: row.memoryBytes ?? LINUX_MEMORY,
    append: row.append,
    load: async (append = row.append) => {
      if (kind === "firmware") return { kind, image: await read("firmware") };
      const [kernel, initrd] = await Promise.all([
        read("kernel"),
        files.includes("initrd") ? read("initrd") : undefined,
      ]);
      return { kind, kernel, append, ...(initrd === undefined ? {} : { initrd }) };
    },
    file: async (file) => (files.includes(file) ? await read(file) : undefined),
  };
}
