// Where a guest's connections may go. Rules name nets and addresses, names, or the host behind the gateway; names are
// allowed by the addresses that the name server gave for them.
import { type Ipv4Net, inNet, isNoHost, parseNet } from "../ipv4-address.ts";

export type Rule =
  | { readonly kind: "net"; readonly net: Ipv4Net; readonly port: number | undefined }
  /** `suffix`: the names below it, without the star: ".example.org". */
  | { readonly kind: "name"; readonly name: string; readonly suffix: boolean; readonly port: number | undefined }
  | { readonly kind: "host"; readonly port: number | undefined };

/** Cloud machines have services there that trust whoever asks: never by a rule for all addresses. */
const LINK_LOCAL: Ipv4Net = { base: 0xa9fe0000, bits: 16 };
/** Addresses that names led to; the oldest go. */
const LEARNED_MAX = 4096;
const NAME = /^(\*\.)?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/;
const HOST = "host";

/** Undefined for what is no rule. */
export function parseRule(text: string): Rule | undefined {
  const [, target = "", portText] = /^(.*?)(?::(\d{1,5}))?$/.exec(text.toLowerCase()) ?? [];
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 0xffff)) return undefined;
  if (target === HOST) return { kind: "host", port };
  if (/^[\d./]+$/.test(target)) {
    const net = parseNet(target);
    return net && { kind: "net", net, port };
  }
  if (!NAME.test(target)) return undefined;
  const suffix = target.startsWith("*.");
  return { kind: "name", name: suffix ? target.slice(1) : target, suffix, port };
}

export class Destinations {
  readonly #rules: readonly Rule[] | undefined;
  readonly #learned = new Map<number, { readonly untilNs: number; readonly ports: Set<number | undefined> }>();

  /** `allow` undefined: anywhere; `restrict`: nowhere. */
  constructor(allow: readonly string[] | undefined, restrict: boolean) {
    this.#rules = restrict ? [] : allow?.map(parseRule).filter((rule) => rule !== undefined);
  }

  /** A service of the host itself. */
  permitsHost(port: number): boolean {
    if (this.#rules === undefined) return true;
    return this.#rules.some((rule) => rule.kind === "host" && fits(rule.port, port));
  }

  permits(address: number, port: number, nowNs: number): boolean {
    if (isNoHost(address)) return false;
    if (this.#rules === undefined) return !inNet(address, LINK_LOCAL);
    const byNet = this.#rules.some(
      (rule) =>
        rule.kind === "net" &&
        fits(rule.port, port) &&
        inNet(address, rule.net) &&
        (rule.net.bits >= LINK_LOCAL.bits || !inNet(address, LINK_LOCAL)),
    );
    if (byNet) return true;
    const learned = this.#learned.get(address);
    if (learned === undefined || learned.untilNs < nowNs) return false;
    return learned.ports.has(undefined) || learned.ports.has(port);
  }

  /** Whether a name may be asked for. Where addresses alone are allowed, any: asking leads nowhere by itself. */
  permitsName(name: string): boolean {
    if (this.#rules === undefined) return true;
    if (this.#rules.some((rule) => rule.kind === "name")) return this.#portsOf(name).size > 0;
    return this.#rules.some((rule) => rule.kind === "net");
  }

  /** The name server says that a name has this address. */
  learn(name: string, address: number, untilNs: number): void {
    const ports = this.#portsOf(name);
    if (ports.size === 0 || isNoHost(address) || inNet(address, LINK_LOCAL)) return;
    const before = this.#learned.get(address);
    this.#learned.delete(address);
    this.#learned.set(address, {
      untilNs: Math.max(untilNs, before?.untilNs ?? 0),
      ports: new Set([...ports, ...(before?.ports ?? [])]),
    });
    if (this.#learned.size <= LEARNED_MAX) return;
    for (const oldest of this.#learned.keys()) {
      this.#learned.delete(oldest);
      return;
    }
  }

  #portsOf(name: string): Set<number | undefined> {
    const lower = name.toLowerCase();
    const ports = new Set<number | undefined>();
    for (const rule of this.#rules ?? []) {
      if (rule.kind !== "name") continue;
      if (rule.suffix ? lower.endsWith(rule.name) : lower === rule.name) ports.add(rule.port);
    }
    return ports;
  }
}

function fits(allowed: number | undefined, port: number): boolean {
  return allowed === undefined || allowed === port;
}
