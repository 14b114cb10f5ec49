// `info TOPIC`: what the machine's parts hold, from their state in the VM's memory and from guest tables.
import {
  APIC_DFR,
  APIC_ESR,
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_LDR,
  APIC_LVT_ERROR,
  APIC_LVT_LINT0,
  APIC_LVT_LINT1,
  APIC_LVT_PERF,
  APIC_LVT_THERMAL,
  APIC_LVT_TIMER,
  APIC_PPR,
  APIC_SVR,
  APIC_TIMER_CURRENT,
  APIC_TIMER_DIVIDE,
  APIC_TIMER_INITIAL,
  APIC_TPR,
  APIC_VERSION,
  IOAPIC_ID,
  IOAPIC_LINES,
  IOAPIC_PINS,
  IOAPIC_REDIR,
  LVT_MASKED,
  PIC_ELCR,
  PIC_IMR,
  PIC_IRR,
  PIC_ISR,
  PIC_LINES,
  PIC_MASTER,
  PIC_SLAVE,
  PIC_VECTOR,
  PIT_CE,
  PIT_CONTROL,
  PIT_COUNT,
  PIT_COUNTER,
  PIT_GATE,
  PIT_OUT,
  PIT_STRIDE,
  SVR_ENABLE,
} from "../../spec/chipset.ts";
import {
  CHIPSET_BASE,
  LAPIC,
  TLB_CURRENT,
  TLB_DELTA,
  TLB_ENTRIES,
  TLB_EXEC,
  TLB_READ,
  TLB_STRIDE,
  TLB_SUPER_AC,
  TLB_USER,
  TLB_WRITE,
  VM_BASE,
  VM_RAM_BASE,
} from "../../spec/layout.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { Debugger } from "./debugger.ts";

type Print = (debug: Debugger) => string;

/** Topic -> its text. */
export const INFO: Readonly<Record<string, Print>> = {
  pic: infoPic,
  pit: infoPit,
  lapic: infoLapic,
  ioapic: infoIoapic,
  tlb: infoTlb,
  gdt: (debug) => infoTable(debug, "gdtr", describeSegment),
  idt: (debug) => infoTable(debug, "idtr", describeGate),
};

const PIT_MODES = [
  "0 terminal count",
  "1 one-shot",
  "2 rate",
  "3 square wave",
  "4 software strobe",
  "5 hardware strobe",
  "2 rate",
  "3 square wave",
];
const DELIVERY = ["fixed", "lowest", "SMI", "?", "NMI", "INIT", "SIPI", "ExtINT"];

function vcpuOf(debug: Debugger): Vcpu {
  return debug.target.vcpu(debug.index);
}

/** State outside the vCPU block, by its address in the VM's memory. */
function chipset(vcpu: Vcpu, offset: number, size: number): DataView {
  const bytes = vcpu.bytes(CHIPSET_BASE + offset - vcpu.address, size);
  return new DataView(bytes.buffer, bytes.byteOffset, size);
}

function infoPic(debug: Debugger): string {
  const vcpu = vcpuOf(debug);
  return [PIC_MASTER, PIC_SLAVE]
    .map((base, i) => {
      const pic = chipset(vcpu, base, 16);
      const byte = (name: string, at: number): string => `${name} ${hex(pic.getUint8(at), 2)}`;
      const rows = [
        byte("irr", PIC_IRR),
        byte("isr", PIC_ISR),
        byte("imr", PIC_IMR),
        byte("lines", PIC_LINES),
        byte("elcr", PIC_ELCR),
        byte("vector", PIC_VECTOR),
      ];
      return `${i === 0 ? "master" : "slave "}  ${rows.join("  ")}`;
    })
    .join("\n");
}

function infoPit(debug: Debugger): string {
  const vcpu = vcpuOf(debug);
  return [0, 1, 2]
    .map((i) => {
      const counter = chipset(vcpu, PIT_COUNTER + i * PIT_STRIDE, PIT_STRIDE);
      const control = counter.getUint8(PIT_CONTROL);
      return `counter ${i}  mode ${PIT_MODES[(control >> 1) & 7]}  count ${counter.getUint32(PIT_COUNT, true)}  now ${counter.getUint32(PIT_CE, true)}  gate ${counter.getUint8(PIT_GATE)}  out ${counter.getUint8(PIT_OUT)}`;
    })
    .join("\n");
}

function infoLapic(debug: Debugger): string {
  const vcpu = vcpuOf(debug);
  const register = (offset: number): number => vcpu.getU32(LAPIC + offset);
  const vectors = (base: number): string => {
    const set: string[] = [];
    for (let vector = 0; vector < 256; vector++) {
      if (register(base + (vector >> 5) * 16) & (1 << (vector & 31))) set.push(hex(vector, 2));
    }
    return set.length > 0 ? set.join(" ") : "none";
  };
  const lvt = (name: string, offset: number): string => {
    const value = register(offset);
    return `${name.padEnd(8)} ${hex(value, 8)}  vector ${hex(value & 0xff, 2)}  ${DELIVERY[(value >> 8) & 7]}${value & LVT_MASKED ? "  masked" : ""}`;
  };
  return [
    `id ${hex(register(APIC_ID) >>> 24, 2)}  version ${hex(register(APIC_VERSION), 8)}  svr ${hex(register(APIC_SVR), 8)} (${register(APIC_SVR) & SVR_ENABLE ? "enabled" : "disabled"})`,
    `tpr ${hex(register(APIC_TPR), 2)}  ppr ${hex(register(APIC_PPR), 2)}  ldr ${hex(register(APIC_LDR), 8)}  dfr ${hex(register(APIC_DFR), 8)}  esr ${hex(register(APIC_ESR), 2)}`,
    `timer    initial ${register(APIC_TIMER_INITIAL)}  current ${register(APIC_TIMER_CURRENT)}  divide ${hex(register(APIC_TIMER_DIVIDE), 1)}`,
    lvt("timer", APIC_LVT_TIMER),
    lvt("thermal", APIC_LVT_THERMAL),
    lvt("perf", APIC_LVT_PERF),
    lvt("lint0", APIC_LVT_LINT0),
    lvt("lint1", APIC_LVT_LINT1),
    lvt("error", APIC_LVT_ERROR),
    `in service  ${vectors(APIC_ISR)}`,
    `requested   ${vectors(APIC_IRR)}`,
  ].join("\n");
}

