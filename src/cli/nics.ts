// Network cards on the command line: --nic in QEMU's spelling, and its -netdev with -device.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { BOOT_INDEX_MAX } from "../vmm/check-network.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import type { LinkSettings, NetworkSource, PortForward } from "../vmm/network.ts";
import { errorText } from "./chardev.ts";
import { didYouMean, parseChoice, parseInteger, UsageError } from "./values.ts";

/** What the parser hands over. */
export interface RawNicOptions {
  nic?: string[];
  netdev?: string[];
  device?: string[];
  pcap?: string;
}

type Model = NicConfig["model"];
/** As QEMU calls them. */
const MODELS: Readonly<Record<string, Model>> = {
  virtio: "virtio",
  "virtio-net-pci": "virtio",
  "virtio-net": "virtio",
  rtl8139: "rtl8139",
  rtl8139d: "rtl8139d",
};
/** What `-device` calls them. */
export const NIC_DEVICES: readonly string[] = ["virtio-net-pci", "rtl8139"];
const TYPES = ["user", "switch", "none"] as const;
const USER_KEYS = [
  "net",
  "host",
  "dns",
  "dhcpstart",
  "hostname",
  "domainname",
  "restrict",
  "allow",
  "hostfwd",
  "tftp",
  "bootfile",
] as const;
const SWITCH_KEYS = ["bandwidth", "latency", "jitter", "loss"] as const;
const CARD_KEYS = ["id", "model", "mac", "mtu", "pcap", "bootindex", "romfile"] as const;
const PORT_MAX = 0xffff;

/** A list of "key" or "key=value", in order; some keys may come more than once. */
type Properties = readonly (readonly [key: string, value: string])[];

/** A card whose option ROM has not been read. */
export type NamedRomNic = Omit<NicConfig, "bootRom"> & { readonly romFile?: string };

/** The cards, in the order given. Throws UsageError that names the option, VmError("not-found") for an option ROM. */
export function parseNics(raw: RawNicOptions): NicConfig[] {
  return parseNicFiles(raw).map(({ romFile, ...card }) =>
    romFile === undefined ? card : { ...card, bootRom: readRom(romFile, `--nic ${card.id}`) },
  );
}

/** The same without reading any file. */
export function parseNicFiles(raw: RawNicOptions): NamedRomNic[] {
  const cards = (raw.nic ?? []).flatMap((spec) => parseNic(spec, `--nic ${spec}`));
  cards.push(...pairDevices(raw.netdev ?? [], raw.device ?? []));
  const named = cards.map((card, i) => ({ ...card, id: card.id || `net${i}` }));
  const ids = named.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new UsageError(`--nic: two cards are called id=${twice}`);
  if (raw.pcap === undefined) return named;
  const [first, ...others] = named;
  if (first === undefined) throw new UsageError("--pcap needs a network card; give --nic user");
  // A file of this kind has one cable's frames in it.
  return [
    { ...first, capture: first.capture ?? raw.pcap },
    ...others.map((card, i) => ({ ...card, capture: card.capture ?? numbered(raw.pcap ?? "", i + 1) })),
  ];
}

/** "net.pcap" of the second card: "net-1.pcap". */
function numbered(path: string, number: number): string {
  const name = basename(path);
  const dot = name.lastIndexOf(".");
  const folder = path.slice(0, path.length - name.length);
  return dot <= 0 ? `${path}-${number}` : `${folder}${name.slice(0, dot)}-${number}${name.slice(dot)}`;
}

function parseNic(spec: string, option: string): NamedRomNic[] {
  const { type, properties } = splitSpec(spec);
  const source = parseSource(type, properties, option, CARD_KEYS);
  // QEMU's way to say that there is no card.
  if (source.kind === "none" && properties.length === 0) return [];
  return [{ ...parseCard(properties, option), backend: source }];
}

