// Boots Debian's kernel with paravirt.sh and looks at what it uses of KVM's interface.
import { PV_FLAGS, PVF_EOI_OFFERED } from "../../spec/chipset.ts";
import { KVM_PV_EOI_EN, KVM_STEAL_TIME, KVM_SYSTEM_TIME, KVM_WALL_CLOCK, LAPIC_PRIVATE } from "../../spec/layout.ts";
import type { Vm, VmConfig } from "../../src/index.ts";
import { type GuestRun, runLinux } from "./linux-guest.ts";

/** What the host adds: 250 of /proc/stat's hundredths. */
export const STEAL_NS = 2.5e9;
export const WALL_SECONDS = 1_800_000_000;

export interface Seen {
  readonly run: GuestRun;
  readonly enabled: Record<"clock" | "wall" | "steal" | "eoi", boolean>;
  /** PV EOI was on offer at one of the moments looked at. */
  eoiOffered: boolean;
  readonly line: (prefix: string) => string | undefined;
}

export async function bootParavirt(append: string, config: Partial<VmConfig> = {}): Promise<Seen> {
  let vcpu: ReturnType<Vm["vcpu"]> | undefined;
  let eoiOffered = false;
  let enabled = { clock: false, wall: false, steal: false, eoi: false };
  let added = false;
  let text = "";
  const run = await runLinux({
    image: "linux",
    script: "paravirt.sh",
    append,
    config: { wallSeconds: WALL_SECONDS, ...config },
    during: async (vm) => {
      vcpu = vm.vcpu();
      const at = vcpu;
      vm.on("serial", ({ bytes }) => {
        if ((at.getU32(LAPIC_PRIVATE + PV_FLAGS) & PVF_EOI_OFFERED) !== 0) eoiOffered = true;
        text = (text + new TextDecoder().decode(bytes)).slice(-100);
        if (added || !text.includes("add steal now\r\n")) return;
        added = true;
        at.addStealNs(STEAL_NS);
        const on = (msr: number): boolean => at.getU64(msr) !== 0n;
        enabled = {
          clock: on(KVM_SYSTEM_TIME),
          wall: on(KVM_WALL_CLOCK),
          steal: on(KVM_STEAL_TIME),
          eoi: on(KVM_PV_EOI_EN),
        };
      });
    },
  });
  const line = (prefix: string): string | undefined => new RegExp(`^${prefix}: (.*)$`, "m").exec(run.console)?.[1];
  return { run, enabled, eoiOffered, line };
}
