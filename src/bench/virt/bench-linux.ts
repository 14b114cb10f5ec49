// The same comparison with Linux as the guest: one stock kernel, told by its command line and by what the machine offers
// what to be. The questions are asked by roms/measure, a program of ours in its initramfs.
import { MemoryBackend } from "../../backends/memory.ts";
import { INIT_BANNER } from "../../images/init.ts";
import { overlayInitrd } from "../../images/initramfs.ts";
import type { ParavirtName, VmConfig } from "../../vmm/config.ts";
import type { NicConfig } from "../../vmm/device-config.ts";
import { VmError } from "../../vmm/error.ts";
import type { VirtBenchResult } from "./bench-virt.ts";
import { benchDisk } from "./disk.ts";
import { EchoNetwork } from "./echo-network.ts";
import { virtualization } from "./forms.ts";
import type { VirtForm } from "./measurement.ts";
import { checkNames, type RoundProgress, runRounds, within } from "./rounds.ts";
import { runMarked } from "./run-marked.ts";

/** Kernel modules that the initramfs must have for all forms. */
export const LINUX_BENCH_MODULES = [
  "ata_piix",
  "sd_mod",
  "8139cp",
  "virtio_pci",
  "virtio_blk",
  "virtio_net",
  "virtio_console",
] as const;

interface DeviceSet {
  readonly modules: readonly string[];
  readonly disk: string;
  readonly nic: string;
  readonly card: NicConfig["model"];
  readonly console: string;
}

const PC_DEVICES: DeviceSet = {
  modules: ["ata_piix", "sd_mod", "8139cp"],
  disk: "/dev/sda",
  nic: "eth0",
  card: "rtl8139",
  console: "/dev/ttyS1",
};
const VIRTIO_DEVICES: DeviceSet = {
  modules: ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console"],
  disk: "/dev/vda",
  nic: "eth0",
  card: "virtio",
  console: "/dev/hvc0",
};

interface LinuxForm {
  readonly about: string;
  readonly virt: VirtForm;
  readonly devices: DeviceSet;
  /** More words for the kernel. */
  readonly append?: string;
  /** A part of the paravirtual interface that is not offered. */
  readonly without?: ParavirtName;
}

const FORMS = {
  full: {
    about: "a PC's devices, shadow paging, trapping controls, nopv",
    virt: "full",
    devices: PC_DEVICES,
    append: "nopv",
  },
  assisted: { about: "the same devices, direct paging, nopv", virt: "assisted", devices: PC_DEVICES, append: "nopv" },
  para: { about: "virtio and all of KVM's interface", virt: "para", devices: VIRTIO_DEVICES },
  "ide-pio": {
    about: "assisted with libata.dma=0",
    virt: "assisted",
    devices: PC_DEVICES,
    append: "nopv libata.dma=0",
  },
  nopv: { about: "para with nopv: virtio alone", virt: "para", devices: VIRTIO_DEVICES, append: "nopv" },
  "no-clock": { about: "para without kvm-clock", virt: "para", devices: VIRTIO_DEVICES, without: "clock" },
  "no-steal": { about: "para without steal time", virt: "para", devices: VIRTIO_DEVICES, without: "steal" },
  "no-eoi": { about: "para without PV EOI", virt: "para", devices: VIRTIO_DEVICES, without: "eoi" },
  "no-io-delay": {
    about: "para without the promise that ports need no delay",
    virt: "para",
    devices: VIRTIO_DEVICES,
    without: "no-io-delay",
  },
  "pc-devices": { about: "para's interface with a PC's devices", virt: "para", devices: PC_DEVICES },
} as const satisfies Record<string, LinuxForm>;

export type LinuxFormName = keyof typeof FORMS;
export const LINUX_FORMS = Object.keys(FORMS) as LinuxFormName[];
export const LINUX_FORM_DESCRIPTIONS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(FORMS).map(([name, { about }]) => [name, about]),
);

export interface LinuxBenchOptions {
  readonly kernel: Uint8Array;
  /** Busybox and LINUX_BENCH_MODULES. */
  readonly initrd: Uint8Array;
  /** roms/measure/measure.elf. */
  readonly program: Uint8Array;
  readonly only?: readonly string[] | undefined;
  readonly forms?: readonly LinuxFormName[] | undefined;
  /** Default 3. */
  readonly repeats?: number | undefined;
  readonly percent?: number | undefined;
  readonly core?: WebAssembly.Module | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that one run may take; default 300,000. */
  readonly timeoutMs?: number | undefined;
  readonly onProgress?: ((progress: RoundProgress) => void) | undefined;
}

const MEMORY_BYTES = 256 << 20;
/** Where the program marks: Linux itself writes to the usual port of POST codes. roms/measure/measure.h. */
const MARK_PORT = 0x5b0;
const DEBUG_EXIT_PORT = 0xf4;
const BOOT_OPERATION = "linux-boot";
const TIMEOUT_MS = 300_000;

/** Throws as `benchVirt` does. */
export async function benchLinux(options: LinuxBenchOptions): Promise<VirtBenchResult> {
  const repeats = within(options.repeats ?? 3, "repeats", 1, 100);
  const percent = within(options.percent ?? 100, "percent", 1, 1000);
  const { only, core, signal, onProgress, forms = LINUX_FORMS, timeoutMs = TIMEOUT_MS } = options;
  checkNames(only);
  for (const form of forms)
    if (!(form in FORMS))
      throw new VmError("bad-config", `forms: "${form}" is not one of ${LINUX_FORMS.join(", ")}.`, { field: "forms" });
  const result = await runRounds({
    forms,
    repeats,
    warmUp: false,
    onProgress,
    run: (form) =>
      runMarked({
        form,
        config: linuxConfig(options, form, percent),
        core,
        signal,
        timeoutMs,
        start: { operation: BOOT_OPERATION, until: INIT_BANNER },
      }),
  });
  return { kind: "linux", forms, repeats, percent, ...result };
}

function linuxConfig(
  { kernel, initrd, program, only }: LinuxBenchOptions,
  name: LinuxFormName,
  percent: number,
): VmConfig {
  const { virt, devices, append = "", without }: LinuxForm = FORMS[name];
  const words = [
    `percent=${percent}`,
    `disk=${devices.disk}`,
    `nic=${devices.nic}`,
    `console=${devices.console}`,
    ...(only === undefined ? [] : [`only=${only.join(",")}`]),
  ];
  const line = [
    "console=ttyS0 quiet net.ifnames=0",
    append,
    `paravane.modules=${devices.modules.join(",")}`,
    `paravane.port=${DEBUG_EXIT_PORT}`,
    `paravane.run="/measure ${words.join(" ")}"`,
  ];
  return {
    name: `bench-linux-${name}`,
    memoryBytes: MEMORY_BYTES,
    serialPorts: 2,
    postPort: MARK_PORT,
    debugExitPort: DEBUG_EXIT_PORT,
    drives: [
      { id: "ide", bus: "ide", backend: benchDisk() },
      { id: "virtio", bus: "virtio", backend: benchDisk() },
    ],
    // One card, so that it is eth0 whatever order drivers are loaded in.
    nics: [{ id: "card", model: devices.card, backend: new EchoNetwork() }],
    consoles: [{ backend: new MemoryBackend(1 << 16) }],
    boot: {
      kind: "linux",
      kernel,
      initrd: overlayInitrd(initrd, [{ kind: "file", path: "measure", data: program, permissions: 0o755 }]),
      append: line.filter((word) => word !== "").join(" "),
    },
    ...virtualization(virt, without),
  };
}
