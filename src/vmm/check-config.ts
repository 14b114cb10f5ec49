// Checks a configuration before anything starts: one error that names the field, what it is and what is accepted.
import type { ParavirtName } from "../../spec/cpuid.ts";
import type { ControlName, PagingKind } from "../../spec/virtualization.ts";
import { DEFAULT_MAX_SLEW_PPM, DEFAULT_STEP_THRESHOLD_NS, MAX_SLEW_PPM_LIMIT } from "../host/clock/discipline.ts";
import { type CheckedDevices, checkDevices } from "./check-devices.ts";
import { bytes, flag, image, integer, oneOf, optionRom, refuse, text } from "./check-values.ts";
import { checkVirtualization } from "./check-virtualization.ts";
import {
  type BootSource,
  CLOCK_SYNC_MODES,
  type ClockSyncConfig,
  type ClockSyncMode,
  type DisplayKind,
  type VmConfig,
} from "./config.ts";
import { VmError } from "./error.ts";
import { RAM_MAX, RAM_MIN } from "./memory.ts";
import type { TraceKind } from "./status.ts";

export const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;
const PAGE = 4096;
const KIB = 1024;
/** 2000-01-01: where a virtual clock's calendar starts, the same in every run. */
export const VIRTUAL_EPOCH_SECONDS = 946_684_800;
/** Largest wall clock that an RTC with a century byte can show: 9999-12-31. */
const WALL_MAX = 253_402_300_799;
export const FIRMWARE_MAX = 8 * 1024 * KIB;
export const FIRMWARE_UNIT = 64 * KIB;

const TRACE_KINDS: readonly TraceKind[] = ["port", "mmio", "msr", "exit", "exception", "hypercall", "irq"];
const FIELDS: ReadonlySet<string> = new Set<keyof VmConfig>([
  "name",
  "memoryBytes",
  "cpu",
  "paravirt",
  "virt",
  "paging",
  "controls",
  "clock",
  "clockSync",
  "nsPerInstruction",
  "boot",
  "core",
  "postPort",
  "apic",
  "acpi",
  "hpet",
  "wallSeconds",
  "display",
  "vgaBios",
  "serialPorts",
  "debugExitPort",
  "testDevice",
  "onReset",
  "onTripleFault",
  "timeoutMs",
  "signal",
  "trace",
  "drives",
  "bootOrder",
  "rng",
  "balloon",
  "nics",
  "consoles",
  "shares",
  "vsock",
  "inputs",
  "limits",
]);

export interface CheckedClockSync {
  readonly mode: ClockSyncMode;
  readonly maxSlewPpm: number;
  readonly stepThresholdNs: number;
}

/** The configuration with every default filled in. */
export interface CheckedConfig extends CheckedDevices {
  readonly name: string;
  readonly memoryBytes: number;
  readonly cpu: string;
  readonly paravirt: readonly ParavirtName[];
  readonly paging: PagingKind;
  readonly controls: readonly ControlName[];
  readonly clock: "real" | "virtual";
  readonly clockSync: CheckedClockSync;
  readonly psPerInstruction: number;
  readonly boot: BootSource;
  readonly core: WebAssembly.Module | undefined;
  readonly postPort: number;
  readonly apic: boolean;
  readonly acpi: boolean;
  readonly hpet: boolean;
  readonly wallSeconds: number | undefined;
  readonly display: DisplayKind;
  readonly vgaBios: Uint8Array | undefined;
  readonly serialPorts: number;
  readonly debugExitPort: number | undefined;
  readonly testDevice: boolean;
  readonly onReset: "reboot" | "exit";
  readonly onTripleFault: "exit" | "reboot";
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly trace: readonly TraceKind[];
}

