// Checks the part of a configuration that says which devices there are. Throws VmError("bad-config") that names the field.
import type { RateLimitOptions, TokenBucketOptions } from "../devices/token-bucket.ts";
import { flag, integer, oneOf, refuse, text } from "./check-values.ts";
import type { BootDevice, VmConfig } from "./config.ts";
import type { BalloonConfig, DriveConfig } from "./device-config.ts";
import { isSource } from "./drives.ts";

/** How many a bus has room for: virtio one PCI slot each, IDE two channels of two, one floppy controller. */
export const DRIVES_MAX = { virtio: 8, ide: 4, floppy: 2 } as const;
const BUSES = ["ide", "floppy", "virtio"] as const;
/** In the order of the default. */
const BOOT_DEVICES: readonly BootDevice[] = ["disk", "floppy", "cdrom", "network"];
const BOOT_INDEX_MAX = 1_000_000;
const ID_MAX = 20;
const TOKENS_MAX = Number.MAX_SAFE_INTEGER;

export interface CheckedDevices {
  readonly drives: readonly DriveConfig[];
  readonly bootOrder: readonly BootDevice[];
  readonly rng: boolean;
  readonly balloon: BalloonConfig | undefined;
}

export function checkDevices(config: VmConfig): CheckedDevices {
  return {
    drives: checkDrives(config.drives ?? []),
    bootOrder: checkBootOrder(config.bootOrder ?? BOOT_DEVICES),
    rng: flag("rng", config.rng ?? false),
    balloon: checkBalloon(config.balloon ?? false),
  };
}

function list<T>(field: string, value: readonly T[], most: number): readonly T[] {
  if (!Array.isArray(value)) refuse(field, value, "an array");
  if (value.length > most) refuse(field, value, `at most ${most}`, `has ${value.length} items`);
  return value;
}

function object(field: string, value: unknown, what: string): void {
  if (typeof value !== "object" || value === null) refuse(field, value, what);
}

/** An identifier that no other item of the list has. */
function identifier(field: string, value: unknown, seen: Set<string>): void {
  const id = text(field, value);
  if (!/^[\x21-\x7e]+$/.test(id) || id.length > ID_MAX) refuse(field, id, `1 to ${ID_MAX} characters of ASCII`);
  if (seen.has(id)) refuse(field, id, "a name that no other one has");
  seen.add(id);
}

function methods(field: string, value: unknown, names: readonly string[]): void {
  object(field, value, `an object with ${names.join(", ")}`);
  for (const name of names) {
    if (typeof (value as Record<string, unknown>)[name] !== "function") {
      refuse(field, undefined, names.join(", "), `has no method ${name}`);
    }
  }
}

function checkDrives(drives: readonly DriveConfig[]): readonly DriveConfig[] {
  const seen = new Set<string>();
  const bootIndexes = new Set<number>();
  const total = Object.values(DRIVES_MAX).reduce((sum, most) => sum + most, 0);
  for (const [i, drive] of list("drives", drives, total).entries()) {
    const field = `drives[${i}]`;
    object(field, drive, "an object { id, backend, bus }");
    identifier(`${field}.id`, drive.id, seen);
    oneOf(`${field}.bus`, drive.bus, BUSES);
    const media = oneOf(`${field}.media`, drive.media ?? "disk", ["disk", "cdrom"]);
    if (media === "cdrom" && drive.bus !== "ide")
      refuse(`${field}.media`, media, "disk", `of bus ${drive.bus} is cdrom`);
    if (drive.readOnly !== undefined) flag(`${field}.readOnly`, drive.readOnly);
    checkBackend(`${field}.backend`, drive, media === "cdrom" || drive.bus === "floppy");
    if (drive.bootIndex !== undefined) {
      integer(`${field}.bootIndex`, drive.bootIndex, 0, BOOT_INDEX_MAX);
      if (bootIndexes.has(drive.bootIndex))
        refuse(`${field}.bootIndex`, drive.bootIndex, "one that no other drive has");
      bootIndexes.add(drive.bootIndex);
    }
    checkLimits(`${field}.limits`, drive.limits);
    if (drive.limits !== undefined && drive.bus !== "virtio")
      refuse(`${field}.limits`, undefined, "none", `is for bus virtio, not ${drive.bus}`);
  }
  return BUSES.flatMap((bus) => placeDrives(bus, drives));
}