function infoIoapic(debug: Debugger): string {
  const vcpu = vcpuOf(debug);
  const state = chipset(vcpu, 0, IOAPIC_REDIR + IOAPIC_PINS * 8);
  const lines = state.getUint32(IOAPIC_LINES, true);
  const rows = [`id ${hex((state.getUint32(IOAPIC_ID, true) >>> 24) & 15, 1)}  lines ${hex(lines, 6)}`];
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    const low = state.getUint32(IOAPIC_REDIR + pin * 8, true);
    const high = state.getUint32(IOAPIC_REDIR + pin * 8 + 4, true);
    const words = [
      DELIVERY[(low >> 8) & 7],
      low & 0x800 ? "logical" : "physical",
      `to ${hex(high >>> 24, 2)}`,
      low & 0x8000 ? "level" : "edge",
    ];
    if (low & 0x2000) words.push("active low");
    if (low & LVT_MASKED) words.push("masked");
    rows.push(`pin ${String(pin).padStart(2)}  vector ${hex(low & 0xff, 2)}  ${words.join(" ")}`);
  }
  return rows.join("\n");
}

/** Filled entries of the current privilege's TLB; a tag without its page bits is none. */
function infoTlb(debug: Debugger): string {
  const vcpu = vcpuOf(debug);
  const tlb = vcpu.getU32(TLB_CURRENT);
  if (tlb === 0) return "no TLB yet";
  const ram = vcpu.getU32(VM_BASE + VM_RAM_BASE - vcpu.address);
  const rows: [number, string][] = [];
  for (let i = 0; i < TLB_ENTRIES; i++) {
    const at = tlb + i * TLB_STRIDE - vcpu.address;
    const tags = [TLB_READ, TLB_WRITE, TLB_EXEC].map((offset) => vcpu.getU32(at + offset));
    const page = tags.find((tag) => (tag & 0xfff) === 0);
    if (page === undefined) continue;
    const rights = ["r", "w", "x"].map((letter, k) => (tags[k] === page ? letter : "-")).join("");
    rows.push([page, `${hex(page, 8)} -> ${hex(page + vcpu.getU32(at + TLB_DELTA) - ram, 8)} ${rights}`]);
  }
  rows.sort((a, b) => a[0] - b[0]);
  const names = new Map([
    [vcpu.getU32(TLB_USER), "user"],
    [vcpu.getU32(TLB_SUPER_AC), "supervisor (EFLAGS.AC, SMAP)"],
  ]);
  const which = names.get(tlb) ?? "supervisor";
  return [`${which} TLB: ${rows.length} of ${TLB_ENTRIES} entries`, ...rows.map(([, row]) => row)].join("\n");
}

/** Descriptor table: rows that are not empty. */
function infoTable(
  debug: Debugger,
  register: "gdtr" | "idtr",
  describe: (low: number, high: number) => string,
): string {
  const base = Number(debug.get(`${register}.base`));
  const limit = Number(debug.get(`${register}.limit`));
  const bytes = debug.readLinear(base, (limit + 1) & ~7);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows = [`base ${hex(base, 8)}  limit ${hex(limit, 4)}`];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    if (low !== 0 || high !== 0)
      rows.push(`${register === "gdtr" ? hex(at, 4) : hex(at / 8, 2)}  ${describe(low, high)}`);
  }
  if (bytes.length < limit + 1 - 7) rows.push("(the rest is not present)");
  return rows.join("\n");
}

const SYSTEM_TYPES = [
  "?",
  "TSS16",
  "LDT",
  "TSS16 busy",
  "call16",
  "task gate",
  "int16",
  "trap16",
  "?",
  "TSS32",
  "?",
  "TSS32 busy",
  "call32",
  "?",
  "int32",
  "trap32",
];

/** Segment descriptor (SDM 3A 3.4.5). */
function describeSegment(low: number, high: number): string {
  const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
  const limit20 = (low & 0xffff) | (high & 0xf0000);
  const limit = high & 0x800000 ? ((limit20 << 12) | 0xfff) >>> 0 : limit20;
  const type = (high >>> 8) & 15;
  const kind =
    high & 0x1000 ? `${type & 8 ? "code" : "data"}${high & 0x400000 ? "32" : "16"}` : (SYSTEM_TYPES[type] ?? "?");
  const present = high & 0x8000 ? "" : "  not present";
  return `${kind.padEnd(10)} base ${hex(base, 8)}  limit ${hex(limit, 8)}  dpl ${(high >>> 13) & 3}${present}`;
}

/** Gate (SDM 3A 6.11). */
function describeGate(low: number, high: number): string {
  const offset = ((low & 0xffff) | (high & 0xffff0000)) >>> 0;
  const present = high & 0x8000 ? "" : "  not present";
  return `${(SYSTEM_TYPES[(high >>> 8) & 15] ?? "?").padEnd(10)} ${hex(low >>> 16, 4)}:${hex(offset, 8)}  dpl ${(high >>> 13) & 3}${present}`;
}

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, "0");
}
