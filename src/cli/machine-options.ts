// The options that say what machine there is and what it boots, which `run`, `debug` and `create` share (run-options.ts has
// their names): from the parser's words to checked values.
import { PAGING_KINDS, type PagingKind, VIRT_PRESETS, type VirtKind } from "../../spec/virtualization.ts";
import {
  BOOT_KINDS,
  type BootDevice,
  type BootKind,
  CLOCK_SYNC_MODES,
  type ClockKind,
  type DisplayKind,
  FLAT_MODES,
  type FlatMode,
  type VmConfig,
} from "../vmm/config.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import type { DisplayOptions, RawDisplayOptions } from "./display-options.ts";
import { parseBootOrder, parseDrives, type RawDriveOptions } from "./drives.ts";
import { checkCpu, parseControls, parseNsPerInstruction, parseParavirt, parseWall } from "./machine-values.ts";
import { parseNics, type RawNicOptions } from "./nics.ts";
import { parseDevices } from "./qemu.ts";
import { parseAddress, parseChoice, parseMemory, parsePort, UsageError } from "./values.ts";

/** What the parser hands over: every value as typed. */
export interface RawMachineOptions extends RawDriveOptions, RawNicOptions, Pick<RawDisplayOptions, "vga" | "vgaBios"> {
  kernel?: string;
  initrd?: string;
  append?: string;
  bios?: string;
  overlay?: string;
  module?: string[];
  as?: string;
  load?: string;
  entry?: string;
  mode?: string;
  memory?: string;
  cpu?: string;
  pv?: string;
  virt?: string;
  paging?: string;
  controls?: string;
  clock?: string;
  clockSync?: string;
  nsPerInstruction?: string;
  wall?: string;
  postPort?: string;
  debugExit?: string;
  reboot?: boolean;
  apic?: boolean;
  acpi?: boolean;
  hpet?: boolean;
  rng?: boolean;
  balloon?: boolean;
  testDevice?: boolean;
  guestDecompress?: boolean;
  rebootOnTripleFault?: boolean;
}

const VIRT_KINDS = Object.keys(VIRT_PRESETS) as VirtKind[];
const PAGINGS = Object.keys(PAGING_KINDS) as PagingKind[];
const CLOCKS: readonly ClockKind[] = ["real", "virtual"];

/** Which files make the guest; contents are read by guest.ts. */
export interface GuestRequest {
  /** ROM, image or file name; undefined with --kernel or --bios. */
  readonly guest: string | undefined;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly append: string | undefined;
  readonly bios: string | undefined;
  /** Multiboot modules: files, and the whole command line of each. */
  readonly modules: readonly { readonly path: string; readonly append: string }[];
  readonly as: BootKind | undefined;
  readonly loadAddress: number | undefined;
  readonly entry: number | undefined;
  /** How a flat binary starts; undefined: in protected mode. */
  readonly mode?: FlatMode | undefined;
  readonly guestDecompress: boolean;
  /** There are drives: where nothing else says what to boot, firmware boots from them. */
  readonly fromDisk?: boolean;
  /** The graphics adapter; undefined: what the guest has by default. */
  readonly display?: DisplayKind | undefined;
  /** File of its VGA BIOS; undefined: Debian's, where one is of use. */
  readonly vgaBios?: string | undefined;
  /** The disk of an image that is one is virtio's in a machine that is all "para", else on IDE. */
  readonly virt?: VirtKind | undefined;
  /** File that what the guest writes to it goes to, and stays. */
  readonly overlay?: string | undefined;
  readonly nics?: readonly NicConfig[];
  /** What firmware tries; undefined: its default, which has no network. */
  readonly bootOrder?: readonly BootDevice[] | undefined;
}

/** What to boot, and everything else of the machine: only what was given. */
export interface MachineOptions {
  readonly request: GuestRequest;
  readonly machine: Partial<Omit<VmConfig, "boot">>;
}

