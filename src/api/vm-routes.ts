// Routes of VMs: made, changed, started, stopped, and what they did.
import { checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import { givenLimitsChange, LIMIT_CHANGE_FIELDS } from "../host/limit-fields.ts";
import { NIC_PATCH_FIELDS } from "../host/network-fields.ts";
import { PARAMETER_FIELDS } from "../host/sched/parameters.ts";
import { checkVmSpec, RESOURCES_FIELD, vmSpecSchema } from "../host/vm-spec.ts";
import { jsonResponse, NO_CONTENT, readJson } from "./request.ts";
import { type Route, requireRoom, verb, withoutDefaults } from "./route.ts";
import { STATS_SCHEMA, VM_SCHEMA, VMS_SCHEMA } from "./schemas.ts";
import { vmStatsView, vmView } from "./views.ts";

const STOP_FIELDS = {
  force: { kind: "boolean", title: "without asking the guest", default: false },
  timeoutMs: {
    kind: "number",
    title: "what the guest gets to shut down after its power button was pressed, ms",
    min: 0,
    max: 600_000,
    default: 10_000,
  },
} as const satisfies FieldTable;

const VM_PATCH_FIELDS = {
  scheduling: { kind: "object", title: "what changes; the rest stays", fields: withoutDefaults(PARAMETER_FIELDS) },
  resources: RESOURCES_FIELD,
  nics: { kind: "list", title: "network cards that change", of: NIC_PATCH_FIELDS, minItems: 0, maxItems: 8 },
  memoryMib: { kind: "number", title: "what the guest may have of its RAM, by its balloon, MiB", min: 1, max: 3072 },
  limits: {
    kind: "object",
    title: "rate limits; what is left out stays, null takes away",
    fields: LIMIT_CHANGE_FIELDS,
  },
} as const satisfies FieldTable;

export const VM_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/vms",
    id: "list",
    summary: "All VMs",
    answer: { status: 200, description: "All of them.", schema: VMS_SCHEMA },
    handle: (_request, { host }) => jsonResponse(200, host.vms.map(vmView)),
  },
  {
    method: "POST",
    path: "/v1/vms",
    id: "create",
    summary: "Make a VM; it does not run yet",
    body: vmSpecSchema(),
    answer: { status: 201, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, context) => {
      const spec = checkVmSpec(readJson(request));
      const config = await context.resolve(spec);
      requireRoom(context, 1);
      return jsonResponse(201, vmView(await context.host.createVm(config)));
    },
  },
  {
    method: "GET",
    path: "/v1/vms/{name}",
    id: "info",
    summary: "One VM",
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: (_request, _context, vm) => jsonResponse(200, vmView(vm)),
  },
  {
    method: "PATCH",
    path: "/v1/vms/{name}",
    id: "set",
    summary: "Change its scheduling, claims, memory, rate limits and cables while it runs",
    body: schemaOf(VM_PATCH_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { scheduling, resources, memoryMib, limits, nics } = checkFields(VM_PATCH_FIELDS, readJson(request));
      const changed = Object.entries(scheduling ?? {}).filter(([, value]) => value !== undefined);
      if (changed.length > 0) await vm.schedule(Object.fromEntries(changed));
      if (resources !== undefined) await vm.setResources(resources);
      if (memoryMib !== undefined) await vm.setMemory(Math.round(memoryMib * 256) * 4096);
      if (limits !== undefined) await vm.setLimits(givenLimitsChange(limits));
      for (const { id, up } of nics ?? []) if (up !== undefined) vm.nics.setLink(id, up === "yes");
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "DELETE",
    path: "/v1/vms/{name}",
    id: "destroy",
    summary: "End it at once, whatever its state, and forget it",
    answer: { status: 204, description: "It is gone." },
    handle: async (_request, _context, vm) => {
      await vm.destroy();
      return NO_CONTENT;
    },
  },
  verb("start", "Cold start", (vm) => vm.start()),
  verb("pause", "Stop it between two instructions", (vm) => vm.pause()),
  verb("resume", "Go on", (vm) => vm.resume()),
  verb("reset", "The reset button: warm start", (vm) => vm.reset()),
  {
    method: "POST",
    path: "/v1/vms/{name}/stop",
    id: "stop",
    summary: "Ask the guest to shut down by ACPI, then switch it off",
    body: schemaOf(STOP_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      await vm.stop(checkFields(STOP_FIELDS, readJson(request)));
      return jsonResponse(200, vmView(vm));
    },
  },
  verb("nmi", "Assert the NMI pin", (vm) => vm.sendNmi()),
  verb("power-button", "Press the power button and do not wait", (vm) => vm.pressPowerButton()),
  {
    method: "GET",
    path: "/v1/vms/{name}/stats",
    id: "stats",
    summary: "Its counters",
    answer: { status: 200, description: "Counters.", schema: STATS_SCHEMA },
    handle: async (_request, _context, vm) => jsonResponse(200, await vmStatsView(vm)),
  },
];