/** `-netdev user,id=n1,...` with `-device virtio-net-pci,netdev=n1,mac=...`. */
function pairDevices(netdevs: readonly string[], devices: readonly string[]): NamedRomNic[] {
  const sources = new Map<string, NetworkSource>();
  for (const spec of netdevs) {
    const option = `--netdev ${spec}`;
    const { type, properties } = splitSpec(spec);
    const id = propertyOf(properties, "id");
    if (id === undefined) throw new UsageError(`${option}: it needs an id, which --device names as netdev=ID`);
    if (sources.has(id)) throw new UsageError(`${option}: there is another --netdev with id=${id}`);
    sources.set(id, parseSource(type, properties, option, ["id"]));
  }
  const cards: NamedRomNic[] = [];
  for (const spec of devices) {
    const { type, properties } = splitSpec(spec);
    if (!NIC_DEVICES.includes(type)) continue;
    const option = `--device ${spec}`;
    refuseOthers(properties, ["netdev", "id", "mac", "bootindex", "romfile"], option);
    const netdev = propertyOf(properties, "netdev");
    const source = netdev === undefined ? undefined : sources.get(netdev);
    if (source === undefined) {
      const known = [...sources.keys()].join(", ") || "none";
      throw new UsageError(`${option}: netdev=${netdev ?? ""} is no id of a --netdev; there are: ${known}`);
    }
    sources.delete(netdev ?? "");
    const card = parseCard([...properties.filter(([key]) => key !== "netdev"), ["model", type]], option);
    cards.push({ ...card, id: card.id || (netdev ?? ""), backend: source });
  }
  const [unused] = sources.keys();
  if (unused !== undefined)
    throw new UsageError(`--netdev: no card is on id=${unused}; give --device virtio-net-pci,netdev=${unused}`);
  return cards;
}

function parseCard(properties: Properties, option: string): Omit<NamedRomNic, "backend"> {
  const get = (key: string): string | undefined => propertyOf(properties, key);
  const mtu = get("mtu");
  const mac = get("mac");
  const capture = get("pcap");
  const bootIndex = get("bootindex");
  const romFile = get("romfile");
  const model = parseChoice(get("model") ?? "virtio", `${option}: model`, Object.keys(MODELS));
  return {
    id: get("id") ?? "",
    model: MODELS[model] ?? "virtio",
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu: parseInteger(mtu, `${option}: mtu`, 68, PORT_MAX) }),
    ...(capture === undefined ? {} : { capture }),
    ...(bootIndex === undefined
      ? {}
      : { bootIndex: parseInteger(bootIndex, `${option}: bootindex`, 0, BOOT_INDEX_MAX) }),
    ...(romFile === undefined ? {} : { romFile }),
  };
}

/** Throws VmError("not-found") that names `option`. */
export function readRom(path: string, option: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw new VmError("not-found", `${option}: cannot read romfile ${path}: ${errorText(cause)}`, { path }, { cause });
  }
}

function parseSource(type: string, properties: Properties, option: string, more: readonly string[]): NetworkSource {
  // "switch=lan" is a type and its name.
  const [kind = "", name] = type.split("=", 2);
  switch (parseChoice(kind, option, TYPES)) {
    case "user":
      refuseOthers(properties, [...USER_KEYS, ...more], option);
      return parseUser(properties, option);
    case "switch":
      refuseOthers(properties, [...SWITCH_KEYS, ...more], option);
      if (name === undefined || name === "") throw new UsageError(`${option}: give the switch a name: switch=lan`);
      return { kind: "switch", name, ...linkOf(properties, option) };
    case "none":
      refuseOthers(properties, more, option);
      return { kind: "none" };
  }
}

function parseUser(properties: Properties, option: string): NetworkSource {
  const get = (key: string): string | undefined => propertyOf(properties, key);
  const all = (key: string): string[] => properties.filter(([other]) => other === key).map(([, value]) => value);
  const given = {
    net: get("net"),
    host: get("host"),
    dns: get("dns"),
    dhcpStart: get("dhcpstart"),
    hostname: get("hostname"),
    domain: get("domainname"),
    tftp: get("tftp"),
    bootFile: get("bootfile"),
  };
  const restrict = get("restrict");
  const allow = all("allow");
  const forwards = all("hostfwd").map((text) => parseForward(text, `${option}: hostfwd`));
  return {
    kind: "user",
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(restrict === undefined
      ? {}
      : { restrict: isOn(parseChoice(restrict, `${option}: restrict`, ["on", "off", "yes", "no"])) }),
    ...(allow.length === 0 ? {} : { allow }),
    ...(forwards.length === 0 ? {} : { forwards }),
  };
}

