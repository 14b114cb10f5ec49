// A VM as a person writes it down: the body of a create request, an entry of a fleet file. Names of guests and paths of
// files stand for images; whoever serves the API reads them (VmSpecResolver).

import { PARAVIRT_SWITCHES } from "../../spec/cpuid.ts";
import { CONTROLS } from "../../spec/virtualization.ts";
import { BOOT_INDEX_MAX } from "../vmm/check-network.ts";
import { integer, oneOf, refuse } from "../vmm/check-values.ts";
import { BOOT_KINDS, CLOCK_SYNC_MODES, FLAT_MODES } from "../vmm/config.ts";
import type { DriveConfig } from "../vmm/device-config.ts";
import { type Checked, checkFields, type FieldTable, type OtherField, schemaOf } from "./fields.ts";
import type { HostedVmConfig } from "./host.ts";
import { givenRates, LIMIT_FIELDS, RATE_FIELDS } from "./limit-fields.ts";
import { NIC_FIELDS } from "./network-fields.ts";
import { checkResources, RESOURCES_SCHEMA, type ResourcesInput } from "./resources/check-claims.ts";
import { checkSchedParameters, PARAMETER_FIELDS } from "./sched/parameters.ts";

const PATH_LENGTH = 4096;
const PORT_MAX = 0xffff;

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

/** What a drive is made of. */
export const DRIVE_FIELDS = {
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
} as const satisfies FieldTable;
export type DriveSpec = Checked<typeof VM_SPEC_FIELDS.drives.of>;

const BOOT_INDEX = {
  kind: "number",
  title: "firmware tries lower ones first, and those without one last",
  min: 0,
  max: BOOT_INDEX_MAX,
  integer: true,
} as const;

/** What `all` stands for is up to whoever has the names. */
function namesField<const T extends string>(title: string, names: readonly T[]): OtherField<readonly T[] | "all"> {
  const each = ["all", "none", ...names].join(", ");
  return {
    kind: "other",
    title,
    check: (value, path) => {
      if (value === "all") return value;
      if (value === "none") return [];
      if (!Array.isArray(value)) refuse(path, value, `"all", "none", or an array of: ${names.join(", ")}`);
      return value.map((name, i) => oneOf(`${path}[${i}]`, name, names));
    },
    schema: { oneOf: [{ enum: ["all", "none"] }, { type: "array", items: { enum: names } }] },
    accepted: each,
  };
}

const CONTROL_NAMES = CONTROLS.map(({ name }) => name);
const SWITCH_NAMES = PARAVIRT_SWITCHES.map(({ name }) => name);

const DEBUG_EXIT: OtherField<number | false> = {
  kind: "other",
  title: "port of isa-debug-exit (0xf4), or false",
  check: (value, path) => (value === false ? value : integer(path, value, 0, PORT_MAX)),
  schema: { oneOf: [{ type: "integer", minimum: 0, maximum: PORT_MAX }, { const: false }] },
  accepted: `a port from 0 to ${PORT_MAX}, or false`,
};

