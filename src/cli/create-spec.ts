// `paravane create`: the machine that the options of `run` describe, as the API takes it.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { checkDisplayOptions } from "./display-options.ts";
import { driveSpecs } from "./drive-spec.ts";
import { checkMachineOptions, type RawMachineOptions } from "./machine-options.ts";
import { nicSpecs } from "./nic-spec.ts";

/** Only what was given. The server has a folder of its own: files are named from the root. Throws UsageError. */
export function machineSpec(guest: string | undefined, raw: RawMachineOptions): Record<string, unknown> {
  const { request, machine } = checkMachineOptions(guest, raw, checkDisplayOptions(raw));
  const { memoryBytes, drives, nics, bootOrder: _letters, ...same } = machine;
  const { kernel, initrd, append, bios, modules, as, loadAddress, entry, mode, guestDecompress } = request;
  const spec = {
    ...same,
    guest: guest !== undefined && isFile(guest) ? resolve(guest) : guest,
    kernel: absolute(kernel),
    initrd: initrd === undefined ? undefined : absoluteList(initrd),
    append,
    bios: absolute(bios),
    modules: modules.length === 0 ? undefined : modules.map(({ path, append }) => ({ file: resolve(path), append })),
    as,
    loadAddress,
    entry,
    mode,
    guestDecompress: guestDecompress || undefined,
    overlay: absolute(request.overlay),
    vgaBios: absolute(request.vgaBios),
    boot: raw.boot?.replace(/^order=/, ""),
    memoryMib: memoryBytes === undefined ? undefined : memoryBytes / 2 ** 20,
    drives: drives === undefined ? undefined : driveSpecs(raw),
    nics: nics === undefined ? undefined : nicSpecs(raw),
  };
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

/** Names of ROMs and images have neither folder nor ending. */
function isFile(guest: string): boolean {
  return guest.includes("/") || (/\.\w+$/.test(guest) && existsSync(guest));
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}

/** One file, or a multiboot kernel's "a.mod words,b.mod". */
function absoluteList(text: string): string {
  return existsSync(text)
    ? resolve(text)
    : text
        .split(",")
        .map((part) => resolve(part.trim()))
        .join(",");
}