/** Throws VmError("bad-config"); the images themselves are the boot code's to judge. */
export function checkConfig(config: VmConfig): CheckedConfig {
  if (typeof config !== "object" || config === null) refuse("config", config, "an object");
  for (const field of Object.keys(config)) {
    if (!FIELDS.has(field)) refuse(field, undefined, `one of: ${[...FIELDS].join(", ")}`, "is not a field of VmConfig");
  }
  const memoryBytes = integer("memoryBytes", config.memoryBytes ?? DEFAULT_MEMORY_BYTES, RAM_MIN, RAM_MAX);
  if (memoryBytes % PAGE !== 0) refuse("memoryBytes", memoryBytes, "a multiple of 4096");
  const clock = oneOf("clock", config.clock ?? "real", ["real", "virtual"]);
  const nsPerInstruction = config.nsPerInstruction ?? 1;
  if (typeof nsPerInstruction !== "number" || !(nsPerInstruction >= 0.001 && nsPerInstruction <= 1000)) {
    refuse("nsPerInstruction", nsPerInstruction, "a number from 0.001 to 1000");
  }
  if (config.signal !== undefined && !(config.signal instanceof AbortSignal))
    refuse("signal", config.signal, "an AbortSignal");
  if (config.core !== undefined && !(config.core instanceof WebAssembly.Module))
    refuse("core", config.core, "a WebAssembly.Module");
  if (config.debugExitPort === (true as unknown)) refuse("debugExitPort", true, "a port number or false");
  const trace = config.trace ?? [];
  if (!Array.isArray(trace)) refuse("trace", trace, `an array of: ${TRACE_KINDS.join(", ")}`);
  for (const kind of trace) oneOf("trace", kind, TRACE_KINDS);
  const apic = flag("apic", config.apic ?? true);
  return {
    name: text("name", config.name ?? "vm"),
    memoryBytes,
    cpu: text("cpu", config.cpu ?? "max"),
    ...checkVirtualization(config, apic),
    clock,
    clockSync: checkClockSync(config.clockSync, clock),
    psPerInstruction: Math.round(nsPerInstruction * 1000),
    boot: checkBoot(config.boot),
    core: config.core,
    postPort: integer("postPort", config.postPort ?? 0x80, 0, 0xffff),
    apic,
    acpi: flag("acpi", config.acpi ?? true),
    hpet: flag("hpet", config.hpet ?? false),
    wallSeconds: config.wallSeconds === undefined ? undefined : integer("wallSeconds", config.wallSeconds, 0, WALL_MAX),
    ...checkDisplay(config),
    serialPorts: integer("serialPorts", config.serialPorts ?? 1, 0, 4),
    debugExitPort:
      config.debugExitPort === false ? undefined : integer("debugExitPort", config.debugExitPort ?? 0xf4, 0, 0xfffc),
    testDevice: flag("testDevice", config.testDevice ?? false),
    onReset: oneOf("onReset", config.onReset ?? "reboot", ["reboot", "exit"]),
    onTripleFault: oneOf("onTripleFault", config.onTripleFault ?? "exit", ["exit", "reboot"]),
    timeoutMs: config.timeoutMs === undefined ? undefined : integer("timeoutMs", config.timeoutMs, 1, 0x7fffffff),
    signal: config.signal,
    trace,
    ...checkDevices(config),
  };
}

/** A configuration that checkConfig makes `checked` of. */
export function toConfig(checked: CheckedConfig): VmConfig {
  const { psPerInstruction, debugExitPort, clockSync, ...same } = checked;
  const { mode, maxSlewPpm, stepThresholdNs } = clockSync;
  const config = {
    ...same,
    nsPerInstruction: psPerInstruction / 1000,
    debugExitPort: debugExitPort ?? false,
    // It has no meaning with a virtual clock.
    clockSync: checked.clock === "real" ? { mode, maxSlewPpm, stepThresholdMs: stepThresholdNs / 1e6 } : undefined,
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) as unknown as VmConfig;
}

/**
 * A new machine that is to boot over the network, or whose guest is to ask its gateway for the time, has a card for it. Later
 * the card may go: a guest may eject it. Throws VmError("bad-config").
 */
export function requireNetworkCards({ bootOrder = [] }: VmConfig, { clockSync, nics }: CheckedConfig): void {
  if (bootOrder.includes("network") && nics.length === 0)
    throw new VmError(
      "bad-config",
      'bootOrder has "network" (n), and the machine has no network card to boot from; give it one in nics, --nic user.',
      { field: "bootOrder" },
    );
  if (clockSync.mode !== "ntp" || nics.some(({ backend }) => "kind" in backend && backend.kind === "user")) return;
  throw new VmError(
    "bad-config",
    'clockSync "ntp" needs a network card on a user network, whose gateway tells the time: nics with backend { kind: "user" }, --nic user.',
    { field: "clockSync" },
  );
}

const SYNC_FIELDS: readonly (keyof ClockSyncConfig)[] = ["mode", "maxSlewPpm", "stepThresholdMs"];
/** An hour. */
const STEP_THRESHOLD_MAX_MS = 3_600_000;