/** Throws UsageError for the first value that is not acceptable. */
export function checkMachineOptions(
  guest: string | undefined,
  raw: RawMachineOptions,
  display: Pick<DisplayOptions, "adapter" | "vgaBios">,
): MachineOptions {
  const devices = parseDevices(raw.device ?? []);
  const virt = given(raw.virt, (text) => parseChoice(text, "--virt", VIRT_KINDS));
  const drives = parseDrives(raw);
  const nics = parseNics(raw);
  const bootOrder = given(raw.boot, parseBootOrder);
  const machine: Partial<Record<keyof VmConfig, unknown>> = {
    memoryBytes: given(raw.memory, (text) => parseMemory(text)),
    cpu: given(raw.cpu, checkCpu),
    paravirt: given(raw.pv, parseParavirt),
    virt,
    paging: given(raw.paging, (text) => parseChoice(text, "--paging", PAGINGS)),
    controls: given(raw.controls, parseControls),
    clock: given(raw.clock, (text) => parseChoice(text, "--clock", CLOCKS)),
    clockSync: given(raw.clockSync, (text) => parseChoice(text, "--clock-sync", CLOCK_SYNC_MODES)),
    nsPerInstruction: given(raw.nsPerInstruction, parseNsPerInstruction),
    wallSeconds: given(raw.wall, parseWall),
    postPort: given(raw.postPort, (text) => parsePort(text, "--post-port")),
    debugExitPort:
      raw.debugExit === "off"
        ? false
        : (given(raw.debugExit, (text) => parsePort(text, "--debug-exit")) ?? devices.debugExitPort),
    testDevice: raw.testDevice || devices.testDevice || undefined,
    onReset: raw.reboot === false ? "exit" : undefined,
    onTripleFault: raw.rebootOnTripleFault ? "reboot" : undefined,
    apic: raw.apic === false ? false : undefined,
    acpi: raw.acpi === false ? false : undefined,
    hpet: raw.hpet || undefined,
    rng: raw.rng || undefined,
    balloon: raw.balloon || undefined,
    drives: drives.length > 0 ? drives : undefined,
    nics: nics.length > 0 ? nics : undefined,
    bootOrder,
    display: display.adapter,
  };
  if (raw.clockSync !== undefined && raw.clock === "virtual")
    throw new UsageError("--clock-sync has a meaning only with --clock real");
  if (raw.nsPerInstruction !== undefined && raw.clock !== "virtual")
    throw new UsageError("--ns-per-instruction has a meaning only with --clock virtual");
  return {
    request: {
      ...checkBoot(guest, raw),
      fromDisk: drives.length > 0,
      display: display.adapter,
      vgaBios: display.vgaBios,
      virt,
      overlay: raw.overlay,
      nics,
      bootOrder,
    },
    machine: Object.fromEntries(Object.entries(machine).filter(([, value]) => value !== undefined)),
  };
}

/** Undefined stays undefined. */
export function given<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text);
}

/** What is given of what says how to boot; who asks for it spells the values in a way of their own. */
export type BootFields = Readonly<
  Partial<Record<"kernel" | "bios" | "initrd" | "append" | "as" | "load" | "entry" | "mode", unknown>>
>;

/** Throws UsageError where two of them contradict each other. */
export function refuseContradictions(guest: string | undefined, fields: BootFields): void {
  const named = [
    guest !== undefined && `the guest "${guest}"`,
    fields.kernel !== undefined && "--kernel",
    fields.bios !== undefined && "--bios",
  ].filter(Boolean);
  if (named.length > 1) throw new UsageError(`${named.join(" and ")} both say what to boot; give one of them`);
  if (fields.initrd !== undefined && fields.bios !== undefined)
    throw new UsageError("--initrd has no meaning with --bios: firmware finds its own files");
  if (fields.append !== undefined && fields.bios !== undefined)
    throw new UsageError("--append has no meaning with --bios: firmware takes no command line");
  const { as } = fields;
  if (as !== undefined && as !== "flat" && fields.load !== undefined)
    throw new UsageError(`--load has a meaning only for flat binaries, not with --as ${as}`);
  for (const name of ["entry", "mode"] as const) {
    if (fields[name] !== undefined && !isFlat(fields))
      throw new UsageError(`--${name} has a meaning only for flat binaries; give --load too`);
  }
  if (as === "flat" && fields.load === undefined)
    throw new UsageError("--as flat needs --load, the address where the binary goes");
}

/** An address says that it is flat. */
export function isFlat({ as, load }: BootFields): boolean {
  return as === "flat" || (as === undefined && load !== undefined);
}

function checkBoot(
  guest: string | undefined,
  raw: RawMachineOptions,
): Omit<GuestRequest, "fromDisk" | "display" | "vgaBios" | "virt" | "overlay" | "nics" | "bootOrder"> {
  const as = given(raw.as, (text) => parseChoice(text, "--as", BOOT_KINDS));
  refuseContradictions(guest, raw);
  return {
    guest,
    kernel: raw.kernel,
    initrd: raw.initrd,
    append: raw.append,
    bios: raw.bios,
    modules: (raw.module ?? []).map(moduleOf),
    as: isFlat(raw) ? "flat" : as,
    loadAddress: given(raw.load, (text) => parseAddress(text, "--load")),
    entry: given(raw.entry, (text) => parseAddress(text, "--entry")),
    mode: given(raw.mode, (text) => parseChoice(text, "--mode", FLAT_MODES)),
    guestDecompress: raw.guestDecompress ?? false,
  };
}

/** "a.mod words": the file, and its command line, which begins with it. */
export function moduleOf(text: string): GuestRequest["modules"][number] {
  const append = text.trim();
  return { path: append.split(/\s+/, 1)[0] ?? "", append };
}
