// GET /metrics: every figure of the host and of every VM for Prometheus.
import type { Host } from "../host/host.ts";
import { CPU, MEMORY } from "../host/resources/model.ts";
import { type AddSample, Exposition } from "./exposition.ts";
import { hostResources, type VmStatsView, vmStatsView } from "./views.ts";

const STATES = ["created", "running", "paused", "stopped", "crashed"] as const;

export async function prometheusText(host: Host): Promise<string> {
  const exposition = new Exposition("paravane");
  const { add } = exposition;
  for (const [pcpu, account] of (await host.accounts()).entries()) {
    add("counter", "pcpu_busy_seconds_total", "Host seconds in which some vCPU ran.", { pcpu }, account.busyNs / 1e9);
    add("counter", "pcpu_up_seconds_total", "Host seconds since the pCPU started.", { pcpu }, account.upNs / 1e9);
    add("counter", "pcpu_switches_total", "Changes from one vCPU to another.", { pcpu }, account.switches);
  }
  addResources(host, add);
  // A VM may go between being listed and being asked.
  const views = await Promise.all(host.vms.map((vm) => vmStatsView(vm).catch(() => undefined)));
  add("gauge", "host_vms", "VMs, whatever their state.", {}, views.length);
  for (const view of views) if (view !== undefined) addVm(view, add);
  return exposition.text();
}

/** A family has one unit: memory is in bytes, CPU in pCPUs; of other resources only their owner knows. */
function addResources(host: Host, add: AddSample): void {
  for (const [resource, { capacity, reserved, limits }] of Object.entries(hostResources(host))) {
    const of: readonly [what: string, help: string, value: number][] = [
      ["capacity", "What VMs may have", capacity],
      ["reserved", "Sum of the VMs' reservations", reserved],
      ["limits", "Sum of the VMs' limits", limits],
    ];
    for (const [what, help, value] of of) {
      if (resource === MEMORY) add("gauge", `host_memory_${what}_bytes`, `${help} of memory.`, {}, value);
      else if (resource === CPU) add("gauge", `host_cpu_${what}_pcpus`, `${help} of CPU.`, {}, value);
      else add("gauge", `host_resource_${what}`, `${help} of other resources.`, { resource }, value);
    }
  }
}

function addVm(view: VmStatsView, add: AddSample): void {
  const vm = view.name;
  for (const state of STATES) {
    add("gauge", "vm_state", "1 for the state that the VM is in.", { vm, state }, view.state === state ? 1 : 0);
  }
  add("counter", "vm_instructions_total", "Instructions retired.", { vm }, view.instructions);
  add("counter", "vm_guest_seconds_total", "Seconds on the guest's clock.", { vm }, view.guestSeconds);
  add("counter", "vm_vcpu_seconds_total", "Host seconds in the vCPU and its exits.", { vm }, view.vcpuSeconds);
  add("counter", "vm_idle_seconds_total", "Host seconds asleep because the guest idled.", { vm }, view.idleSeconds);
  add("counter", "vm_resets_total", "Resets.", { vm }, view.resets);
  add("counter", "vm_unknown_mmio_total", "Accesses to physical addresses of nobody.", { vm }, view.unknownMmio);
  for (const [reason, count] of Object.entries(view.exits))
    add("counter", "vm_exits_total", "VM exits by reason.", { vm, reason }, count);
  for (const [counter, count] of Object.entries(view.core))
    add("counter", `vm_core_${snakeCase(counter)}_total`, `Of the core: ${counter}.`, { vm }, count);
  for (const [port, count] of Object.entries(view.unknownPorts))
    add("counter", "vm_unknown_port_total", "Accesses to ports of nobody.", { vm, port }, count);
  for (const [msr, count] of Object.entries(view.unknownMsrs))
    add("counter", "vm_unknown_msr_total", "Accesses to MSRs that do not exist.", { vm, msr }, count);
  const { left, demanded, fetched, asynchronous } = view.absentPages;
  add("gauge", "vm_absent_pages", "Pages of a lazy restore that are still to come.", { vm }, left);
  const pages: readonly [why: string, count: number][] = [
    ["demanded", demanded],
    ["fetched", fetched],
    ["asynchronous", asynchronous],
  ];
  for (const [how, count] of pages)
    add("counter", "vm_restored_pages_total", "Pages of a lazy restore that came, by how.", { vm, how }, count);
  for (const [device, metrics] of Object.entries(view.devices)) addDevice({ vm, device }, metrics, add);
  if (view.scheduler === null) return;
  const { ranNs, stolenNs, dispatches, wakeLatency } = view.scheduler;
  add("counter", "vm_ran_seconds_total", "Host seconds that the scheduler gave it.", { vm }, ranNs / 1e9);
  add("counter", "vm_stolen_seconds_total", "Host seconds runnable without running.", { vm }, stolenNs / 1e9);
  add("counter", "vm_dispatches_total", "Times that it was given its pCPU.", { vm }, dispatches);
  const wake = ["summary", "vm_wake_latency_seconds", "From being woken to running."] as const;
  for (const [quantile, ns] of [
    [0.5, wakeLatency.p50Ns],
    [0.95, wakeLatency.p95Ns],
    [0.99, wakeLatency.p99Ns],
  ] as const)
    add(...wake, { vm, quantile }, ns / 1e9);
  add(...wake, { vm }, wakeLatency.sumNs / 1e9, "_sum");
  add(...wake, { vm }, wakeLatency.count, "_count");
}

interface Gauge {
  readonly name: string;
  readonly help: string;
  /** What the device's figure is divided by to have the base unit. */
  readonly per?: number;
  /** A VM has one at most: no label says which device it is. */
  readonly ofVm?: boolean;
}

/** Figures of devices that go up and down, by their names there. All others count. */
const GAUGES: Readonly<Record<string, Gauge>> = {
  balloonBytes: { name: "balloon_bytes", help: "Guest RAM that the balloon holds.", ofVm: true },
  targetBytes: { name: "balloon_target_bytes", help: "How large the host wants the balloon.", ofVm: true },
  usedBytes: { name: "memory_used_bytes", help: "RAM in use, as the guest said last.", ofVm: true },
  open: { name: "device_open_connections", help: "Connections that are open." },
  ntpOffsetNs: { name: "ntp_offset_seconds", help: "Guest's clock less the host's, at its last request.", per: 1e9 },
  ntpMeanErrorNs: { name: "ntp_mean_error_seconds", help: "Mean of the last 64 offsets, without sign.", per: 1e9 },
  ntpMaxErrorNs: { name: "ntp_max_error_seconds", help: "Largest of the last 64 offsets, without sign.", per: 1e9 },
  ntpWithinOneMs: { name: "ntp_within_one_ms_ratio", help: "Share of the last 64 offsets within 1 ms." },
  ntpDriftPpm: { name: "ntp_drift_ratio", help: "Drift of the guest's clock, seconds a second.", per: 1e6 },
};

export function addDevice(
  labels: { readonly vm: string; readonly device: string },
  metrics: Readonly<Record<string, number>>,
  add: AddSample,
): void {
  for (const [metric, value] of Object.entries(metrics)) {
    const gauge = Object.hasOwn(GAUGES, metric) ? GAUGES[metric] : undefined;
    if (gauge !== undefined) {
      const { name, help, per = 1, ofVm = false } = gauge;
      add("gauge", `vm_${name}`, help, ofVm ? { vm: labels.vm } : labels, value / per);
    } else add("counter", `vm_device_${snakeCase(metric)}_total`, `Of devices: ${metric}.`, labels, value);
  }
}

/** "tlbFills" is tlb_fills. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/\W/g, "_");
}
