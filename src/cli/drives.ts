// Drives on the command line: --drive in QEMU's spelling, and the short forms.
import { basename } from "node:path";
import { DISK_FORMATS } from "../backends/block/detect.ts";
import { BOOT_INDEX_MAX } from "../vmm/check-network.ts";
import type { BootDevice } from "../vmm/config.ts";
import type { DiskSource, DriveConfig } from "../vmm/device-config.ts";
import { didYouMean, parseChoice, parseInteger, UsageError } from "./values.ts";

/** What the parser hands over. */
export interface RawDriveOptions {
  drive?: string[];
  hda?: string;
  hdb?: string;
  hdc?: string;
  hdd?: string;
  cdrom?: string;
  fda?: string;
  fdb?: string;
  boot?: string;
}

/** IDE place of --cdrom: master of the second channel, as in QEMU. */
const CDROM_UNIT = 2;
const SHORT_FORMS: readonly [option: keyof RawDriveOptions, spec: string][] = [
  ["hda", "if=ide,index=0"],
  ["hdb", "if=ide,index=1"],
  ["hdc", "if=ide,index=2"],
  ["hdd", "if=ide,index=3"],
  ["cdrom", `if=ide,index=${CDROM_UNIT},media=cdrom`],
  ["fda", "if=floppy,index=0"],
  ["fdb", "if=floppy,index=1"],
];
const KEYS = ["file", "format", "if", "media", "readonly", "snapshot", "overlay", "index", "id", "bootindex"] as const;
type Key = (typeof KEYS)[number];
const ID_MAX = 20;

/** The drives, in the order given. Throws UsageError that names the option. */
export function parseDrives(raw: RawDriveOptions): DriveConfig[] {
  const drives = (raw.drive ?? []).map((spec) => parseDrive(spec, `--drive ${spec}`));
  for (const [option, rest] of SHORT_FORMS) {
    const file = raw[option];
    if (typeof file === "string") drives.push(parseDrive(`file=${file.replaceAll(",", ",,")},${rest}`, `--${option}`));
  }
  const named = drives.map((drive, i) => ({ ...drive, id: drive.id || `drive${i}` }));
  const ids = named.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new UsageError(`--drive: two drives are called id=${twice}`);
  return named;
}

/** "key=value,key=value"; a comma within a value is doubled, as in QEMU. */
function parseDrive(spec: string, option: string): DriveConfig {
  const values = new Map<Key, string>();
  for (const part of spec.replaceAll(",,", "\0").split(",")) {
    const [key = "", ...rest] = part.replaceAll("\0", ",").split("=");
    if (!KEYS.includes(key as Key) || rest.length === 0)
      throw new UsageError(`${option}: no property "${key}"${didYouMean(key, KEYS)}; there are ${KEYS.join(", ")}`);
    values.set(key as Key, rest.join("="));
  }
  const get = (key: Key): string | undefined => values.get(key);
  const onOff = (key: Key): boolean | undefined => {
    const text = get(key);
    return text === undefined ? undefined : parseChoice(text, `${option}: ${key}`, ["on", "off"]) === "on";
  };
  const media = parseChoice(get("media") ?? "disk", `${option}: media`, ["disk", "cdrom"]);
  const bus = parseChoice(get("if") ?? "ide", `${option}: if`, ["ide", "virtio", "floppy", "hypercall"]);
  const id = get("id") ?? "";
  if (id.length > ID_MAX) throw new UsageError(`${option}: id is longer than ${ID_MAX} characters`);
  const readOnly = onOff("readonly");
  const unit = get("index");
  const bootIndex = get("bootindex");
  const file = get("file");
  return {
    id,
    bus,
    media,
    ...(file === undefined || file === ""
      ? {}
      : { backend: source(file, option, media, readOnly ?? false, get, onOff) }),
    ...(readOnly === undefined ? {} : { readOnly }),
    ...(unit === undefined ? {} : { unit: parseInteger(unit, `${option}: index`, 0, 7) }),
    ...(bootIndex === undefined
      ? {}
      : { bootIndex: parseInteger(bootIndex, `${option}: bootindex`, 0, BOOT_INDEX_MAX) }),
  };
}

/** What the guest writes is dropped at the end, unless somebody says where to keep it. */
function source(
  path: string,
  option: string,
  media: "disk" | "cdrom",
  readOnly: boolean,
  get: (key: Key) => string | undefined,
  onOff: (key: Key) => boolean | undefined,
): DiskSource {
  const format = get("format");
  const overlay = get("overlay");
  const asked = onOff("snapshot");
  if (overlay !== undefined && (asked === true || readOnly || media === "cdrom"))
    throw new UsageError(`${option}: overlay keeps what is written; snapshot=on, readonly=on and media=cdrom do not`);
  const snapshot = asked ?? (overlay === undefined && !readOnly && media === "disk");
  return {
    path,
    snapshot,
    ...(format === undefined ? {} : { format: parseChoice(format, `${option}: format`, DISK_FORMATS) }),
    ...(overlay === undefined ? {} : { overlay }),
  };
}

const BOOT_LETTERS: Readonly<Record<string, BootDevice>> = { a: "floppy", c: "disk", d: "cdrom", n: "network" };

/** "cdn" or QEMU's "order=cdn". */
export function parseBootOrder(text: string): readonly BootDevice[] {
  const letters = text.replace(/^order=/, "");
  const order = [...letters].map((letter) => BOOT_LETTERS[letter]);
  if (order.length === 0 || order.includes(undefined) || new Set(order).size < order.length)
    throw new UsageError(
      `--boot: "${text}" is not an order of a (floppy), c (disk), d (CD) and n (network), such as cd`,
    );
  return order as BootDevice[];
}

/** For the terminal: which images do not get what the guest writes. */
export function droppedWrites(drives: readonly DriveConfig[]): string | undefined {
  const names = drives.flatMap(({ backend }) =>
    backend !== undefined && "path" in backend && backend.snapshot ? [basename(backend.path)] : [],
  );
  if (names.length === 0) return undefined;
  return `what is written to ${names.join(", ")} is dropped at the end; snapshot=off or overlay=FILE keeps it`;
}
