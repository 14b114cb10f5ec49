// The three ways to virtualize the benchmark guest: what the machine is made of, and what the guest is told to use. Each has
// both device sets on board; the guest drives one.
import { PARAVIRT_SWITCHES, type ParavirtName } from "../../../spec/cpuid.ts";
import { MemoryBackend } from "../../backends/memory.ts";
import type { ClockKind, VmConfig } from "../../vmm/config.ts";
import { benchDisk } from "./disk.ts";
import { EchoNetwork } from "./echo-network.ts";
import type { VirtForm } from "./measurement.ts";

/** For reports: what a form is. */
export const FORM_DESCRIPTIONS: Readonly<Record<string, string>> = {
  full: "port-mapped devices (8259, 8254, 16550, IDE, RTL8139), shadow paging, trapping controls, no paravirtual interface",
  assisted: "the same devices and the same guest, with direct paging and nothing trapped that the hardware can do",
  para: "virtio, APIC with PV EOI, kvm-clock, page tables and console by hypercalls",
};

const MEMORY_BYTES = 32 << 20;

export interface FormOptions {
  readonly form: VirtForm;
  /** roms/kernel/kernel.bin. */
  readonly rom: Uint8Array;
  /** Operations by name or beginning of a name; all by default. */
  readonly only?: readonly string[] | undefined;
  /** Percent of each operation's usual count. */
  readonly percent: number;
  /** Default real. With the virtual clock a run repeats, and its times mean nothing. */
  readonly clock?: ClockKind;
}

export function formConfig({ form, rom, only, percent, clock }: FormOptions): VmConfig {
  const commands = (only ?? ["all"]).map((name) => `bench ${name}`);
  const append = `virt=${form === "para" ? "para" : "full"} percent=${percent} -- ${commands.join("; ")}; exit 0`;
  return {
    name: `bench-${form}`,
    memoryBytes: MEMORY_BYTES,
    testDevice: true,
    hpet: true,
    serialPorts: 2,
    drives: [
      { id: "ide", bus: "ide", backend: benchDisk() },
      { id: "virtio", bus: "virtio", backend: benchDisk() },
      { id: "calls", bus: "hypercall", backend: benchDisk() },
    ],
    nics: [
      { id: "rtl8139", model: "rtl8139", backend: new EchoNetwork() },
      { id: "virtio", model: "virtio", backend: new EchoNetwork() },
    ],
    consoles: [{ backend: new MemoryBackend(1 << 16) }],
    boot: { kind: "multiboot", kernel: rom, append },
    ...(clock === undefined ? {} : { clock }),
    ...virtualization(form),
  };
}

/** What the machine does for a form; `without` is one part of the paravirtual interfaces that it does not offer. */
export function virtualization(form: VirtForm, without?: ParavirtName): Partial<VmConfig> {
  if (without === undefined) return { virt: form };
  return { virt: form, paravirt: PARAVIRT_SWITCHES.map(({ name }) => name).filter((name) => name !== without) };
}
