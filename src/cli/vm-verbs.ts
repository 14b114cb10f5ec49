// The verbs that manage VMs of a running host (paravane serve): each asks its API and prints what it answers.
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { VmStatsView, VmView } from "../api/views.ts";
import { ApiClient, vmPath } from "./client.ts";
import { machineSpec } from "./create-spec.ts";
import { droppedWrites, parseDrives } from "./drives.ts";
import { chooseEndpoint } from "./endpoint.ts";
import { EXIT_OK } from "./exit-code.ts";
import { LIMIT_HELP, parseLimits } from "./limit-values.ts";
import type { CliIo } from "./machine.ts";
import type { RawMachineOptions } from "./machine-options.ts";
import { addMachineOptions } from "./run-options.ts";
import { formatTable } from "./table.ts";
import { parseDuration, parseInteger, parseMemory, UsageError } from "./values.ts";

interface HostOption {
  host?: string;
}
const RESOURCE_HELP = "claims such as memory.reservation=64M cpu.limit=0.5";
type MakeVerb = (nameAndArgs: string, description: string) => Command;

interface RawCreateOptions extends HostOption, RawMachineOptions {
  name?: string;
  file?: string;
  serialPorts?: string;
  weight?: string;
  cap?: string;
  priority?: string;
  resource?: readonly string[];
  limit?: readonly string[];
  pcpu?: string;
  start?: boolean;
}

interface RawSetOptions extends HostOption {
  weight?: string;
  cap?: string;
  priority?: string;
  slice?: string;
  realtime?: string;
  resource?: readonly string[];
  memory?: string;
  limit?: readonly string[];
}

