// Networks and network cards as a person writes them down: in requests and in fleet files.

import { checkMac, checkNetworkSource, NIC_MODELS } from "../vmm/check-network.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import type { NetworkSource, UserNetworkSettings } from "../vmm/network.ts";
import { type Checked, type FieldTable, type OtherField, schemaOf } from "./fields.ts";
import { checkHostNetwork, type HostNetworkSettings } from "./networks.ts";

const PATH_LENGTH = 4096;
const NAME_LENGTH = 64;

const text = (description: string): Record<string, unknown> => ({ type: "string", description });
const USER_SCHEMA = {
  type: "object",
  properties: {
    net: text('"10.0.2.0/24" when left out'),
    host: text("the gateway's address; the second of the net when left out"),
    dns: text("the name server's; the third when left out"),
    dhcpStart: text("first address that DHCP gives; the fifteenth when left out"),
    hostname: text("what DHCP calls the guest"),
    domain: text("and its domain"),
    restrict: { type: "boolean", description: "the gateway's services and forwarded ports only", default: false },
    allow: {
      type: "array",
      items: text("192.0.2.0/24, 192.0.2.1:80, example.org:443, *.example.org, host:8080"),
      description: "where connections may go; anywhere when left out",
    },
    forwards: {
      type: "array",
      items: {
        type: "object",
        properties: {
          protocol: { enum: ["tcp", "udp"] },
          hostAddress: text("127.0.0.1 when left out"),
          hostPort: { type: "integer", minimum: 0, maximum: 65535, description: "0: any that is free" },
          guestAddress: text("the first that is given out when left out"),
          guestPort: { type: "integer", minimum: 1, maximum: 65535 },
        },
        required: ["protocol", "hostPort", "guestPort"],
        additionalProperties: false,
      },
    },
    tftp: text("directory of the host, served by TFTP and HTTP"),
    bootFile: text("file in it that network boot loads"),
  },
  additionalProperties: false,
};

const USER_FIELD: OtherField<UserNetworkSettings> = {
  kind: "other",
  title: "settings of a user network",
  check: (value, path) => {
    checkNetworkSource(path, { kind: "user", ...(value as UserNetworkSettings) });
    return value as UserNetworkSettings;
  },
  schema: USER_SCHEMA,
  accepted: "an object with the settings of a user network",
};

const MAC_FIELD: OtherField<string> = {
  kind: "other",
  title: "address of the card; one that no other has when left out",
  check: (value, path) => checkMac(path, value),
  schema: { type: "string", pattern: "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$" },
  accepted: 'six bytes such as "02:70:76:00:00:01"',
};

export const LINK_FIELDS = {
  bitsPerSecond: { kind: "number", title: "bandwidth; no bound when left out", min: 1, max: 1e12, integer: true },
  queueBytes: { kind: "number", title: "what waits for the bandwidth", min: 1, max: 67_108_864, integer: true },
  latencyMs: { kind: "number", title: "milliseconds", min: 0, max: 86_400_000 },
  jitterMs: { kind: "number", title: "up to so many more milliseconds", min: 0, max: 86_400_000 },
  loss: { kind: "number", title: "share of the frames that get lost", min: 0, max: 1 },
} as const satisfies FieldTable;

export const NIC_FIELDS = {
  id: { kind: "text", title: "unique among the cards; net0 and so on when left out", maxLength: 20 },
  model: { kind: "choice", title: "what the guest sees", of: NIC_MODELS, default: "virtio" },
  mac: MAC_FIELD,
  mtu: { kind: "number", title: "largest packet, told to the guest", min: 68, max: 65_535, integer: true },
  network: {
    kind: "text",
    title: "a network of the host; a user network of its own when left out",
    maxLength: NAME_LENGTH,
  },
  link: { kind: "object", title: "how the cable to that network behaves", fields: LINK_FIELDS },
  user: USER_FIELD,
  capture: { kind: "text", title: "file that gets everything that passes (pcap)", maxLength: PATH_LENGTH },
} as const satisfies FieldTable;

export const NIC_PATCH_FIELDS = {
  id: { ...NIC_FIELDS.id, title: "which card", required: true },
  up: { kind: "choice", title: "pull its cable, or put it back", of: ["yes", "no"] },
} as const satisfies FieldTable;

/** Checked as a whole by whoever makes the network. */
export const NETWORK_FIELDS = {
  name: { kind: "text", title: "unique on its host", maxLength: NAME_LENGTH, required: true },
  gateway: { ...USER_FIELD, title: "a gateway to the host's network with DHCP; none when left out" },
  link: { kind: "object", title: "of each card that says nothing else", fields: LINK_FIELDS },
  links: {
    kind: "list",
    title: "cables to networks that are there already",
    of: { to: { kind: "text", title: "the other network", maxLength: NAME_LENGTH, required: true }, ...LINK_FIELDS },
    minItems: 0,
    maxItems: 256,
  },
} as const satisfies FieldTable;

export const NETWORK_SCHEMA = schemaOf(NETWORK_FIELDS);

/** Without what was left out. Throws VmError("bad-config") that names the field. */
export function networkSettings(fields: Readonly<Record<string, unknown>>, where = ""): HostNetworkSettings {
  const settings = given(fields) as unknown as HostNetworkSettings;
  checkHostNetwork(settings, where);
  return settings;
}

/** Plain data without its undefined fields, at every depth. */
export function given<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The card that a specification means; `id` where it has none. Throws VmError("bad-config") naming `field`. */
export function nicOfSpec(nic: Checked<typeof NIC_FIELDS>, ownId: string, field: string): NicConfig {
  const { id, network, link, user, model, ...card } = nic;
  const refuse = (what: string): never => {
    throw new VmError("bad-config", `${field}.${what}`, { field });
  };
  if (network !== undefined && user !== undefined)
    refuse("user and network both say what the card is on; give one of them");
  if (link !== undefined && network === undefined)
    refuse("link is of a cable to a network of the host; give network too");
  const backend: NetworkSource =
    network === undefined ? { kind: "user", ...user } : { kind: "switch", name: network, ...given({ link }) };
  return { id: id ?? ownId, model, backend, ...given(card) };
}
