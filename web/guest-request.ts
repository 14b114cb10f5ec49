// What a guest is to be, from the form or from the page's address, and the configuration that this makes.
import {
  type BootSource,
  cpuModelNames,
  type DriveConfig,
  type HostedVmConfig,
  type NicConfig,
  VIRT_FORMS,
  type VirtKind,
  VmError,
} from "../src/index.ts";
import type { Preset } from "./catalogue.ts";
import { fetchBytes, request } from "./fetch.ts";
import { bootKernel } from "./files.ts";

export type VirtualizationMode = VirtKind;

export type NetworkChoice = "off" | "on" | "relay";

export interface MachineOptions {
  readonly memoryBytes: number | undefined;
  readonly cpu: string | undefined;
  readonly mode: VirtualizationMode;
  readonly screen: boolean;
  /** "on": the switch that the guests of the page share; "relay": one that its server has, for all pages. */
  readonly network: NetworkChoice;
}

/** What the form says of each. */
export const MODE_TEXTS: Readonly<Record<VirtualizationMode, string>> = {
  full: "A PC and nothing else: shadow page tables, every privileged access exits, no paravirtual interface, disks on IDE.",
  assisted: "The same PC with nested paging: its page tables cost nothing, little exits.",
  para: "The guest may know: KVM's clock and interrupts, page tables by hypercalls, virtio disks and network.",
};

/** Name of that switch. */
export const PAGE_NETWORK = "page";
/** And of the one that leads to the server's relay. */
export const RELAY_NETWORK = "relay";

export interface WhatBoots {
  readonly name: string;
  readonly boot: BootSource;
  readonly drives?: readonly DriveConfig[];
  readonly vgaBios?: Uint8Array;
  /** What it needs where nobody says anything else. */
  readonly memoryBytes?: number;
  readonly cpu?: string;
}

/** Operating systems; a small program of its own does not look for such a device. */
const ASK_FOR_ENTROPY: readonly BootSource["kind"][] = ["linux", "firmware"];

/** How the guest is virtualized (docs/VIRTUALIZATION.md), and devices that go with it: virtio for para, a PC's for the others. */
export function configOf(what: WhatBoots, options: MachineOptions): Omit<HostedVmConfig, "name"> {
  const memoryBytes = options.memoryBytes ?? what.memoryBytes;
  const cpu = options.cpu ?? what.cpu;
  return {
    boot: what.boot,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(cpu === undefined ? {} : { cpu }),
    virt: options.mode,
    ...(options.mode === "para" && ASK_FOR_ENTROPY.includes(what.boot.kind) ? { rng: true } : {}),
    ...(options.screen ? { display: "vga" } : {}),
    ...(what.vgaBios === undefined ? {} : { vgaBios: what.vgaBios }),
    ...(what.drives === undefined ? {} : { drives: what.drives }),
    ...(options.network === "off" ? {} : { nics: [nicOf(options.mode, options.network)] }),
  };
}

function nicOf(mode: VirtualizationMode, network: NetworkChoice): NicConfig {
  const model = mode === "para" ? "virtio" : "rtl8139";
  if (network === "on") return { id: "net", model, backend: { kind: "switch", name: PAGE_NETWORK } };
  return { id: "net", model, mac: randomMac(), backend: { kind: "switch", name: RELAY_NETWORK } };
}

