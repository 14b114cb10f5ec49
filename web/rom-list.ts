// Our own ROMs beside the page.
import { beside } from "./beside.ts";

export const ROM_LIST = "./roms.json";

/** Row of roms.json; tools/build-web.mjs makes it of roms/manifest.json. */
export interface RomRow {
  readonly name: string;
  readonly title: string;
  readonly file: string;
  readonly kind: "multiboot" | "elf" | "flat" | "firmware";
  readonly address?: number;
  readonly entry?: number;
  readonly mode?: "real" | "protected";
  readonly memoryBytes?: number;
  readonly cpu?: string;
  readonly append?: string;
  readonly test?: boolean;
}

export function romUrl({ file }: Pick<RomRow, "file">): string {
  return beside(`./roms/${file}`);
}
