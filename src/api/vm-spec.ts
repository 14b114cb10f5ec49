// A VM as a person writes it down: the body of a create request, an entry of a fleet file. Names of guests and paths of
// files stand for images; whoever serves the API reads them (VmSpecResolver).
import { type Checked, checkFields, type FieldTable, type OtherField, schemaOf } from "../host/fields.ts";
import type { HostedVmConfig } from "../host/host.ts";
import { checkResources, RESOURCES_SCHEMA, type ResourcesInput } from "../host/resources/check-claims.ts";
import { checkSchedParameters, PARAMETER_FIELDS } from "../host/sched/parameters.ts";
import { CLOCK_SYNC_MODES } from "../vmm/config.ts";
import type { DriveConfig } from "../vmm/device-config.ts";
import { givenRates, LIMIT_FIELDS, RATE_FIELDS } from "./limit-fields.ts";
import { NIC_FIELDS } from "./network-fields.ts";

const PATH_LENGTH = 4096;

export const RESOURCES_FIELD: OtherField<ResourcesInput> = {
  kind: "other",
  title: "reservation, limit and shares of memory (bytes, or text such as 512M), CPU (pCPUs) and other resources",
  check: (value, path) => {
    checkResources(path, value);
    return value as ResourcesInput;
  },
  schema: RESOURCES_SCHEMA,
  accepted: "an object with claims by the name of the resource",
};

export const VM_SPEC_FIELDS = {
  name: { kind: "text", title: "unique on its host; chosen by the host when left out", maxLength: 64 },
  guest: {
    kind: "text",
    title: "a ROM, an image or a file: hello, linux, a path; the default ROM when nothing says what to boot",
    maxLength: PATH_LENGTH,
  },
  kernel: { kind: "text", title: "path of a kernel, in place of guest", maxLength: PATH_LENGTH },
  initrd: { kind: "text", title: "path of an initrd", maxLength: PATH_LENGTH },
  append: { kind: "text", title: "kernel command line", maxLength: PATH_LENGTH },
  bios: { kind: "text", title: "path of a firmware image, in place of guest", maxLength: PATH_LENGTH },
  overlay: {
    kind: "text",
    title:
      "qcow2 image that writes to the disk of an image such as debian go to, made unless it is there; else dropped",
    maxLength: PATH_LENGTH,
  },
  boot: {
    kind: "text",
    title: "firmware's order: letters of a (floppy), c (disk), d (CD) and n (network)",
    maxLength: 4,
  },
  memoryMib: { kind: "number", title: "guest memory, MiB", min: 1, max: 3072 },
  cpu: { kind: "text", title: 'CPU model with changes: "max", "core2", "pentium3,+sse2"', maxLength: 256 },
  clock: { kind: "choice", title: "what the guest's clock follows", of: ["real", "virtual"] },
  clockSync: {
    kind: "choice",
    title: "what becomes of time that a real clock missed; ntp: the guest asks the gateway of its user network",
    of: CLOCK_SYNC_MODES,
  },
  virt: {
    kind: "choice",
    title: "what paging, controls and paravirtual interfaces are by default",
    of: ["full", "assisted", "para"],
  },
  paging: { kind: "choice", title: "how memory is virtualized", of: ["direct", "shadow", "para"] },
  serialPorts: { kind: "number", title: "16550s", min: 0, max: 4, integer: true },
  acpi: { kind: "boolean", title: "ACPI tables, PM timer and power button", default: true },
  hpet: { kind: "boolean", title: "high precision event timers", default: false },
  apic: { kind: "boolean", title: "local APIC and I/O APIC", default: true },
  display: {
    kind: "choice",
    title: "graphics adapter: a VGA with Bochs VBE where firmware boots, else none, when left out",
    of: ["none", "vga"],
  },
  onReset: { kind: "choice", title: "what a guest's reset does", of: ["reboot", "exit"] },
  onTripleFault: { kind: "choice", title: "what a triple fault does", of: ["exit", "reboot"] },
  drives: {
    kind: "list",
    title: "disks, CD and floppy drives; firmware boots from them where nothing else says what to boot",
    of: {
      id: { kind: "text", title: "unique among the drives; the guest reads it as the serial number", maxLength: 20 },
      file: { kind: "text", title: "image; a CD or floppy drive without one is empty", maxLength: PATH_LENGTH },
      format: {
        kind: "choice",
        title: "what the image is; dir: a FAT volume of a directory",
        of: ["raw", "qcow2", "dir"],
      },
      bus: {
        kind: "choice",
        title: "where it is attached",
        of: ["ide", "virtio", "floppy", "hypercall"],
        default: "ide",
      },
      media: { kind: "choice", title: "disk or CD", of: ["disk", "cdrom"], default: "disk" },
      readOnly: { kind: "boolean", title: "refuse writes", default: false },
      snapshot: { kind: "boolean", title: "drop writes at the end", default: false },
      overlay: {
        kind: "text",
        title: "qcow2 image that writes go to, made unless it is there",
        maxLength: PATH_LENGTH,
      },
      limits: { kind: "object", title: "in place of limits.disks", fields: RATE_FIELDS },
    },
    minItems: 0,
    maxItems: 16,
  },
  nics: { kind: "list", title: "network cards", of: NIC_FIELDS, minItems: 0, maxItems: 8 },
  limits: { kind: "object", title: "rate limits, as token buckets", fields: LIMIT_FIELDS },
  rng: { kind: "boolean", title: "virtio entropy device", default: false },
  balloon: { kind: "boolean", title: "virtio memory balloon", default: false },
  scheduling: { kind: "object", title: "its share of the pCPUs", fields: PARAMETER_FIELDS },
  resources: RESOURCES_FIELD,
  pcpu: { kind: "number", title: "pCPU to run on first", min: 0, max: 255, integer: true },
  pinned: { kind: "boolean", title: "it stays on its pCPU", default: false },
} as const satisfies FieldTable;

export type VmSpec = ReturnType<typeof checkVmSpec>;

/** What a drive is made of. */
export const DRIVE_FIELDS = VM_SPEC_FIELDS.drives.of;
export type DriveSpec = Checked<typeof DRIVE_FIELDS>;

/** Throws VmError("bad-config") naming the field, after `where` ("vms[2]."), and what is accepted. */
export function checkVmSpec(input: unknown, where = "") {
  const spec = checkFields(VM_SPEC_FIELDS, input, where);
  if (spec.scheduling !== undefined) checkSchedParameters(spec.scheduling, `${where}scheduling.`);
  return spec;
}

export function vmSpecSchema(): Record<string, unknown> {
  return schemaOf(VM_SPEC_FIELDS);
}

/** Reads what a spec names. Throws VmError("not-found" | "bad-image" | "bad-config"). */
export type VmSpecResolver = (spec: VmSpec) => Promise<HostedVmConfig>;

/** The drive that a spec describes; `id` where it names none. */
export function driveOfSpec(spec: DriveSpec, fallbackId: string): DriveConfig {
  const { id = fallbackId, file, format, bus, media, readOnly, snapshot, overlay, limits } = spec;
  const source = { format, overlay, ...(snapshot ? { snapshot } : {}) };
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
  return {
    id,
    bus,
    media,
    ...(readOnly ? { readOnly } : {}),
    ...(file === undefined ? {} : { backend: { path: file, ...given } }),
    ...(limits === undefined ? {} : { limits: givenRates(limits) }),
  };
}