/** Pages that meet at a relay know nothing of each other's cards: 02 is for addresses of one's own. */
function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return `02:70:76:${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
}

/** The page's address, understood. docs/WEB.md lists the names. */
export interface UrlRequest extends MachineOptions {
  readonly preset: string | undefined;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly snapshot: string | undefined;
  readonly cdrom: string | undefined;
  readonly disk: string | undefined;
  readonly append: string | undefined;
  readonly autostart: boolean;
  /** "off": no controls around the terminal. */
  readonly controls: boolean;
  readonly threads: "workers" | "in-process";
}

const MIB = 2 ** 20;
const NAMES = [
  "rom",
  "image",
  "kernel",
  "initrd",
  "snapshot",
  "cdrom",
  "disk",
  "append",
  "memory",
  "cpu",
  "mode",
  "screen",
  "network",
  "autostart",
  "controls",
  "threads",
  "theme",
];

/** Throws VmError("bad-config") naming the parameter and what it takes. */
export function parseUrl(query: URLSearchParams): UrlRequest {
  for (const name of query.keys())
    if (!NAMES.includes(name)) refuse(name, query.get(name), `not a parameter; there are ${NAMES.join(", ")}`);
  const text = (name: string): string | undefined => query.get(name) ?? undefined;
  const choice = <T extends string>(name: string, accepted: readonly T[], fallback: T): T => {
    const value = query.get(name);
    if (value === null) return fallback;
    if (!accepted.includes(value as T)) refuse(name, value, `one of: ${accepted.join(", ")}`);
    return value as T;
  };
  const preset = text("rom") ?? text("image");
  const kernel = text("kernel");
  const snapshot = text("snapshot");
  const names = preset ?? kernel ?? snapshot ?? text("cdrom") ?? text("disk");
  return {
    preset,
    kernel,
    initrd: text("initrd"),
    snapshot,
    cdrom: text("cdrom"),
    disk: text("disk"),
    append: text("append"),
    memoryBytes: memoryOf(query.get("memory")),
    cpu: cpuOf(text("cpu")),
    mode: choice("mode", VIRT_FORMS, "para"),
    screen: choice("screen", ["on", "off"], "off") === "on",
    network: choice("network", ["off", "on", "relay"], "off"),
    autostart: names !== undefined && choice("autostart", ["on", "off"], "on") === "on",
    controls: choice("controls", ["on", "off"], "on") === "on",
    threads: choice("threads", ["workers", "in-process"], "workers"),
  };
}

function memoryOf(value: string | null): number | undefined {
  if (value === null) return undefined;
  const mib = Number(value);
  if (!Number.isInteger(mib) || mib < 1 || mib > 3072) refuse("memory", value, "MiB, an integer from 1 to 3072");
  return mib * MIB;
}

function cpuOf(value: string | undefined): string | undefined {
  const [model] = value?.split(",") ?? [];
  if (model !== undefined && !cpuModelNames.includes(model))
    refuse("cpu", value ?? "", `${cpuModelNames.join(", ")}, with ,+feature and ,-feature`);
  return value;
}

function refuse(name: string, value: string | null, accepted: string): never {
  throw new VmError("bad-config", `The address says ${name}=${value}; accepted: ${accepted}.`, { field: name });
}

/** Fetches what a page's address names, other than a snapshot. Throws VmError. */
export async function whatBoots(
  wanted: UrlRequest,
  preset: (name: string) => Promise<Preset | undefined>,
): Promise<WhatBoots> {
  const drives = drivesOf(wanted);
  if (wanted.kernel !== undefined) {
    const name = fileName(wanted.kernel);
    const kernel = Object.assign(await blobOf(wanted.kernel), { name });
    const initrd = wanted.initrd === undefined ? undefined : await blobOf(wanted.initrd);
    return { name, boot: await bootKernel(kernel, initrd, wanted.append), drives };
  }
  const name = wanted.preset ?? (drives.length > 0 ? "seabios" : "hello");
  const found = await preset(name);
  if (found === undefined) {
    throw new VmError(
      "not-found",
      `There is no guest "${name}" beside this page; open it without parameters to see what there is.`,
      {
        name,
      },
    );
  }
  const { memoryBytes, cpu } = found;
  const vgaBios = found.kind === "firmware" ? await found.file("vgabios") : undefined;
  return {
    name,
    boot: await found.load(wanted.append),
    memoryBytes,
    ...(cpu === undefined ? {} : { cpu }),
    drives,
    ...(vgaBios === undefined ? {} : { vgaBios }),
  };
}

/** The bytes of the snapshot that an address names. */
export function fetchSnapshot(url: string): Promise<Uint8Array> {
  return fetchBytes(absolute(url));
}

function drivesOf({ cdrom, disk, mode }: UrlRequest): DriveConfig[] {
  const drives: DriveConfig[] = [];
  if (disk !== undefined)
    drives.push({ id: "disk", bus: mode === "para" ? "virtio" : "ide", backend: { path: absolute(disk) } });
  if (cdrom !== undefined) drives.push({ id: "cdrom", bus: "ide", media: "cdrom", backend: { path: absolute(cdrom) } });
  return drives;
}

async function blobOf(url: string): Promise<Blob> {
  return await (await request(absolute(url))).blob();
}

/** Workers resolve addresses otherwise than pages. */
function absolute(url: string): string {
  try {
    return new URL(url, document.baseURI).href;
  } catch {
    return refuse("address", url, "a web address");
  }
}

function fileName(url: string): string {
  return absolute(url).split(/[?#]/)[0]?.split("/").at(-1) || url;
}