const ADDRESS = { kind: "number", min: 0, max: 0xffff_ffff, integer: true } as const;

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
  modules: {
    kind: "list",
    title: "multiboot modules",
    of: {
      file: { kind: "text", title: "path of it", maxLength: PATH_LENGTH, required: true },
      append: { kind: "text", title: "its command line; the file when left out", maxLength: PATH_LENGTH },
    },
    minItems: 0,
    maxItems: 64,
  },
  as: { kind: "choice", title: "what the file is; no guess", of: BOOT_KINDS },
  loadAddress: { ...ADDRESS, title: "flat binary: address that it goes to" },
  entry: { ...ADDRESS, title: "flat binary: where it starts; its first byte when left out" },
  mode: { kind: "choice", title: "flat binary: how it starts; protected when left out", of: FLAT_MODES },
  guestDecompress: { kind: "boolean", title: "the kernel unpacks itself", default: false },
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
  nsPerInstruction: { kind: "number", title: "virtual clock: ns that an instruction takes", min: 0.001, max: 1000 },
  wallSeconds: {
    kind: "number",
    title: "what the RTC starts at, seconds since 1970; now (virtual clock: 2000) when left out",
    min: 0,
    max: 0xffff_ffff,
    integer: true,
  },
  virt: {
    kind: "choice",
    title: "what paging, controls and paravirtual interfaces are by default",
    of: ["full", "assisted", "para"],
  },
  paging: { kind: "choice", title: "how memory is virtualized", of: ["direct", "shadow", "para"] },
  controls: namesField("what exits beside what must", CONTROL_NAMES),
  paravirt: namesField("paravirtual interfaces that the guest is offered", SWITCH_NAMES),
  serialPorts: { kind: "number", title: "16550s", min: 0, max: 4, integer: true },
  acpi: { kind: "boolean", title: "ACPI tables, PM timer and power button", default: true },
  hpet: { kind: "boolean", title: "high precision event timers", default: false },
  apic: { kind: "boolean", title: "local APIC and I/O APIC", default: true },
  display: {
    kind: "choice",
    title: "graphics adapter: a VGA with Bochs VBE where firmware boots, else none, when left out",
    of: ["none", "vga"],
  },
  vgaBios: { kind: "text", title: "path of its VGA BIOS; Debian's when left out", maxLength: PATH_LENGTH },
  testDevice: { kind: "boolean", title: "QEMU's pc-testdev", default: false },
  debugExitPort: DEBUG_EXIT,
  postPort: { kind: "number", title: "port that POST codes go to (0x80)", min: 0, max: PORT_MAX, integer: true },
  onReset: { kind: "choice", title: "what a guest's reset does", of: ["reboot", "exit"] },
  onTripleFault: { kind: "choice", title: "what a triple fault does", of: ["exit", "reboot"] },
  drives: {
    kind: "list",
    title: "disks, CD and floppy drives; firmware boots from them where nothing else says what to boot",
    of: {
      ...DRIVE_FIELDS,
      unit: { kind: "number", title: "place on its bus; the first free when left out", min: 0, max: 7, integer: true },
      bootIndex: BOOT_INDEX,
    },
    minItems: 0,
    maxItems: 16,
  },
  nics: {
    kind: "list",
    title: "network cards",
    of: {
      ...NIC_FIELDS,
      bootIndex: BOOT_INDEX,
      romFile: { kind: "text", title: "path of an option ROM; iPXE where it boots", maxLength: PATH_LENGTH },
    },
    minItems: 0,
    maxItems: 8,
  },
  limits: { kind: "object", title: "rate limits, as token buckets", fields: LIMIT_FIELDS },
  rng: { kind: "boolean", title: "virtio entropy device", default: false },
  balloon: { kind: "boolean", title: "virtio memory balloon", default: false },
  scheduling: { kind: "object", title: "its share of the pCPUs", fields: PARAMETER_FIELDS },
  resources: RESOURCES_FIELD,
  pcpu: { kind: "number", title: "pCPU to run on first", min: 0, max: 255, integer: true },
  pinned: { kind: "boolean", title: "it stays on its pCPU", default: false },
} as const satisfies FieldTable;

export type NicSpec = Checked<typeof VM_SPEC_FIELDS.nics.of>;
export type VmSpec = ReturnType<typeof checkVmSpec>;

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
export function driveOfSpec(spec: Partial<DriveSpec> & Checked<typeof DRIVE_FIELDS>, fallbackId: string): DriveConfig {
  const { id = fallbackId, file, format, bus, media, readOnly, snapshot, overlay, limits, ...place } = spec;
  const given = givenFields({ format, overlay, ...(snapshot ? { snapshot } : {}) });
  return {
    id,
    bus,
    media,
    ...givenFields(place),
    ...(readOnly ? { readOnly } : {}),
    ...(file === undefined ? {} : { backend: { path: file, ...given } }),
    ...(limits === undefined ? {} : { limits: givenRates(limits) }),
  };
}

/** Fields that were given: what is left out takes the machine's own default. */
export function givenFields<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
