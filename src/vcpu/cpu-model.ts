// CPU models: "core2,+nx,-sse3" becomes feature words for the core and the CPUID table that the guest reads.

import {
  CPU_MODELS,
  type CpuidRegister,
  type CpuModelSpec,
  FEATURE_BITS,
  type FeatureBit,
  LINEAR_BITS,
  PARAVIRT_SWITCHES,
  type ParavirtName,
  PHYSICAL_BITS,
  UNREPORTED_FEATURES,
} from "../../spec/cpuid.ts";
import { CPUID_COUNT, CPUID_MAX, CPUID_STRIDE, CPUID_TABLE, FEATURES } from "../../spec/layout.ts";
import { VmError } from "../vmm/error.ts";

/** What `cpu` of a configuration may begin with. */
export const cpuModelNames: readonly string[] = CPU_MODELS.map(({ name }) => name);

/** One row of the CPUID table. `subleafMatters`: ECX selects it, otherwise any ECX does. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly subleaf: number;
  readonly subleafMatters: boolean;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export interface CpuModel {
  readonly name: string;
  /** Names of the features it has, in CPUID order. */
  readonly featureNames: readonly string[];
  /** FEATURES words of the vCPU block. */
  readonly features: readonly number[];
  readonly leaves: readonly CpuidLeaf[];
}

export interface CpuModelOptions {
  /** The machine has a local APIC. Default true. */
  readonly apic?: boolean;
  /** TSC frequency, told to guests by leaves 15h and 16h where the model has them. The APIC timer's clock is 1 GHz. */
  readonly tscKhz?: number;
  /** EBX ECX EDX of leaf 40000000h as twelve characters, with feature `hypervisor`. Default KVM's. */
  readonly hypervisorSignature?: string;
  /** Parts of KVM's paravirtual interface, with feature `hypervisor` for any of them. Default none. */
  readonly paravirt?: readonly ParavirtName[];
}

const FEATURE_WORDS = 4;
/** First of the leaves that belong to hypervisors: neither basic nor extended. */
const HYPERVISOR_LEAVES = 0x40000000;
const APIC_TIMER_HZ = 1_000_000_000;
const byName = new Map<string, FeatureBit>(FEATURE_BITS.map((b) => [b.name, b]));

function featureOf(name: string, config: string): FeatureBit {
  const bit = byName.get(name);
  if (bit === undefined) {
    throw new VmError(
      "bad-config",
      `cpu "${config}": no feature "${name}"; known features: ${FEATURE_BITS.map((b) => b.name).join(" ")}`,
      {
        field: "cpu",
        value: config,
        accepted: FEATURE_BITS.map((b) => b.name),
      },
    );
  }
  return bit;
}

function addFeature(set: Set<string>, bit: FeatureBit): void {
  if (set.has(bit.name)) return;
  set.add(bit.name);
  for (const name of bit.needs ?? []) addFeature(set, byName.get(name) as FeatureBit);
}

function removeFeature(set: Set<string>, name: string): void {
  set.delete(name);
  for (const bit of FEATURE_BITS) if (set.has(bit.name) && bit.needs?.includes(name)) removeFeature(set, bit.name);
}