const isOn = (text: string): boolean => text === "on" || text === "yes";

/** "tcp:127.0.0.1:2222-10.0.2.15:22"; addresses may be left out: "tcp::2222-:22". */
function parseForward(text: string, option: string): PortForward {
  const match = /^(?:(tcp|udp):)?(?:([\d.]*):)?(\d+)-([\d.]*):(\d+)$/.exec(text);
  if (match === null)
    throw new UsageError(
      `${option}: "${text}" is not PROTOCOL:HOSTADDRESS:HOSTPORT-GUESTADDRESS:GUESTPORT (tcp::2222-:22)`,
    );
  const [, protocol = "tcp", hostAddress, hostPort = "", guestAddress, guestPort = ""] = match;
  return {
    protocol: protocol as "tcp" | "udp",
    ...(hostAddress ? { hostAddress } : {}),
    hostPort: parseInteger(hostPort, option, 0, PORT_MAX),
    ...(guestAddress ? { guestAddress } : {}),
    guestPort: parseInteger(guestPort, option, 1, PORT_MAX),
  };
}

const RATE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

function linkOf(properties: Properties, option: string): { link?: LinkSettings } {
  const get = (key: string): string | undefined => propertyOf(properties, key);
  const link: { -readonly [K in keyof LinkSettings]: LinkSettings[K] } = {};
  const bandwidth = get("bandwidth");
  if (bandwidth !== undefined) {
    const [, number, unit = ""] = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(bandwidth) ?? [];
    if (number === undefined)
      throw new UsageError(`${option}: bandwidth "${bandwidth}" is not bits a second such as 10M or 1G`);
    link.bitsPerSecond = Math.round(Number(number) * (RATE_UNITS[unit.toLowerCase()] ?? 1));
  }
  for (const [key, field] of [
    ["latency", "latencyMs"],
    ["jitter", "jitterMs"],
  ] as const) {
    const text = get(key);
    if (text === undefined) continue;
    const [, number] = /^(\d+(?:\.\d+)?)(?:ms)?$/.exec(text) ?? [];
    if (number === undefined)
      throw new UsageError(`${option}: ${key} "${text}" is not milliseconds such as 20 or 0.5ms`);
    link[field] = Number(number);
  }
  const loss = get("loss");
  if (loss !== undefined) {
    const [, number] = /^(\d+(?:\.\d+)?)%?$/.exec(loss) ?? [];
    if (number === undefined || Number(number) > 100)
      throw new UsageError(`${option}: loss "${loss}" is not percent from 0 to 100`);
    link.loss = Number(number) / 100;
  }
  return Object.keys(link).length === 0 ? {} : { link };
}

/** "type,key=value,key=value"; a comma within a value is doubled, as in QEMU. */
function splitSpec(spec: string): { readonly type: string; readonly properties: Properties } {
  const [type = "", ...parts] = spec.replaceAll(",,", "\0").split(",");
  return {
    type: type.replaceAll("\0", ","),
    properties: parts.map((part) => {
      const [key = "", ...rest] = part.replaceAll("\0", ",").split("=");
      return [key, rest.join("=")] as const;
    }),
  };
}

function propertyOf(properties: Properties, key: string): string | undefined {
  return properties.find(([other]) => other === key)?.[1];
}

function refuseOthers(properties: Properties, known: readonly string[], option: string): void {
  for (const [key, value] of properties) {
    if (!known.includes(key))
      throw new UsageError(`${option}: no property "${key}"${didYouMean(key, known)}; there are ${known.join(", ")}`);
    if (value === "") throw new UsageError(`${option}: ${key} needs a value: ${key}=...`);
  }
}
