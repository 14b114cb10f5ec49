// What the API shows of a host and its VMs, as plain JSON.
import type { Host } from "../host/host.ts";
import type { NicView } from "../host/hosted-nics.ts";
import type { HostedVm } from "../host/hosted-vm.ts";
import type { VcpuAccount } from "../host/pcpu.ts";
import { claimOf, limitOn, resourceNames } from "../host/resources/model.ts";
import { writtenClaim } from "../host/resources/run-claims.ts";
import type { VmLimits } from "../vmm/device-config.ts";
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
  /** Claims by resource; a limit that is not there is none. */
  readonly resources: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly nics: readonly NicView[];
  /** Ids of its drives and network cards. */
  readonly devices: { readonly drives: readonly string[]; readonly nics: readonly string[] };
  readonly limits: VmLimits;
  /** As the host saw it last, MiB; null without a balloon, or before the first look. */
  readonly balloon: { readonly targetMib: number; readonly balloonMib: number; readonly usedMib: number | null } | null;
  /** Kind of its last end: "power-off", "killed", "crashed"...; null before the first. */
  readonly lastExit: { readonly kind: string; readonly message?: string; readonly code?: number } | null;
}

export function vmView(vm: HostedVm): VmView {
  const { config, lastExit, balloon } = vm;
  const mib = (bytes: number): number => bytes / 2 ** 20;
  return {
    name: vm.name,
    state: vm.state,
    pcpu: vm.pcpu,
    memoryMib: vm.memoryBytes / 2 ** 20,
    boot: config.boot.kind,
    cpu: config.cpu ?? "max",
    clock: config.clock ?? "real",
    scheduling: vm.scheduling,
    resources: Object.fromEntries(Object.entries(vm.resources).map(([name, claim]) => [name, writtenClaim(claim)])),
    nics: vm.nics.list.map((nic) => ({ ...nic, forwards: nic.forwards.map(forwardView) })),
    devices: {
      drives: (config.drives ?? []).map(({ id }) => id),
      nics: (config.nics ?? []).map(({ id }) => id),
    },
    limits: config.limits ?? {},
    balloon:
      balloon === undefined
        ? null
        : {
            targetMib: mib(balloon.targetBytes),
            balloonMib: mib(balloon.balloonBytes),
            usedMib: balloon.usedBytes === undefined ? null : mib(balloon.usedBytes),
          },
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

function forwardView({ protocol, hostPort, guestPort }: NicView["forwards"][number]): NicView["forwards"][number] {
  return { protocol, hostPort, guestPort };
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
    memoryMib: host.vms.reduce((sum, vm) => sum + vm.memoryBytes, 0) / 2 ** 20,
    resources: hostResources(host),
    pcpus: accounts.map(({ upNs, busyNs, switches, vcpus }, index) => ({
      index,
      upSeconds: upNs / 1e9,
      busySeconds: busyNs / 1e9,
      switches,
      vcpus: vcpus.length,
    })),
  };
}

export interface ResourceView {
  readonly capacity: number;
  readonly reserved: number;
  /** Sum of the VMs' limits, each as far as the host goes. */
  readonly limits: number;
}

/** What the host has of each resource and what its VMs claim of it, in the resource's unit. */
export function hostResources(host: Host): Record<string, ResourceView> {
  return Object.fromEntries(
    resourceNames([host.capacity], []).map((name) => [
      name,
      {
        capacity: host.capacity.capacity[name] ?? 0,
        reserved: host.vms.reduce((sum, vm) => sum + claimOf(vm, name).reservation, 0),
        limits: host.vms.reduce((sum, vm) => sum + limitOn(host.capacity, vm, name), 0),
      },
    ]),
  );
}
