// Routes of snapshots: written, restored into a VM, restored as new ones.
import { type Checked, checkFields, type FieldTable, type OtherField, schemaOf } from "../host/fields.ts";
import { PARAMETER_FIELDS } from "../host/sched/parameters.ts";
import { RESOURCES_FIELD, VM_SPEC_FIELDS } from "../host/vm-spec.ts";
import { jsonResponse, readJson } from "./request.ts";
import { present, type Route, requireRoom } from "./route.ts";
import { SNAPSHOT_SCHEMA, VM_SCHEMA, VMS_SCHEMA } from "./schemas.ts";
import { vmView } from "./views.ts";

const FILE_FIELDS = {
  folder: { kind: "text", title: "folder of the host, where parents are too", maxLength: 4096, required: true },
  file: { kind: "text", title: "name of the file in it", maxLength: 255, required: true },
} as const satisfies FieldTable;

const SNAPSHOT_FIELDS = {
  ...FILE_FIELDS,
  parent: { kind: "text", title: "a snapshot in the same folder; only what differs is written", maxLength: 255 },
  track: {
    kind: "boolean",
    title: "log writes from here on, for a quick next one with this as its parent",
    default: false,
  },
  compress: { kind: "boolean", title: "smaller, and slower to write", default: true },
} as const satisfies FieldTable;

const LAZY_FIELDS = {
  background: { kind: "boolean", title: "and, little by little, on the side", default: true },
  asynchronous: {
    kind: "boolean",
    title: "guests with async-pf may run something else while a page comes",
    default: false,
  },
} as const satisfies FieldTable;

const LAZY: OtherField<boolean | Checked<typeof LAZY_FIELDS>> = {
  kind: "other",
  title: "memory comes when the guest needs it; false: all of it first",
  check: (value, path) => (typeof value === "boolean" ? value : checkFields(LAZY_FIELDS, value, `${path}.`)),
  schema: { oneOf: [{ type: "boolean" }, schemaOf(LAZY_FIELDS)], default: true },
  accepted: `true, false, or an object with ${Object.keys(LAZY_FIELDS).join(", ")}`,
};

const RESTORE_FIELDS = {
  ...FILE_FIELDS,
  clock: {
    kind: "choice",
    title: "guest time goes on from the snapshot, or jumps forward to now",
    of: ["resume", "now"],
    default: "resume",
  },
  identity: {
    kind: "choice",
    title: "another generation ID than the saved VM, or the same machine moved",
    of: ["new", "same"],
    default: "new",
  },
  track: SNAPSHOT_FIELDS.track,
  lazy: LAZY,
} as const satisfies FieldTable;

const RESTORE_NEW_FIELDS = {
  ...RESTORE_FIELDS,
  name: { kind: "text", title: "name of the new VM; NAME-1, NAME-2... where there are several", maxLength: 64 },
  count: {
    kind: "number",
    title: "so many copies, each with its own identity",
    min: 1,
    max: 1000,
    integer: true,
    default: 1,
  },
  start: { kind: "boolean", title: "and start them", default: false },
  pcpu: VM_SPEC_FIELDS.pcpu,
  pinned: VM_SPEC_FIELDS.pinned,
  scheduling: { kind: "object", title: "share of the pCPUs", fields: PARAMETER_FIELDS },
  resources: RESOURCES_FIELD,
} as const satisfies FieldTable;

export const SNAPSHOT_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/vms/{name}/snapshot",
    id: "snapshot",
    summary: "Write a snapshot; the VM stands still only while what changed is copied",
    body: schemaOf(SNAPSHOT_FIELDS),
    answer: { status: 200, description: "What was written.", schema: SNAPSHOT_SCHEMA },
    handle: async (request, _context, vm) => {
      const { folder, file, ...options } = present(checkFields(SNAPSHOT_FIELDS, readJson(request)));
      const { parent, ...info } = await vm.snapshot({ folder, name: file }, options);
      return jsonResponse(200, { ...info, parent: parent ?? null });
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/restore",
    id: "restore",
    summary: "Make it what a snapshot is; start goes on from there",
    body: schemaOf(RESTORE_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { folder, file, ...options } = present(checkFields(RESTORE_FIELDS, readJson(request)));
      await vm.restore({ folder, name: file }, options);
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "POST",
    path: "/v1/restore",
    id: "restoreNew",
    summary: "Make one or more new VMs of a snapshot",
    body: schemaOf(RESTORE_NEW_FIELDS),
    answer: { status: 201, description: "The VMs.", schema: VMS_SCHEMA },
    handle: async (request, context) => {
      const fields = present(checkFields(RESTORE_NEW_FIELDS, readJson(request)));
      const { folder, file, count, start, name, scheduling, ...options } = fields;
      const from = { folder, name: file };
      requireRoom(context, count);
      const more = { ...options, ...(scheduling === undefined ? {} : { scheduling: present(scheduling) }) };
      const vms =
        count === 1
          ? [await context.host.restoreVm(from, { ...more, ...(name === undefined ? {} : { name }) })]
          : await context.host.cloneVms(from, count, { ...more, name: name ?? file });
      if (start) for (const vm of vms) await vm.start();
      return jsonResponse(201, vms.map(vmView));
    },
  },
];
