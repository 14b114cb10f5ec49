// Reads what a VM specification names: ROMs, images and files of this machine.

import { CONTROLS } from "../../spec/virtualization.ts";
import type { HostedVmConfig } from "../host/host.ts";
import { givenLimits } from "../host/limit-fields.ts";
import { nicOfSpec } from "../host/network-fields.ts";
import { ramOf } from "../host/resources/run-claims.ts";
import { driveOfSpec, givenFields, type NicSpec, type VmSpec } from "../host/vm-spec.ts";
import type { BootDevice } from "../vmm/config.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import { parseBootOrder } from "./drives.ts";
import { resolveGuest } from "./guest.ts";
import { isFlat, refuseContradictions } from "./machine-options.ts";
import { readRom } from "./nics.ts";
import type { Progress } from "./progress.ts";
import { UsageError } from "./values.ts";

/** Throws VmError("bad-config" | "not-found" | "bad-image"). */
export async function resolveVmSpec(spec: VmSpec, progress: Progress): Promise<HostedVmConfig> {
  const {
    name,
    guest,
    kernel,
    initrd,
    append,
    bios,
    overlay,
    boot,
    memoryMib,
    scheduling,
    resources,
    pcpu,
    drives,
    nics,
    limits,
    modules,
    as,
    loadAddress,
    entry,
    mode,
    guestDecompress,
    vgaBios,
    controls,
    ...machine
  } = spec;
  const boots = { kernel, bios, initrd, append, as, load: loadAddress, entry, mode };
  let resolved: Awaited<ReturnType<typeof resolveGuest>>;
  let cards: readonly NicConfig[];
  let bootOrder: readonly BootDevice[] | undefined;
  try {
    refuseContradictions(guest, boots);
    cards = await Promise.all((nics ?? []).map(cardOfSpec));
    bootOrder = boot === undefined ? undefined : parseBootOrder(boot);
    resolved = await resolveGuest(
      {
        guest,
        kernel,
        initrd,
        append,
        bios,
        modules: (modules ?? []).map(({ file, append = file }) => ({ path: file, append })),
        as: isFlat(boots) ? "flat" : as,
        loadAddress,
        entry,
        mode,
        guestDecompress,
        fromDisk: (drives ?? []).length > 0,
        display: machine.display ?? (vgaBios === undefined ? undefined : "vga"),
        vgaBios,
        virt: machine.virt,
        overlay,
        nics: cards,
        bootOrder,
      },
      progress,
    );
  } catch (error) {
    throw inFields(error);
  }
  const memoryBytes = memoryMib === undefined ? ramOf("resources", resources) : memoryMib * 2 ** 20;
  const allDrives = [...(resolved.drives ?? []), ...(drives ?? []).map((drive, i) => driveOfSpec(drive, `drive${i}`))];
  return {
    ...resolved.defaults,
    ...givenFields(machine),
    ...(vgaBios === undefined || machine.display !== undefined ? {} : { display: "vga" }),
    ...(controls === undefined ? {} : { controls: controls === "all" ? CONTROLS.map(({ name }) => name) : controls }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(resources === undefined ? {} : { resources }),
    ...(name === undefined ? {} : { name }),
    ...(scheduling === undefined ? {} : { scheduling: givenFields(scheduling) }),
    ...(pcpu === undefined ? {} : { pcpu }),
    ...(nics === undefined ? {} : { nics: resolved.nics ?? cards }),
    ...(bootOrder === undefined ? {} : { bootOrder }),
    ...(allDrives.length === 0 ? {} : { drives: allDrives }),
    ...(limits === undefined ? {} : { limits: givenLimits(limits) }),
    boot: resolved.boot,
  };
}

async function cardOfSpec(spec: NicSpec, i: number): Promise<NicConfig> {
  const { romFile, ...card } = spec;
  const nic = nicOfSpec(card, `net${i}`, `nics[${i}]`);
  return romFile === undefined ? nic : { ...nic, bootRom: readRom(romFile, `nics[${i}]`) };
}

/** Options whose field has another name than theirs. */
const FIELD_OF_OPTION: Readonly<Record<string, string>> = { load: "loadAddress", memory: "memoryMib" };

/** What options are called in a message, a specification calls its fields: "--guest-decompress" is guestDecompress. */
function inFields(error: unknown): unknown {
  if (!(error instanceof UsageError)) return error;
  const message = error.message.replace(
    /--([a-z]+(?:-[a-z]+)*)/g,
    (_, option: string) =>
      FIELD_OF_OPTION[option] ?? option.replace(/-([a-z])/g, (_dash, letter: string) => letter.toUpperCase()),
  );
  return new VmError("bad-config", message, {}, { cause: error });
}