/** Adds the verbs; `done` takes each one's exit code. */
export function addVmVerbs(makeVerb: MakeVerb, io: CliIo, done: (code: number) => void): void {
  const verb = (nameAndArgs: string, description: string): Command =>
    makeVerb(nameAndArgs, description).option("--host <address>", "socket or loopback port of the host");
  const client = (options: HostOption): ApiClient => new ApiClient(chooseEndpoint(options.host));
  const print = (text: string): void => void io.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  const json = (value: unknown): void => print(JSON.stringify(value));

  addMachineOptions(verb("create [guest]", "make a VM on a running host; prints its name"))
    .optionsGroup("On its host:")
    .option("--name <name>", "unique on the host")
    .option("--file <spec>", "a VM specification in JSON; options win over it")
    .option("--serial-ports <n>", "16550s, 0 to 4 (1)")
    .option("--weight <n>", "share of its pCPU relative to others (256)")
    .option("--cap <percent>", "most of one pCPU that it may use")
    .option("--priority <n>", "0 (most urgent) to 139")
    .option("--resource <claims...>", RESOURCE_HELP)
    .option("--limit <limits...>", LIMIT_HELP)
    .option("--pcpu <n>", "pCPU to run on first")
    .option("--start", "and start it")
    .action(async (guest: string | undefined, options: RawCreateOptions) => {
      const api = client(options);
      const vm = (await api.json("POST", "/v1/vms", await specOf(guest, options))) as VmView;
      if (options.start) await api.json("POST", vmPath(vm.name, "/start"));
      const dropped = droppedWrites(parseDrives(options));
      if (dropped !== undefined && io.stderr.isTTY) io.stderr.write(`paravane: ${dropped}\n`);
      print(vm.name);
      done(EXIT_OK);
    });

  verb("ps", "the VMs of the host")
    .option("--json", "as JSON")
    .action(async (options: HostOption & { json?: boolean }) => {
      const vms = (await client(options).json("GET", "/v1/vms")) as VmView[];
      if (options.json) json(vms);
      else print(formatTable(PS_HEADER, vms.map(psRow)));
      done(EXIT_OK);
    });

  verb("info <vm>", "everything about one VM, as JSON").action(async (vm: string, options: HostOption) => {
    json(await client(options).json("GET", vmPath(vm)));
    done(EXIT_OK);
  });

  for (const [name, description] of [
    ["start", "cold start"],
    ["pause", "stop it between two instructions"],
    ["resume", "go on"],
    ["reset", "the reset button: warm start"],
  ] as const) {
    verb(`${name} <vms...>`, description).action(async (vms: string[], options: HostOption) => {
      for (const vm of vms) await client(options).json("POST", vmPath(vm, `/${name}`));
      done(EXIT_OK);
    });
  }

  verb("stop <vms...>", "ask the guest to shut down, then switch it off")
    .option("--force", "without asking")
    .option("--timeout <time>", "what the guest gets to shut down (10s)")
    .action(async (vms: string[], options: HostOption & { force?: boolean; timeout?: string }) => {
      const body = {
        ...(options.force ? { force: true } : {}),
        ...(options.timeout === undefined ? {} : { timeoutMs: parseDuration(options.timeout, "--timeout") }),
      };
      for (const vm of vms) await client(options).json("POST", vmPath(vm, "/stop"), body);
      done(EXIT_OK);
    });

  verb("rm <vms...>", "end VMs, whatever their state, and forget them").action(
    async (vms: string[], options: HostOption) => {
      for (const vm of vms) await client(options).json("DELETE", vmPath(vm));
      done(EXIT_OK);
    },
  );

  verb("set <vm>", "change its share while it runs")
    .option("--weight <n>", "share relative to others, 1 to 65535")
    .option("--cap <percent>", "most of one pCPU; 0 for no cap")
    .option("--priority <n>", "0 (most urgent) to 139")
    .option("--slice <time>", "longest run before others get a look")
    .option("--realtime <budget/period>", "reservation such as 2ms/10ms")
    .option("--resource <claims...>", RESOURCE_HELP)
    .option("-m, --memory <size>", "what the guest may have of its RAM, by its balloon")
    .option("--limit <limits...>", LIMIT_HELP)
    .action(async (vm: string, options: RawSetOptions) => {
      const scheduling = schedulingOf(options);
      const resources = claimsOf(options.resource);
      const limits = parseLimits(options.limit);
      const memoryMib = options.memory === undefined ? undefined : parseMemory(options.memory) / 2 ** 20;
      const others = [resources, limits, memoryMib].some((change) => change !== undefined);
      if (Object.keys(scheduling).length === 0 && !others)
        throw new UsageError(
          "set: nothing to change; give --weight, --cap, --priority, --slice, --realtime, --resource, --memory or --limit",
        );
      await client(options).json("PATCH", vmPath(vm), { scheduling, resources, memoryMib, limits });
      done(EXIT_OK);
    });

  verb("stats <vm>", "its counters")
    .option("--json", "as JSON")
    .action(async (vm: string, options: HostOption & { json?: boolean }) => {
      const view = (await client(options).json("GET", vmPath(vm, "/stats"))) as VmStatsView;
      if (options.json) json(view);
      else print(statsTable(view));
      done(EXIT_OK);
    });

  verb("events", "what happens on the host, one JSON object a line")
    .option("-f, --follow", "stay")
    .action(async (options: HostOption & { follow?: boolean }) => {
      const leave = new AbortController();
      const onSignal = (): void => leave.abort();
      process.once("SIGINT", onSignal);
      try {
        const query = options.follow ? "?follow=true" : "";
        for await (const chunk of await client(options).stream(`/v1/events${query}`, leave.signal))
          io.stdout.write(chunk);
      } catch (error) {
        if (!leave.signal.aborted) throw error;
      } finally {
        process.off("SIGINT", onSignal);
      }
      done(EXIT_OK);
    });

  verb("console <vm>", "attach this terminal to a serial port; Ctrl-A x detaches")
    .option("--port <n>", "serial port 0 to 3", "0")
    .option("--no-scrollback", "nothing of what was printed before")
    .option("--read-only", "only look")
    .action(async (vm: string, options: HostOption & { port: string; scrollback: boolean; readOnly?: boolean }) => {
      const { attachConsole } = await import("./attach.ts");
      const port = parseInteger(options.port, "--port", 0, 3);
      const view = { port, scrollback: options.scrollback, readOnly: options.readOnly ?? false };
      done(await attachConsole(client(options), vm, view, io));
    });
}

