// What the API shows of a host and its VMs, as plain JSON.
import type { Host } from "../host/host.ts";
import type { HostedVm } from "../host/hosted-vm.ts";
import type { VcpuAccount } from "../host/pcpu.ts";
import type { VmState, VmStatistics } from "../vmm/status.ts";

export interface VmView {
  readonly name: string;
  readonly state: VmState;
  readonly pcpu: number;
  readonly memoryMib: number;
  readonly boot: string;
  readonly cpu: string;
  readonly clock: string;
  readonly scheduling: HostedVm["scheduling"];
  /** Kind of its last end: "power-off", "killed", "crashed"...; null before the first. */
  readonly lastExit: { readonly kind: string; readonly message?: string; readonly code?: number } | null;
}

export function vmView(vm: HostedVm): VmView {
  const { config, lastExit } = vm;
  return {
    name: vm.name,
    state: vm.state,
    pcpu: vm.pcpu,
    memoryMib: (config.memoryBytes ?? 0) / 2 ** 20,
    boot: config.boot.kind,
    cpu: config.cpu ?? "max",
    clock: config.clock ?? "real",
    scheduling: vm.scheduling,
    lastExit:
      lastExit === undefined
        ? null
        : {
            kind: lastExit.kind,
            ...(lastExit.kind === "crashed" ? { message: lastExit.error.message } : {}),
            ...(lastExit.kind === "guest-exit" ? { code: lastExit.code } : {}),
          },
  };
}

export interface VmStatsView extends VmStatistics {
  readonly name: string;
  readonly state: VmState;
  /** What the scheduler gave it since it came to its pCPU. */
  readonly scheduler: Omit<VcpuAccount, "parameters" | "vcpu"> | null;
}

export async function vmStatsView(vm: HostedVm): Promise<VmStatsView> {
  const [statistics, account] = await Promise.all([vm.statistics(), vm.account()]);
  if (account === undefined) return { name: vm.name, state: vm.state, scheduler: null, ...statistics };
  const { parameters: _parameters, vcpu: _vcpu, ...scheduler } = account;
  return { name: vm.name, state: vm.state, scheduler, ...statistics };
}

export async function hostView(host: Host, version: string): Promise<Record<string, unknown>> {
  const accounts = await host.accounts();
  return {
    version,
    policy: host.policy,
    vms: host.vms.length,
    memoryMib: host.vms.reduce((sum, vm) => sum + (vm.config.memoryBytes ?? 0), 0) / 2 ** 20,
    pcpus: accounts.map(({ upNs, busyNs, switches, vcpus }, index) => ({
      index,
      upSeconds: upNs / 1e9,
      busySeconds: busyNs / 1e9,
      switches,
      vcpus: vcpus.length,
    })),
  };
}
