// What CPUID reports: the bit of each feature, and the CPU models. SDM 2A CPUID. Read by src/vcpu/cpu-model.ts.
import { Feature } from "./features.ts";

export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** A feature as users name it (`+name`, `-name`), and the CPUID bit that reports it. */
export interface FeatureBit {
  readonly name: string;
  readonly feature: Feature;
  readonly leaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  /** Features without which this one makes no sense, by name. */
  readonly needs?: readonly string[];
}

const f = (
  name: string,
  feature: Feature,
  leaf: number,
  register: CpuidRegister,
  bit: number,
  needs?: readonly string[],
): FeatureBit =>
  needs === undefined ? { name, feature, leaf, register, bit } : { name, feature, leaf, register, bit, needs };

/** Every feature that the core implements. What is not here cannot be switched on. */
export const FEATURE_BITS: readonly FeatureBit[] = [
  f("fpu", Feature.Fpu, 1, "edx", 0),
  f("vme", Feature.Vme, 1, "edx", 1),
  f("de", Feature.De, 1, "edx", 2),
  f("pse", Feature.Pse, 1, "edx", 3),
  f("tsc", Feature.Tsc, 1, "edx", 4),
  f("msr", Feature.Msr, 1, "edx", 5),
  f("pae", Feature.Pae, 1, "edx", 6),
  f("mce", Feature.Mce, 1, "edx", 7),
  f("cx8", Feature.Cx8, 1, "edx", 8),
  f("apic", Feature.Apic, 1, "edx", 9, ["msr"]),
  f("sep", Feature.Sep, 1, "edx", 11, ["msr"]),
  f("mtrr", Feature.Mtrr, 1, "edx", 12, ["msr"]),
  f("pge", Feature.Pge, 1, "edx", 13),
  f("mca", Feature.Mca, 1, "edx", 14, ["mce", "msr"]),
  f("cmov", Feature.Cmov, 1, "edx", 15),
  f("pat", Feature.Pat, 1, "edx", 16, ["msr"]),
  f("pse36", Feature.Pse36, 1, "edx", 17, ["pse"]),
  f("clflush", Feature.Clflush, 1, "edx", 19),
  f("mmx", Feature.Mmx, 1, "edx", 23, ["fpu"]),
  f("fxsr", Feature.Fxsr, 1, "edx", 24, ["fpu"]),
  f("sse", Feature.Sse, 1, "edx", 25, ["fxsr", "mmx"]),
  f("sse2", Feature.Sse2, 1, "edx", 26, ["sse"]),
  f("sse3", Feature.Sse3, 1, "ecx", 0, ["sse2"]),
  f("monitor", Feature.Monitor, 1, "ecx", 3),
  f("ssse3", Feature.Ssse3, 1, "ecx", 9, ["sse3"]),
  f("sse4.1", Feature.Sse41, 1, "ecx", 19, ["ssse3"]),
  f("sse4.2", Feature.Sse42, 1, "ecx", 20, ["sse4.1"]),
  f("movbe", Feature.Movbe, 1, "ecx", 22),
  f("popcnt", Feature.Popcnt, 1, "ecx", 23),
  f("tsc-deadline", Feature.TscDeadline, 1, "ecx", 24, ["apic", "tsc"]),
  f("hypervisor", Feature.Hypervisor, 1, "ecx", 31),
  f("arat", Feature.Arat, 6, "eax", 2, ["apic"]),
  f("smep", Feature.Smep, 7, "ebx", 7),
  f("erms", Feature.Erms, 7, "ebx", 9),
  f("smap", Feature.Smap, 7, "ebx", 20),
  f("umip", Feature.Umip, 7, "ecx", 2),
  f("nx", Feature.Nx, 0x80000001, "edx", 20, ["pae", "msr"]),
  f("rdtscp", Feature.Rdtscp, 0x80000001, "edx", 27, ["tsc", "msr"]),
  f("invtsc", Feature.InvariantTsc, 0x80000007, "edx", 8, ["tsc"]),
  f("kvmclock-old", Feature.KvmClockOld, 0x40000001, "eax", 0, ["hypervisor", "msr", "tsc"]),
  f("kvm-nopiodelay", Feature.KvmNoIoDelay, 0x40000001, "eax", 1, ["hypervisor"]),
  f("kvmclock", Feature.KvmClock, 0x40000001, "eax", 3, ["hypervisor", "msr", "tsc"]),
  f("kvm-steal-time", Feature.KvmStealTime, 0x40000001, "eax", 5, ["hypervisor", "msr"]),
  f("kvm-pv-eoi", Feature.KvmPvEoi, 0x40000001, "eax", 6, ["hypervisor", "apic"]),
  f("kvm-asyncpf", Feature.KvmAsyncPf, 0x40000001, "eax", 4, ["hypervisor", "msr", "apic"]),
  f("kvm-asyncpf-int", Feature.KvmAsyncPfInt, 0x40000001, "eax", 14, ["kvm-asyncpf"]),
  f("kvmclock-stable", Feature.KvmClockStable, 0x40000001, "eax", 24, ["kvmclock"]),
  f("hc-console", Feature.HcConsole, 0x40000101, "eax", 0, ["hypercalls"]),
  f("hc-yield", Feature.HcYield, 0x40000101, "eax", 1, ["hypercalls"]),
  f("hc-exit", Feature.HcExit, 0x40000101, "eax", 2, ["hypercalls"]),
  f("hc-clock", Feature.HcClock, 0x40000101, "eax", 3, ["hypercalls"]),
  f("hc-mmu", Feature.HcMmu, 0x40000101, "eax", 4, ["hypercalls"]),
  f("hc-block", Feature.HcBlock, 0x40000101, "eax", 5, ["hypercalls"]),
  f("hypercalls", Feature.Hypercalls, 0x40000101, "eax", 31, ["hypervisor"]),
];