async function specOf(guest: string | undefined, options: RawCreateOptions): Promise<Record<string, unknown>> {
  const fromFile = options.file === undefined ? {} : await readSpecFile(options.file);
  const scheduling = schedulingOf(options);
  const given = {
    ...machineSpec(guest, options),
    name: options.name,
    serialPorts:
      options.serialPorts === undefined ? undefined : parseInteger(options.serialPorts, "--serial-ports", 0, 4),
    pcpu: options.pcpu === undefined ? undefined : parseInteger(options.pcpu, "--pcpu", 0, 255),
    scheduling: Object.keys(scheduling).length > 0 ? scheduling : undefined,
    resources: claimsOf(options.resource),
    limits: parseLimits(options.limit),
  };
  return { ...fromFile, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

function schedulingOf(options: RawSetOptions): Record<string, unknown> {
  const { weight, cap, priority, slice, realtime } = options;
  return {
    ...(weight === undefined ? {} : { weight: parseInteger(weight, "--weight", 1, 65535) }),
    ...(cap === undefined ? {} : { capPercent: parseInteger(cap, "--cap", 0, 100) }),
    ...(priority === undefined ? {} : { priority: parseInteger(priority, "--priority", 0, 139) }),
    ...(slice === undefined ? {} : { sliceNs: parseDuration(slice, "--slice") * 1e6 }),
    ...(realtime === undefined ? {} : { realtime: parseRealtime(realtime) }),
  };
}

/** "memory.reservation=64M", "cpu.shares=512"... as the API's `resources`; the host judges names and amounts. */
function claimsOf(texts: readonly string[] | undefined): Record<string, Record<string, string | number>> | undefined {
  if (texts === undefined) return undefined;
  const claims = new Map<string, Map<string, string | number>>();
  for (const text of texts) {
    const [, resource = "", field = "", amount = ""] = /^(\w+)\.(\w+)=(.+)$/.exec(text) ?? [];
    if (resource === "")
      throw new UsageError(`--resource: "${text}" is not RESOURCE.FIELD=AMOUNT, such as memory.reservation=64M`);
    const claim = claims.get(resource) ?? new Map<string, string | number>();
    claims.set(resource, claim.set(field, /^\d+(\.\d+)?$/.test(amount) ? Number(amount) : amount));
  }
  return Object.fromEntries([...claims].map(([resource, claim]) => [resource, Object.fromEntries(claim)]));
}

function parseRealtime(text: string): { budgetNs: number; periodNs: number } {
  const [budget, period, more] = text.split("/");
  if (budget === undefined || period === undefined || more !== undefined)
    throw new UsageError(`--realtime: "${text}" is not BUDGET/PERIOD, such as 2ms/10ms`);
  return {
    budgetNs: parseDuration(budget, "--realtime") * 1e6,
    periodNs: parseDuration(period, "--realtime") * 1e6,
  };
}

async function readSpecFile(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    throw new UsageError(`--file: ${path} cannot be read`);
  }
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new UsageError(`--file: ${path} is not a JSON object with a VM specification`);
}

const PS_HEADER = ["NAME", "STATE", "PCPU", "MEMORY", "WEIGHT", "CAP", "BOOT", "LAST END"];

function psRow(vm: VmView): (string | number)[] {
  const { weight, capPercent } = vm.scheduling;
  return [
    vm.name,
    vm.state,
    vm.pcpu,
    `${vm.memoryMib}M`,
    weight,
    capPercent === 0 ? "-" : `${capPercent}%`,
    vm.boot,
    vm.lastExit?.kind ?? "-",
  ];
}

function statsTable(view: VmStatsView): string {
  const seconds = (ns: number): string => `${(ns / 1e9).toFixed(3)} s`;
  const rows: [string, string | number][] = [
    ["state", view.state],
    ["instructions", view.instructions],
    ["MIPS", view.mips.toFixed(1)],
    ["guest time", `${view.guestSeconds.toFixed(3)} s`],
    ["vCPU time", `${view.vcpuSeconds.toFixed(3)} s`],
    ["idle", `${view.idleSeconds.toFixed(3)} s`],
    ["resets", view.resets],
  ];
  if (view.scheduler !== null) {
    rows.push(["stolen", seconds(view.scheduler.stolenNs)], ["dispatches", view.scheduler.dispatches]);
    rows.push(["wake-up p99", `${(view.scheduler.wakeLatency.p99Ns / 1e3).toFixed(0)} us`]);
  }
  for (const [reason, count] of Object.entries(view.exits)) rows.push([`exits: ${reason}`, count]);
  return formatTable(
    ["", ""],
    rows.map(([name, value]) => [name, String(value)]),
  ).trimStart();
}