function checkBackend(field: string, { backend, readOnly }: DriveConfig, removable: boolean): void {
  if (backend === undefined) {
    if (!removable) refuse(field, undefined, "a disk; only CD and floppy drives can be empty", "is missing");
    return;
  }
  object(field, backend, "a BlockBackend or an object { path }");
  if (!isSource(backend)) {
    methods(field, backend, ["read", "write", "flush", "close"]);
    return;
  }
  text(`${field}.path`, backend.path);
  if (backend.format !== undefined) oneOf(`${field}.format`, backend.format, ["raw", "qcow2", "dir"]);
  if (backend.snapshot !== undefined) flag(`${field}.snapshot`, backend.snapshot);
  if (backend.overlay === undefined) return;
  text(`${field}.overlay`, backend.overlay);
  if (backend.snapshot || readOnly)
    refuse(`${field}.overlay`, backend.overlay, "neither snapshot nor readOnly with it", "keeps what is written");
}

/** The drives of one bus, each with its place. */
function placeDrives(bus: DriveConfig["bus"], drives: readonly DriveConfig[]): DriveConfig[] {
  const most = DRIVES_MAX[bus];
  const taken = new Set<number>();
  const ours = drives.filter((drive) => drive.bus === bus);
  if (ours.length > most) refuse("drives", undefined, `at most ${most}`, `has ${ours.length} on bus ${bus}`);
  for (const { unit, id } of ours) {
    if (unit === undefined) continue;
    integer(`unit of drive ${id}`, unit, 0, most - 1);
    if (taken.has(unit)) refuse(`unit of drive ${id}`, unit, "one that no other drive of the bus has");
    taken.add(unit);
  }
  return ours.map((drive) => {
    if (drive.unit !== undefined) return drive;
    let unit = 0;
    while (taken.has(unit)) unit++;
    taken.add(unit);
    return { ...drive, unit };
  });
}

function checkBootOrder(order: readonly BootDevice[]): readonly BootDevice[] {
  for (const [i, device] of list("bootOrder", order, BOOT_DEVICES.length).entries()) {
    oneOf(`bootOrder[${i}]`, device, BOOT_DEVICES);
    if (order.indexOf(device) < i) refuse(`bootOrder[${i}]`, device, "each device once");
  }
  return order;
}

function checkLimits(field: string, limits: RateLimitOptions | undefined): void {
  if (limits === undefined) return;
  object(field, limits, "an object { bandwidth, operations }");
  for (const kind of ["bandwidth", "operations"] as const) {
    const bucket: TokenBucketOptions | undefined = limits[kind];
    if (bucket === undefined) continue;
    object(`${field}.${kind}`, bucket, "an object { size, refillMs }");
    integer(`${field}.${kind}.size`, bucket.size, 1, TOKENS_MAX);
    integer(`${field}.${kind}.oneTimeBurst`, bucket.oneTimeBurst ?? 0, 0, TOKENS_MAX);
    integer(`${field}.${kind}.refillMs`, bucket.refillMs, 1, 86_400_000);
  }
}

function checkBalloon(balloon: boolean | BalloonConfig): BalloonConfig | undefined {
  if (balloon === false) return undefined;
  if (balloon === true) return {};
  object("balloon", balloon, "true, false or an object");
  flag("balloon.deflateOnOom", balloon.deflateOnOom ?? true);
  integer("balloon.statisticsIntervalMs", balloon.statisticsIntervalMs ?? 0, 0, 86_400_000);
  integer("balloon.targetBytes", balloon.targetBytes ?? 0, 0, TOKENS_MAX);
  return balloon;
}
