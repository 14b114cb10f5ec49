// Checks what a configuration says of network cards. Throws VmError("bad-config") that names the field.
import { checkUserNetwork } from "../backends/network/user/settings.ts";
import { checkLink } from "../backends/network/wire.ts";
import { checkLimits, identifier, list, methods, object } from "./check-lists.ts";
import { flag, integer, oneOf, optionRom, refuse, text } from "./check-values.ts";
import type { NicConfig } from "./device-config.ts";
import type { NetworkBackend, NetworkSource, UserNetworkSettings } from "./network.ts";

export const NICS_MAX = 8;
export const NIC_MODELS = ["virtio", "rtl8139", "rtl8139d"] as const;
const MTU_MIN = 68;
/** iPXE with everything built in. */
const BOOT_ROM_MAX = 1 << 20;
/** Of drives and network cards. */
export const BOOT_INDEX_MAX = 1_000_000;
const SWITCH_NAME_MAX = 64;
const USER_FIELDS: readonly (keyof UserNetworkSettings)[] = [
  "net",
  "host",
  "dns",
  "dhcpStart",
  "hostname",
  "domain",
  "restrict",
  "allow",
  "forwards",
  "tftp",
  "bootFile",
];

export interface CheckedNic extends NicConfig {
  readonly mac: string;
  readonly unit: number;
}

export function checkNics(nics: readonly NicConfig[]): readonly CheckedNic[] {
  const seen = new Set<string>();
  const addresses = new Set<string>();
  for (const [i, nic] of list("nics", nics, NICS_MAX).entries())
    object(`nics[${i}]`, nic, "an object { id, backend, model }");
  const units = new Set(nics.flatMap(({ unit }) => (unit === undefined ? [] : [unit])));
  return nics.map((nic, i) => {
    const field = `nics[${i}]`;
    identifier(`${field}.id`, nic.id, seen);
    checkBackend(`${field}.backend`, nic.backend);
    const model = oneOf(`${field}.model`, nic.model, NIC_MODELS);
    const unit = integer(`${field}.unit`, nic.unit ?? firstFree(units), 0, NICS_MAX - 1);
    if (nic.unit !== undefined && nics.findIndex((other) => other.unit === nic.unit) < i)
      refuse(`${field}.unit`, unit, "one that no other card has");
    units.add(unit);
    const mac = checkMac(`${field}.mac`, nic.mac ?? `02:70:76:00:00:0${unit + 1}`);
    if (addresses.has(mac)) refuse(`${field}.mac`, nic.mac, "an address that no other card has");
    addresses.add(mac);
    if (nic.mtu !== undefined) {
      integer(`${field}.mtu`, nic.mtu, MTU_MIN, 0xffff);
      if (model !== "virtio") refuse(`${field}.mtu`, nic.mtu, "nothing", `is for model virtio, not ${model}`);
    }
    flag(`${field}.trustedChecksums`, nic.trustedChecksums ?? false);
    checkLimits(`${field}.receiveLimits`, nic.receiveLimits);
    checkLimits(`${field}.transmitLimits`, nic.transmitLimits);
    if (nic.bootRom !== undefined) optionRom(`${field}.bootRom`, nic.bootRom, BOOT_ROM_MAX);
    if (nic.bootIndex !== undefined) integer(`${field}.bootIndex`, nic.bootIndex, 0, BOOT_INDEX_MAX);
    if (nic.capture !== undefined && text(`${field}.capture`, nic.capture) === "")
      refuse(`${field}.capture`, nic.capture, "the name of a file");
    return { ...nic, mac, unit };
  });
}

function firstFree(taken: ReadonlySet<number>): number {
  let unit = 0;
  while (taken.has(unit)) unit++;
  return unit;
}

function checkBackend(field: string, backend: NetworkBackend | NetworkSource): void {
  object(field, backend, 'a NetworkBackend or an object such as { kind: "user" }');
  if (!("kind" in backend)) {
    methods(field, backend, ["send", "onReceive"]);
    return;
  }
  checkNetworkSource(field, backend);
}

export function checkNetworkSource(field: string, source: NetworkSource): void {
  oneOf(`${field}.kind`, source.kind, ["user", "switch", "none"]);
  if (source.kind === "user") {
    fields(field, source, USER_FIELDS);
    if (source.tftp !== undefined && text(`${field}.tftp`, source.tftp) === "")
      refuse(`${field}.tftp`, source.tftp, "the name of a directory");
    checkUserNetwork(source, `${field}.`);
  } else if (source.kind === "switch") {
    fields(field, source, ["name", "link"]);
    checkSwitchName(`${field}.name`, source.name);
    if (source.link !== undefined) checkLink(`${field}.link`, source.link);
  } else {
    fields(field, source, []);
  }
}

export function checkSwitchName(field: string, value: unknown): string {
  const name = text(field, value);
  if (!/^[\w.-]+$/.test(name) || name.length > SWITCH_NAME_MAX)
    refuse(field, name, `1 to ${SWITCH_NAME_MAX} letters, digits, dots, hyphens and underscores`);
  return name;
}

function fields(field: string, source: object, known: readonly string[]): void {
  for (const key of Object.keys(source))
    if (key !== "kind" && !known.includes(key))
      refuse(`${field}.${key}`, undefined, known.join(", ") || "nothing beside kind", "is not a field of it");
}

/** The six bytes of a checked address. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (byte) => Number.parseInt(byte, 16));
}

export function checkMac(field: string, value: unknown): string {
  const mac = text(field, value).toLowerCase();
  const bytes = macBytes(mac);
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) || (bytes[0] ?? 0) & 1 || bytes.every((byte) => byte === 0)) {
    refuse(field, mac, 'six bytes such as "02:70:76:00:00:01", not a group address');
  }
  return mac;
}
