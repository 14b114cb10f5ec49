// Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/): every counter of every VM.
import type { Host } from "../host/host.ts";
import { hostResources, type VmStatsView, vmStatsView } from "./views.ts";

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: string[];
}

const STATES = ["created", "running", "paused", "stopped", "crashed"] as const;

export async function prometheusText(host: Host): Promise<string> {
  const families = new Map<string, Family>();
  const add = (
    type: Family["type"],
    name: string,
    help: string,
    labels: Readonly<Record<string, string | number>>,
    value: number,
  ): void => {
    let family = families.get(name);
    if (family === undefined) {
      family = { name, type, help, samples: [] };
      families.set(name, family);
    }
    const text = Object.entries(labels)
      .map(([key, label]) => `${key}="${escapeLabel(String(label))}"`)
      .join(",");
    family.samples.push(`paravane_${name}{${text}} ${value}`);
  };
  for (const [pcpu, account] of (await host.accounts()).entries()) {
    add("counter", "pcpu_busy_seconds_total", "Host seconds in which some vCPU ran.", { pcpu }, account.busyNs / 1e9);
    add("counter", "pcpu_up_seconds_total", "Host seconds since the pCPU started.", { pcpu }, account.upNs / 1e9);
    add("counter", "pcpu_switches_total", "Changes from one vCPU to another.", { pcpu }, account.switches);
  }
  for (const [resource, { capacity, reserved, limits }] of Object.entries(hostResources(host))) {
    add("gauge", "host_capacity", "What VMs may have; memory in bytes, cpu in pCPUs.", { resource }, capacity);
    add("gauge", "host_reserved", "Sum of the VMs' reservations.", { resource }, reserved);
    add("gauge", "host_limits", "Sum of the VMs' limits.", { resource }, limits);
  }
  // A VM may go between being listed and being asked.
  const views = await Promise.all(host.vms.map((vm) => vmStatsView(vm).catch(() => undefined)));
  for (const view of views) if (view !== undefined) addVm(view, add);
  return [...families.values()]
    .map(
      ({ name, type, help, samples }) =>
        `# HELP paravane_${name} ${help}\n# TYPE paravane_${name} ${type}\n${samples.join("\n")}\n`,
    )
    .join("");
}

type Add = (
  type: Family["type"],
  name: string,
  help: string,
  labels: Readonly<Record<string, string | number>>,
  value: number,
) => void;

function addVm(view: VmStatsView, add: Add): void {
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
    add("counter", "vm_core_total", "Counters of the core.", { vm, counter }, count);
  for (const [port, count] of Object.entries(view.unknownPorts))
    add("counter", "vm_unknown_port_total", "Accesses to ports of nobody.", { vm, port }, count);
  for (const [msr, count] of Object.entries(view.unknownMsrs))
    add("counter", "vm_unknown_msr_total", "Accesses to MSRs that do not exist.", { vm, msr }, count);
  const balloon = view.devices["virtio-balloon"];
  if (balloon !== undefined) {
    const gauge = (name: string, help: string, value: number | undefined): void => {
      if (value !== undefined) add("gauge", name, help, { vm }, value);
    };
    gauge("vm_balloon_bytes", "Guest RAM that the balloon holds.", balloon["balloonBytes"]);
    gauge("vm_balloon_target_bytes", "How large the host wants the balloon.", balloon["targetBytes"]);
    gauge("vm_memory_used_bytes", "RAM in use, as the guest said last.", balloon["usedBytes"]);
  }
  for (const [device, metrics] of Object.entries(view.devices))
    for (const [metric, value] of Object.entries(metrics))
      add("counter", "vm_device_total", "Counters of devices.", { vm, device, metric }, value);
  if (view.scheduler === null) return;
  const { ranNs, stolenNs, dispatches, wakeLatency } = view.scheduler;
  add("counter", "vm_ran_seconds_total", "Host seconds that the scheduler gave it.", { vm }, ranNs / 1e9);
  add("counter", "vm_stolen_seconds_total", "Host seconds runnable without running.", { vm }, stolenNs / 1e9);
  add("counter", "vm_dispatches_total", "Times that it was given its pCPU.", { vm }, dispatches);
  for (const [quantile, ns] of [
    [0.5, wakeLatency.p50Ns],
    [0.95, wakeLatency.p95Ns],
    [0.99, wakeLatency.p99Ns],
  ] as const)
    add("gauge", "vm_wake_latency_seconds", "From being woken to running.", { vm, quantile }, ns / 1e9);
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
