// `paravane roms`: our own guests.
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { readRomManifest } from "./roms.ts";

export function listRomsVerb(json: boolean, io: CliIo): number {
  const manifest = readRomManifest();
  if (json) {
    io.stdout.write(`${JSON.stringify(manifest, null, 2)}\n`);
    return EXIT_OK;
  }
  const width = Math.max(...manifest.roms.map((rom) => rom.name.length));
  for (const rom of manifest.roms)
    io.stdout.write(`${rom.name.padEnd(width)}  ${rom.title}${rom.name === manifest.default ? " (default)" : ""}\n`);
  return EXIT_OK;
}
