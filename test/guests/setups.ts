// The machines that the basic script runs on: each a boot of Debian's kernel that takes another way through it.
import type { ExitStatus, VmConfig } from "../../src/index.ts";

export interface Setup {
  readonly name: string;
  readonly image: "linux" | "linux-pae";
  readonly append?: string;
  readonly config?: Partial<VmConfig>;
  /** How it ends; by power-off unless said. */
  readonly end?: ExitStatus["kind"];
  /** The same machine in QEMU's words, for the recording of what the kernel warns of there. */
  readonly qemu: readonly string[];
}

const MIB = 1024 * 1024;

export const SETUPS: readonly Setup[] = [
  { name: "stock", image: "linux", qemu: ["-cpu", "max", "-m", "256"] },
  { name: "noapic", image: "linux", append: "noapic", qemu: ["-cpu", "max", "-m", "256"] },
  { name: "nolapic", image: "linux", append: "nolapic", qemu: ["-cpu", "max", "-m", "256"] },
  { name: "nosmp", image: "linux", append: "nosmp", qemu: ["-cpu", "max", "-m", "256"] },
  {
    name: "acpi=off",
    image: "linux",
    // Without ACPI nothing can switch the machine off.
    append: "acpi=off paravane.end=reboot",
    config: { onReset: "exit" },
    end: "reset",
    qemu: ["-cpu", "max", "-m", "256"],
  },
  { name: "pentium3", image: "linux", config: { cpu: "pentium3" }, qemu: ["-cpu", "pentium3", "-m", "256"] },
  { name: "core2", image: "linux", config: { cpu: "core2" }, qemu: ["-cpu", "core2duo,-lm", "-m", "256"] },
  { name: "686-pae", image: "linux-pae", qemu: ["-cpu", "max", "-m", "256"] },
  { name: "64 MiB", image: "linux", config: { memoryBytes: 64 * MIB }, qemu: ["-cpu", "max", "-m", "64"] },
  { name: "2 GiB", image: "linux", config: { memoryBytes: 2048 * MIB }, qemu: ["-cpu", "max", "-m", "2048"] },
];

export const setupNamed = (name: string): Setup => {
  const setup = SETUPS.find((candidate) => candidate.name === name);
  if (!setup) throw new RangeError(`no setup is called ${name}`);
  return setup;
};
