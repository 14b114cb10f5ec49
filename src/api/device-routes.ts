// Routes of devices that come and go: disks and network cards by hot-plug, media of CD and floppy drives.
import { type Checked, checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import { NIC_FIELDS, nicOfSpec } from "../host/network-fields.ts";
import type { NewCard } from "../host/stopped-cards.ts";
import { DRIVE_FIELDS, driveOfSpec } from "../host/vm-spec.ts";
import { VmError } from "../vmm/error.ts";
import { jsonResponse, readJson } from "./request.ts";
import { present, type Route } from "./route.ts";
import { VM_SCHEMA } from "./schemas.ts";
import { vmView } from "./views.ts";

const ATTACH_FIELDS = {
  drive: {
    kind: "object",
    title: "a disk; while the guest runs on bus virtio only",
    fields: { ...DRIVE_FIELDS, id: { ...DRIVE_FIELDS.id, required: true } },
  },
  nic: {
    kind: "object",
    title: "or a network card; while the guest runs of model virtio only",
    fields: { ...NIC_FIELDS, id: { ...NIC_FIELDS.id, title: "unique among the cards", required: true } },
  },
} as const satisfies FieldTable;

const DETACH_FIELDS = {
  id: { kind: "text", title: "of the drive or network card", maxLength: 20, required: true },
  force: { kind: "boolean", title: "without asking the guest, as if somebody pulled it out", default: false },
  timeoutMs: {
    kind: "number",
    title: "what the guest gets to let go of it, ms",
    min: 0,
    max: 600_000,
    default: 10_000,
  },
} as const satisfies FieldTable;

const MEDIUM_FIELDS = {
  drive: { kind: "text", title: "id of a CD or floppy drive", maxLength: 20, required: true },
  file: { ...DRIVE_FIELDS.file, title: "image; without one the drive is emptied" },
  format: DRIVE_FIELDS.format,
  force: { kind: "boolean", title: "also where the guest has locked the drive", default: false },
} as const satisfies FieldTable;

/** The disk or network card that a request has, one of them. Throws VmError("bad-config"). */
function cardOf({ drive, nic }: Checked<typeof ATTACH_FIELDS>): NewCard {
  if (drive !== undefined && nic === undefined) return { drive: driveOfSpec(drive, drive.id) };
  if (nic !== undefined && drive === undefined) return { nic: nicOfSpec(nic, nic.id, "nic") };
  throw new VmError("bad-config", "What to attach is a drive or a nic: give one of them.", { field: "drive" });
}

export const DEVICE_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/vms/{name}/attach",
    id: "attach",
    summary: "Put a disk or a network card into it; a guest that runs hears of it by ACPI",
    body: { ...schemaOf(ATTACH_FIELDS), minProperties: 1, maxProperties: 1 },
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      await vm.attach(cardOf(checkFields(ATTACH_FIELDS, readJson(request))));
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/detach",
    id: "detach",
    summary: "Ask the guest for a disk or network card, and take it",
    body: schemaOf(DETACH_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { id, ...options } = checkFields(DETACH_FIELDS, readJson(request));
      await vm.detach(id, options);
      return jsonResponse(200, vmView(vm));
    },
  },
  {
    method: "POST",
    path: "/v1/vms/{name}/medium",
    id: "medium",
    summary: "Put another disc or floppy into a drive, or take it out",
    body: schemaOf(MEDIUM_FIELDS),
    answer: { status: 200, description: "The VM.", schema: VM_SCHEMA },
    handle: async (request, _context, vm) => {
      const { drive, file, force, ...more } = checkFields(MEDIUM_FIELDS, readJson(request));
      await vm.changeMedium(drive, file === undefined ? undefined : { path: file, ...present(more) }, force);
      return jsonResponse(200, vmView(vm));
    },
  },
];