/** A switch of the paravirtual interfaces, KVM's and ours (VmConfig.paravirt), and the features that it turns on. */
export interface ParavirtSwitch {
  readonly name: ParavirtName;
  readonly features: readonly string[];
  /** Not among "all": of use to few. */
  readonly onlyByName?: true;
}

export type ParavirtName =
  | "clock"
  | "no-io-delay"
  | "steal"
  | "eoi"
  | "async-pf"
  | "console"
  | "yield"
  | "exit"
  | "hc-clock"
  | "mmu"
  | "block";

/** Every switch; what is not here is not implemented and never advertised. */
export const PARAVIRT_SWITCHES: readonly ParavirtSwitch[] = [
  { name: "clock", features: ["kvmclock-old", "kvmclock", "kvmclock-stable"] },
  { name: "no-io-delay", features: ["kvm-nopiodelay"] },
  { name: "steal", features: ["kvm-steal-time"] },
  { name: "eoi", features: ["kvm-pv-eoi"] },
  { name: "async-pf", features: ["kvm-asyncpf", "kvm-asyncpf-int"], onlyByName: true },
  { name: "console", features: ["hc-console"] },
  { name: "yield", features: ["hc-yield"] },
  { name: "exit", features: ["hc-exit"] },
  { name: "hc-clock", features: ["hc-clock"] },
  { name: "mmu", features: ["hc-mmu"] },
  { name: "block", features: ["hc-block"] },
];

/** Features that no CPUID bit reports: software knows them by family and model, and they come with a model alone. */
export const UNREPORTED_FEATURES: readonly { readonly name: string; readonly feature: Feature }[] = [
  { name: "p6-counters", feature: Feature.P6Counters },
];

/** Every feature by its name. */
export const NAMED_FEATURES = [...FEATURE_BITS.map(({ name, feature }) => ({ name, feature })), ...UNREPORTED_FEATURES];

/** One cache of CPUID leaf 4. */
export interface CpuCache {
  readonly level: number;
  /** Type field of leaf 4. */
  readonly type: "data" | "instruction" | "unified";
  readonly sizeKiB: number;
  readonly ways: number;
}

export interface CpuModelSpec {
  readonly name: string;
  /** Twelve characters. */
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** Highest basic leaf. */
  readonly basicLeaves: number;
  /** Highest extended leaf, 0 = the model has none. */
  readonly extendedLeaves: number;
  /** At most 47 characters, where the model has the brand leaves. */
  readonly brand: string;
  /** EAX EBX ECX EDX of leaf 2. */
  readonly cacheDescriptors: readonly [number, number, number, number];
  /** Leaf 4, for models that have it. */
  readonly caches: readonly CpuCache[];
  readonly features: readonly string[];
  /** Names of UNREPORTED_FEATURES. */
  readonly unreported?: readonly string[];
}

const PENTIUM3 = [
  "fpu",
  "vme",
  "de",
  "pse",
  "tsc",
  "msr",
  "pae",
  "mce",
  "cx8",
  "apic",
  "sep",
  "mtrr",
  "pge",
  "mca",
  "cmov",
  "pat",
  "pse36",
  "mmx",
  "fxsr",
  "sse",
] as const;
const CORE2 = [...PENTIUM3, "clflush", "sse2", "sse3", "ssse3", "nx"] as const;
const CORE_CACHES: readonly CpuCache[] = [
  { level: 1, type: "data", sizeKiB: 32, ways: 8 },
  { level: 1, type: "instruction", sizeKiB: 32, ways: 8 },
  { level: 2, type: "unified", sizeKiB: 4096, ways: 16 },
];

/**
 * The models. `max` is everything that the core implements. It signs as family 6 model 28 (Bonnell): an in-order
 * processor, on which kernels rightly leave out mitigations of speculation.
 */
export const CPU_MODELS: readonly CpuModelSpec[] = [
  {
    name: "pentium3",
    vendor: "GenuineIntel",
    family: 6,
    model: 8,
    stepping: 6,
    basicLeaves: 2,
    extendedLeaves: 0,
    brand: "",
    cacheDescriptors: [0x03020101, 0, 0, 0x0c040841],
    caches: [],
    features: PENTIUM3,
    unreported: ["p6-counters"],
  },
  {
    name: "core2",
    vendor: "GenuineIntel",
    family: 6,
    model: 15,
    stepping: 11,
    basicLeaves: 6,
    extendedLeaves: 0x80000008,
    brand: "Intel(R) Core(TM)2 Duo CPU (Paravane)",
    cacheDescriptors: [0x05b0b101, 0x005657f0, 0, 0x2cb43049],
    caches: CORE_CACHES,
    features: CORE2,
  },
  {
    name: "max",
    vendor: "GenuineIntel",
    family: 6,
    model: 28,
    stepping: 10,
    basicLeaves: 0x16,
    extendedLeaves: 0x80000008,
    brand: "Paravane virtual processor",
    cacheDescriptors: [0x05b0b101, 0x005657f0, 0, 0x2cb43049],
    caches: CORE_CACHES,
    features: [
      ...CORE2,
      "sse4.1",
      "sse4.2",
      "popcnt",
      "movbe",
      "tsc-deadline",
      "rdtscp",
      "smep",
      "smap",
      "umip",
      "erms",
      "arat",
      "invtsc",
    ],
  },
];

/** Physical and linear address bits of leaf 0x80000008; assembly/cpu/paging.ts checks page tables against the same. */
export const PHYSICAL_BITS = 36;
export const LINEAR_BITS = 32;