/** Model and features of a `cpu` setting: a model's name, then `+feature` (with what it needs) and `-feature` (with what needs it). */
function parse(config: string, options: CpuModelOptions): { spec: CpuModelSpec; set: Set<string> } {
  const [name, ...changes] = config.split(",").map((part) => part.trim());
  const spec = CPU_MODELS.find((m) => m.name === name);
  if (spec === undefined) {
    const accepted = CPU_MODELS.map((m) => m.name);
    throw new VmError("bad-config", `cpu "${config}": no model "${name}"; known models: ${accepted.join(" ")}`, {
      field: "cpu",
      value: config,
      accepted,
    });
  }
  const set = new Set<string>(spec.features);
  if (options.apic === false) removeFeature(set, "apic");
  for (const { name, features } of PARAVIRT_SWITCHES) {
    if (options.paravirt?.includes(name)) for (const feature of features) addFeature(set, featureOf(feature, config));
  }
  for (const change of changes) {
    const sign = change[0];
    if (sign !== "+" && sign !== "-") {
      throw new VmError("bad-config", `cpu "${config}": "${change}" is neither +feature nor -feature`, {
        field: "cpu",
        value: config,
      });
    }
    const bit = featureOf(change.slice(1), config);
    if (sign === "+") addFeature(set, bit);
    else removeFeature(set, bit.name);
  }
  if (options.apic === false && set.has("apic")) {
    throw new VmError("bad-config", `cpu "${config}": apic is on, but the machine has none (apic: false)`, {
      field: "cpu",
      value: config,
    });
  }
  return { spec, set };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** `text` as little-endian words, padded with zeros. */
function textWords(text: string, words: number): number[] {
  return Array.from({ length: words }, (_, i) => {
    let w = 0;
    for (let k = 3; k >= 0; k--) w = (w << 8) | (text.charCodeAt(i * 4 + k) & 0xff || 0);
    return w >>> 0;
  });
}

function signature(spec: CpuModelSpec): number {
  const family = Math.min(spec.family, 15);
  return (((spec.model >> 4) << 16) | (family << 8) | ((spec.model & 15) << 4) | spec.stepping) >>> 0;
}

/** Builds the tables of a CPU model. Throws VmError("bad-config") naming `cpu` and what it accepts. */
export function buildCpuid(config: string, options: CpuModelOptions = {}): CpuModel {
  const { spec, set } = parse(config, options);
  const chosen = FEATURE_BITS.filter((b) => set.has(b.name));
  const features = new Array<number>(FEATURE_WORDS).fill(0);
  features[0] = 1;
  const unreported = UNREPORTED_FEATURES.filter(({ name }) => spec.unreported?.includes(name));
  for (const { feature } of [...chosen, ...unreported])
    features[feature >> 5] = ((features[feature >> 5] as number) | (1 << (feature & 31))) >>> 0;

  const bits = (leaf: number, register: CpuidRegister): number => {
    let word = 0;
    for (const b of chosen) if (b.leaf === leaf && b.register === register) word |= 1 << b.bit;
    return word >>> 0;
  };
  const leaves: CpuidLeaf[] = [];
  const add = (leaf: number, eax: number, ebx: number, ecx: number, edx: number, subleaf?: number): void => {
    leaves.push({
      leaf,
      subleaf: subleaf ?? 0,
      subleafMatters: subleaf !== undefined,
      eax: eax >>> 0,
      ebx: ebx >>> 0,
      ecx: ecx >>> 0,
      edx: edx >>> 0,
    });
  };
  /** A feature asked for by name brings the leaf that reports it. */
  const basic = Math.max(spec.basicLeaves, ...chosen.map((b) => (b.leaf < HYPERVISOR_LEAVES ? b.leaf : 0)));
  const extended = Math.max(spec.extendedLeaves, ...chosen.map((b) => (b.leaf >= 0x80000000 ? b.leaf : 0)));

  const vendor = textWords(spec.vendor, 3) as [number, number, number];
  add(0, basic, vendor[0], vendor[2], vendor[1]);
  // EBX: CLFLUSH line in quadwords, one logical processor; the core fills in the APIC ID
  add(1, signature(spec), (set.has("clflush") ? 8 << 8 : 0) | (1 << 16), bits(1, "ecx"), bits(1, "edx"));
  add(2, ...spec.cacheDescriptors);
  if (basic >= 4) addCaches(spec, add);
  if (basic >= 5) {
    const monitor = set.has("monitor");
    add(5, monitor ? 64 : 0, monitor ? 64 : 0, monitor ? 3 : 0, 0);
  }
  if (basic >= 6) add(6, bits(6, "eax"), 0, 0, 0);
  if (basic >= 7) add(7, 0, bits(7, "ebx"), bits(7, "ecx"), 0, 0);
  if (basic >= 0x15) addTscRatio(options.tscKhz, add);
  // base and maximum frequency in MHz: guests need not measure the TSC against the PIT
  const mhz = Math.round((options.tscKhz ?? 0) / 1000);
  if (basic >= 0x16) add(0x16, mhz, mhz, 0, 0);

  if (extended >= 0x80000000) {
    add(0x80000000, extended, 0, 0, 0);
    add(0x80000001, 0, 0, bits(0x80000001, "ecx"), bits(0x80000001, "edx"));
    for (let i = 0; i < 3; i++)
      add(0x80000002 + i, ...(textWords(spec.brand.slice(i * 16, i * 16 + 16), 4) as [number, number, number, number]));
    const l2 = spec.caches.find((c) => c.level === 2);
    // L2: line 64 bytes, associativity 8 = 16 ways
    add(0x80000006, 0, 0, l2 === undefined ? 0 : (l2.sizeKiB << 16) | (8 << 12) | 64, 0);
    add(0x80000007, 0, 0, 0, bits(0x80000007, "edx"));
    add(0x80000008, PHYSICAL_BITS | (LINEAR_BITS << 8), 0, 0, 0);
  }
  if (set.has("hypervisor")) {
    const [b, c, d] = textWords(options.hypervisorSignature ?? "KVMKVMKVM", 3) as [number, number, number];
    add(0x40000000, 0x40000001, b, c, d);
    add(0x40000001, bits(0x40000001, "eax"), 0, 0, 0);
  }
  return { name: spec.name, featureNames: chosen.map((b) => b.name), features, leaves };
}

type AddLeaf = (leaf: number, eax: number, ebx: number, ecx: number, edx: number, subleaf?: number) => void;

/** Leaf 4: one subleaf a cache, 64-byte lines, ended by one of type 0. */
function addCaches(spec: CpuModelSpec, add: AddLeaf): void {
  const types = { data: 1, instruction: 2, unified: 3 } as const;
  spec.caches.forEach((c, i) => {
    const sets = (c.sizeKiB * 1024) / (c.ways * 64);
    add(4, types[c.type] | (c.level << 5) | (1 << 8), 63 | ((c.ways - 1) << 22), sets - 1, 0, i);
  });
}

/** Leaf 15h: TSC = crystal * EBX / EAX. Left at 0 (unknown) where the ratio would overflow guests' 32-bit arithmetic. */
function addTscRatio(tscKhz: number | undefined, add: AddLeaf): void {
  const crystalKhz = APIC_TIMER_HZ / 1000;
  if (tscKhz === undefined || tscKhz === 0) {
    add(0x15, 0, 0, 0, 0);
    return;
  }
  const d = gcd(tscKhz, crystalKhz);
  if ((tscKhz / d) * crystalKhz >= 2 ** 32) {
    add(0x15, 0, 0, 0, 0);
    return;
  }
  add(0x15, crystalKhz / d, tscKhz / d, APIC_TIMER_HZ, 0);
}

/** Writes a model's feature words and CPUID table into a vCPU block at `base` of the VM's memory. */
export function installCpuModel(memory: DataView, base: number, model: CpuModel): void {
  if (model.leaves.length > CPUID_MAX)
    throw new VmError(
      "internal",
      `CPU model ${model.name} has ${model.leaves.length} CPUID leaves, at most ${CPUID_MAX} fit`,
    );
  for (let i = 0; i < FEATURE_WORDS; i++) memory.setUint32(base + FEATURES + i * 4, model.features[i] ?? 0, true);
  memory.setUint32(base + CPUID_COUNT, model.leaves.length, true);
  model.leaves.forEach((leaf, i) => {
    const at = base + CPUID_TABLE + i * CPUID_STRIDE;
    const words = [leaf.leaf, leaf.subleaf, leaf.subleafMatters ? 1 : 0, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx, 0];
    words.forEach((w, k) => memory.setUint32(at + k * 4, w, true));
  });
}