function checkClockSync(given: VmConfig["clockSync"], clock: "real" | "virtual"): CheckedClockSync {
  if (given !== undefined && clock !== "real")
    refuse("clockSync", given, "nothing", "has a meaning only with clock: real");
  const sync: ClockSyncConfig =
    typeof given === "object" && given !== null ? given : { mode: given === undefined ? "hide-pauses" : given };
  for (const field of Object.keys(sync)) {
    if (!SYNC_FIELDS.includes(field as keyof ClockSyncConfig))
      refuse(`clockSync.${field}`, undefined, SYNC_FIELDS.join(", "), "is not a field of clockSync");
  }
  const { maxSlewPpm = DEFAULT_MAX_SLEW_PPM, stepThresholdMs = DEFAULT_STEP_THRESHOLD_NS / 1e6 } = sync;
  return {
    mode: oneOf(typeof given === "object" ? "clockSync.mode" : "clockSync", sync.mode, CLOCK_SYNC_MODES),
    maxSlewPpm: integer("clockSync.maxSlewPpm", maxSlewPpm, 1, MAX_SLEW_PPM_LIMIT),
    stepThresholdNs: integer("clockSync.stepThresholdMs", stepThresholdMs, 1, STEP_THRESHOLD_MAX_MS) * 1e6,
  };
}

/** C0000h to DFFFFh. */
const OPTION_ROM_MAX = 128 * KIB;

function checkDisplay({ display, vgaBios, boot }: VmConfig): Pick<CheckedConfig, "display" | "vgaBios"> {
  const kind = oneOf("display", display ?? (boot.kind === "firmware" ? "vga" : "none"), ["none", "vga"]);
  if (vgaBios !== undefined) {
    if (kind === "none") refuse("vgaBios", vgaBios, "nothing", "has a meaning only with display: vga");
    optionRom("vgaBios", vgaBios, OPTION_ROM_MAX);
  }
  return { display: kind, vgaBios };
}

function checkBoot(boot: BootSource): BootSource {
  if (typeof boot !== "object" || boot === null) refuse("boot", boot, 'an object such as { kind: "linux", kernel }');
  const source = boot as { kind?: unknown } & Record<string, unknown>;
  switch (source.kind) {
    case "linux":
      image("boot.kernel", source.kernel);
      if (source.initrd !== undefined) bytes("boot.initrd", source.initrd);
      if (source.append !== undefined) text("boot.append", source.append);
      if (source.guestDecompress !== undefined) flag("boot.guestDecompress", source.guestDecompress);
      break;
    case "multiboot":
      image("boot.kernel", source.kernel);
      if (source.append !== undefined) text("boot.append", source.append);
      if (source.modules !== undefined && !Array.isArray(source.modules))
        refuse("boot.modules", source.modules, "an array");
      ((source.modules ?? []) as { image?: unknown; append?: unknown }[]).forEach((module, i) => {
        if (typeof module !== "object" || module === null)
          refuse(`boot.modules[${i}]`, module, "an object { image, append }");
        bytes(`boot.modules[${i}].image`, module.image);
        text(`boot.modules[${i}].append`, module.append);
      });
      break;
    case "elf":
      image("boot.kernel", source.kernel);
      break;
    case "firmware": {
      image("boot.image", source.image);
      checkFirmwareSize((source.image as Uint8Array).length);
      break;
    }
    case "flat":
      image("boot.image", source.image);
      integer("boot.address", source.address, 0, RAM_MAX - 1);
      if (source.entry !== undefined) integer("boot.entry", source.entry, 0, 0xffffffff);
      if (source.mode !== undefined) oneOf("boot.mode", source.mode, ["real", "protected"]);
      break;
    default:
      refuse("boot.kind", source.kind, "linux, multiboot, elf, firmware or flat");
  }
  return boot;
}

/** Throws VmError("bad-image") for a firmware image that cannot end at 4 GiB and at 1 MiB. */
export function checkFirmwareSize(length: number): void {
  if (length % FIRMWARE_UNIT === 0 && length >= FIRMWARE_UNIT && length <= FIRMWARE_MAX) return;
  throw new VmError(
    "bad-image",
    `A firmware image must be a multiple of 64 KiB, at most 8 MiB; this one has ${length} bytes.`,
    { length },
  );
}
