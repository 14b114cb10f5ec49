// Checks the part of a configuration that says which devices there are. Throws VmError("bad-config") that names the field.
import type { RateLimitChange } from "../devices/token-bucket.ts";
import { checkLimits, identifier, list, methods, object, TOKENS_MAX } from "./check-lists.ts";
import { BOOT_INDEX_MAX, type CheckedNic, checkNics } from "./check-network.ts";
import { flag, integer, oneOf, refuse, text } from "./check-values.ts";
import type { BootDevice, VmConfig } from "./config.ts";
import type {
  BalloonConfig,
  ConsoleConfig,
  DriveConfig,
  InputKind,
  ShareConfig,
  VmLimits,
  VmLimitsChange,
  VsockConfig,
} from "./device-config.ts";
import { isSource } from "./drives.ts";

/** How many a bus has room for: virtio one PCI slot each, IDE two channels of two, one floppy controller. */
export const DRIVES_MAX = { virtio: 8, ide: 4, floppy: 2, hypercall: 8 } as const;
const BUSES = ["ide", "floppy", "virtio", "hypercall"] as const;
/** In the order of the default. */
const BOOT_DEVICES: readonly BootDevice[] = ["disk", "floppy", "cdrom", "network"];
export const SHARES_MAX = 4;
export const CONSOLES_MAX = 16;
const INPUT_KINDS: readonly InputKind[] = ["keyboard", "mouse", "tablet"];
const TAG_MAX = 31;
const CID_MIN = 3;

export interface CheckedDevices {
  readonly drives: readonly DriveConfig[];
  readonly bootOrder: readonly BootDevice[];
  readonly rng: boolean;
  readonly balloon: BalloonConfig | undefined;
  readonly nics: readonly CheckedNic[];
  readonly consoles: readonly ConsoleConfig[];
  readonly shares: readonly ShareConfig[];
  readonly vsock: Required<VsockConfig> | undefined;
  readonly inputs: readonly InputKind[];
  readonly limits: VmLimits;
}

export function checkDevices(config: VmConfig): CheckedDevices {
  return {
    drives: checkDrives(config.drives ?? []),
    bootOrder: checkBootOrder(config.bootOrder ?? BOOT_DEVICES),
    rng: flag("rng", config.rng ?? false),
    balloon: checkBalloon(config.balloon ?? false),
    nics: checkNics(config.nics ?? []),
    consoles: checkConsoles(config.consoles ?? []),
    shares: checkShares(config.shares ?? []),
    vsock: checkVsock(config.vsock),
    inputs: checkInputs(config.inputs ?? []),
    limits: checkVmLimits("limits", config.limits ?? {}),
  };
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
    if (drive.limits !== undefined && drive.bus === "floppy")
      refuse(`${field}.limits`, undefined, "none", "is for bus ide and virtio, not floppy");
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
  if (backend.blob !== undefined && !(backend.blob instanceof Blob)) refuse(`${field}.blob`, backend.blob, "a Blob");
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

const LIMIT_FIELDS = ["console", "disks", "network", "devices"] as const;

export function checkVmLimits(field: string, limits: VmLimits): VmLimits {
  checkLimitFields(field, limits, false);
  return limits;
}

/** Throws VmError("bad-config") naming the field. */
export function checkLimitsChange(field: string, change: VmLimitsChange): void {
  checkLimitFields(field, change, true);
}

function checkLimitFields(field: string, limits: VmLimitsChange, mayClear: boolean): void {
  object(field, limits, `an object { ${LIMIT_FIELDS.join(", ")} }`);
  for (const name of Object.keys(limits))
    oneOf(`name in ${field}`, name as (typeof LIMIT_FIELDS)[number], LIMIT_FIELDS);
  const check = (path: string, rates: RateLimitChange | null | undefined, buckets: boolean): void => {
    if (rates !== null || !mayClear) checkLimits(path, rates as RateLimitChange | undefined, buckets);
  };
  for (const kind of ["console", "disks", "network"] as const) check(`${field}.${kind}`, limits[kind], mayClear);
  object(`${field}.devices`, limits.devices ?? {}, "an object with limits by the id of a drive or network card");
  for (const [id, one] of Object.entries(limits.devices ?? {})) check(`${field}.devices.${id}`, one, true);
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

function checkConsoles(consoles: readonly ConsoleConfig[]): readonly ConsoleConfig[] {
  for (const [i, port] of list("consoles", consoles, CONSOLES_MAX).entries()) {
    object(`consoles[${i}]`, port, "an object { backend }");
    methods(`consoles[${i}].backend`, port.backend, ["write", "onInput"]);
    oneOf(`consoles[${i}].kind`, port.kind ?? "console", ["console", "stream"]);
    if (port.name !== undefined) identifier(`consoles[${i}].name`, port.name, new Set());
  }
  return consoles;
}

function checkShares(shares: readonly ShareConfig[]): readonly ShareConfig[] {
  const seen = new Set<string>();
  for (const [i, share] of list("shares", shares, SHARES_MAX).entries()) {
    const field = `shares[${i}]`;
    object(field, share, "an object { tag, tree }");
    if (!/^[\x21-\x7e]+$/.test(text(`${field}.tag`, share.tag)) || share.tag.length > TAG_MAX) {
      refuse(`${field}.tag`, share.tag, `1 to ${TAG_MAX} characters of ASCII`);
    }
    if (seen.has(share.tag)) refuse(`${field}.tag`, share.tag, "a tag that no other share has");
    seen.add(share.tag);
    methods(`${field}.tree`, share.tree, ["stat", "list", "open", "create", "rename", "remove"]);
  }
  return shares;
}

function checkVsock(vsock: VsockConfig | undefined): Required<VsockConfig> | undefined {
  if (vsock === undefined) return undefined;
  object("vsock", vsock, "an object { backend }");
  methods("vsock.backend", vsock.backend, ["connect"]);
  const guestCid = integer("vsock.guestCid", vsock.guestCid ?? CID_MIN, CID_MIN, 0xfffffffe);
  return { guestCid, backend: vsock.backend };
}

function checkInputs(inputs: readonly InputKind[]): readonly InputKind[] {
  for (const kind of list("inputs", inputs, INPUT_KINDS.length)) oneOf("inputs", kind, INPUT_KINDS);
  if (new Set(inputs).size < inputs.length) refuse("inputs", inputs, "each kind once");
  return inputs;
}
