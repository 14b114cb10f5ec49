// `paravane up FILE`: runs a whole fleet from one file, with a live table on a terminal.
import { readFile } from "node:fs/promises";
import { Api } from "../api/api.ts";
import { checkFleetSpec, type FleetSpec, fleetSchema } from "../api/fleet-spec.ts";
import { type VmStatsView, vmStatsView } from "../api/views.ts";
import { Host } from "../host/host.ts";
import type { HostedVm } from "../host/hosted-vm.ts";
import { serveApi } from "../platform/node/http-server.ts";
import { parseEndpoint } from "./endpoint.ts";
import { EXIT_OK } from "./exit-code.ts";
import { LiveTable } from "./live-table.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { createProgress } from "./progress.ts";
import { untilSignal } from "./until-signal.ts";
import { parseDuration, UsageError } from "./values.ts";
import { resolveVmSpec } from "./vm-spec.ts";

export interface RawUpOptions {
  json?: boolean;
  listen?: string;
  duration?: string;
  interval?: string;
  stopTimeout?: string;
  schema?: boolean;
}

/** Until a signal, --duration, or the end of every VM. Returns the exit code. */
export async function up(file: string | undefined, raw: RawUpOptions, io: CliIo): Promise<number> {
  if (raw.schema) {
    io.stdout.write(`${JSON.stringify(fleetSchema(), null, 2)}\n`);
    return EXIT_OK;
  }
  if (file === undefined) throw new UsageError("up: give the fleet file; paravane up --schema prints what it may say");
  const durationMs = raw.duration === undefined ? undefined : parseDuration(raw.duration, "--duration");
  const intervalMs = parseDuration(raw.interval ?? "1s", "--interval");
  const stopTimeoutMs = parseDuration(raw.stopTimeout ?? "10s", "--stop-timeout");
  const endpoint = raw.listen === undefined ? undefined : parseEndpoint(raw.listen, "--listen");
  if (endpoint?.kind === "loopback")
    throw new UsageError("up: --listen takes the path of a socket; a loopback port is for paravane serve");
  const fleet = checkFleetSpec(await readFleetFile(file));
  const progress = createProgress(io.stderr);
  await using host = await Host.create(fleet.host);
  const resolve = (spec: FleetSpec["vms"][number]["spec"]) => resolveVmSpec(spec, progress);
  const api = new Api({ host, resolve, version: findPackage().version, wallMs: () => Date.now() });
  await using _server = endpoint === undefined ? undefined : await serveApi(api, endpoint);
  for (const network of fleet.networks) await host.networks.add(network);
  const stop = new Set<string>();
  for (const [i, { spec, start }] of fleet.vms.entries()) {
    progress.show({ phase: `making ${spec.name}`, done: i, total: fleet.vms.length });
    const vm = await host.createVm(await resolve(spec));
    if (start) stop.add(vm.name);
  }
  progress.done();
  const table = new LiveTable(io, raw.json ?? false);
  const started = host.vms.filter((vm) => stop.has(vm.name));
  const ended = allEnded(started);
  for (const vm of started) await vm.start();
  const ticker = setInterval(() => void show(host, table), intervalMs);
  try {
    await Promise.race([untilSignal(), ended, ...(durationMs === undefined ? [] : [after(durationMs)])]);
  } finally {
    clearInterval(ticker);
    await show(host, table);
    table.close();
  }
  await Promise.all(host.vms.map((vm) => stopQuietly(vm, stopTimeoutMs)));
  return EXIT_OK;
}

async function readFleetFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    throw new UsageError(`up: ${path} cannot be read`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`up: ${path} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function show(host: Host, table: LiveTable): Promise<void> {
  const views = await Promise.all(host.vms.map((vm) => vmStatsView(vm).catch(() => undefined)));
  const memory = new Map(host.vms.map((vm) => [vm.name, (vm.config.memoryBytes ?? 0) / 2 ** 20]));
  table.show(
    views.filter((view): view is VmStatsView => view !== undefined),
    memory,
  );
}

function allEnded(vms: readonly HostedVm[]): Promise<unknown> {
  return vms.length === 0 ? new Promise(() => {}) : Promise.all(vms.map((vm) => vm.ended()));
}

/** What has ended meanwhile needs no stopping. */
async function stopQuietly(vm: HostedVm, timeoutMs: number): Promise<void> {
  if (vm.state !== "running" && vm.state !== "paused") return;
  await vm.stop({ timeoutMs }).catch(() => {});
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
