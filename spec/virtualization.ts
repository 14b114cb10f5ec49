// How a VM is virtualized: execution controls by name, and the presets that stand for the classic systems. Read by the
// configuration, the command line and the documentation; the bits are the core's (layout.ts).
import type { ParavirtName } from "./cpuid.ts";
import {
  CTRLF_APIC,
  CTRLF_CPUID,
  CTRLF_CR3,
  CTRLF_DESCRIPTOR,
  CTRLF_INTERRUPTS,
  CTRLF_INVLPG,
  CTRLF_RDTSC,
  PAGING_DIRECT,
  PAGING_PARA,
  PAGING_SHADOW,
} from "./layout.ts";

export type PagingKind = "direct" | "shadow" | "para";

/** CTRL_PAGING of each. */
export const PAGING_KINDS: Readonly<Record<PagingKind, number>> = {
  direct: PAGING_DIRECT,
  shadow: PAGING_SHADOW,
  para: PAGING_PARA,
};

export type ControlName =
  | "cr3"
  | "invlpg"
  | "rdtsc"
  | "cpuid"
  | "descriptors"
  | "chipset"
  | "apic"
  | "interrupt-window";

export interface ControlSpec {
  readonly name: ControlName;
  /** Bit of CTRL_FLAGS; 0: by the port bitmap. */
  readonly flag: number;
  /** What exits. */
  readonly title: string;
}

/** Every control. HLT with nothing to do exits in any case: the host owns idling. */
export const CONTROLS: readonly ControlSpec[] = [
  { name: "cr3", flag: CTRLF_CR3, title: "MOV to CR3" },
  { name: "invlpg", flag: CTRLF_INVLPG, title: "INVLPG" },
  { name: "rdtsc", flag: CTRLF_RDTSC, title: "RDTSC and RDTSCP" },
  { name: "cpuid", flag: CTRLF_CPUID, title: "CPUID" },
  { name: "descriptors", flag: CTRLF_DESCRIPTOR, title: "LGDT, LIDT, LLDT, LTR, SGDT, SIDT, SLDT, STR" },
  { name: "chipset", flag: 0, title: "ports of the 8259s, the 8254, port 61h and ELCR" },
  { name: "apic", flag: CTRLF_APIC, title: "MMIO of the local and the I/O APIC: TPR, EOI, timer" },
  {
    name: "interrupt-window",
    flag: CTRLF_INTERRUPTS,
    title: "the moment from which an interrupt that had to wait can be taken",
  },
];

export type VirtKind = "full" | "assisted" | "para";

export interface VirtPreset {
  readonly paging: PagingKind;
  readonly controls: readonly ControlName[];
  /** Undefined: all that the machine can have. */
  readonly paravirt: readonly ParavirtName[] | undefined;
}

export const VIRT_PRESETS: Readonly<Record<VirtKind, VirtPreset>> = {
  full: { paging: "shadow", controls: CONTROLS.map(({ name }) => name), paravirt: [] },
  assisted: { paging: "direct", controls: [], paravirt: [] },
  para: { paging: "para", controls: [], paravirt: undefined },
};

/** What shadow paging traps where nothing else is said. */
export const SHADOW_CONTROLS: readonly ControlName[] = ["cr3", "invlpg"];
