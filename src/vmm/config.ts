// What a VM is made of, as its creator says it. Checked by checkConfig before anything starts.
import type { ParavirtName } from "../../spec/cpuid.ts";
import type { ControlName, PagingKind, VirtKind } from "../../spec/virtualization.ts";
import type {
  BalloonConfig,
  ConsoleConfig,
  DriveConfig,
  InputKind,
  NicConfig,
  ShareConfig,
  VmLimits,
  VsockConfig,
} from "./device-config.ts";
import type { TraceKind } from "./status.ts";

/** Where execution begins. Images are whole files in memory; who reads them from disk is the platform's business. */
export type BootSource =
  | {
      readonly kind: "linux";
      readonly kernel: Uint8Array;
      readonly initrd?: Uint8Array;
      readonly append?: string;
      readonly guestDecompress?: boolean;
    }
  | {
      readonly kind: "multiboot";
      readonly kernel: Uint8Array;
      readonly name?: string;
      readonly append?: string;
      readonly modules?: readonly { readonly image: Uint8Array; readonly append: string }[];
    }
  | { readonly kind: "elf"; readonly kernel: Uint8Array }
  | { readonly kind: "firmware"; readonly image: Uint8Array }
  | {
      readonly kind: "flat";
      readonly image: Uint8Array;
      readonly address: number;
      readonly entry?: number;
      readonly mode?: "real" | "protected";
    };

/** What a file is, for who says so himself; and how a flat binary starts. */
export const BOOT_KINDS = [
  "linux",
  "multiboot",
  "elf",
  "firmware",
  "flat",
] as const satisfies readonly BootSource["kind"][];
export type BootKind = (typeof BOOT_KINDS)[number];
export const FLAT_MODES = ["protected", "real"] as const;
export type FlatMode = (typeof FLAT_MODES)[number];

export type DisplayKind = "none" | "vga";

export type BootDevice = "floppy" | "disk" | "cdrom" | "network";

export type ClockKind = "real" | "virtual";

/**
 * How a real clock follows the host's (docs/CLOCKS.md). "hide-pauses": it stands still while the VM is paused, and stays
 * behind by that. "follow": it shows the host's time whenever the guest runs. "slew": after a pause it runs faster until it
 * has caught up. "ticks": it also stands still while the vCPU waits for a processor, so that no tick of a timer is lost.
 * "auto": "follow" for a guest that uses kvm-clock, "slew" for any other.
 */
export const CLOCK_SYNC_MODES = ["hide-pauses", "follow", "slew", "ticks", "ntp", "auto"] as const;
export type ClockSyncMode = (typeof CLOCK_SYNC_MODES)[number];

export interface ClockSyncConfig {
  readonly mode: ClockSyncMode;
  /** Largest change of the clock's rate, in millionths, 1 to 900,000. Default 500,000. */
  readonly maxSlewPpm?: number;
  /** A clock that is further behind is set forward at once, in milliseconds. Default 128. */
  readonly stepThresholdMs?: number;
}

/** Where guest time goes on: "snapshot" where it stood, "now" where the host's has come to meanwhile. */
export type ResumeTime = "snapshot" | "now";

export type { ControlName, PagingKind, ParavirtName, VirtKind };

export interface VmConfig {
  readonly name?: string;
  /** 1 MiB to 3 GiB, a multiple of 4 KiB. Default 128 MiB. */
  readonly memoryBytes?: number;
  /** Model with feature changes: "max", "core2", "pentium3,+sse2,-pae". */
  readonly cpu?: string;
  /** Parts of KVM's paravirtual interface, and of ours, that the guest is offered. Default all that the machine can have. */
  readonly paravirt?: readonly ParavirtName[] | "all";
  /**
   * What paravirt, paging and controls are by default. "full": shadow paging, everything exits, no paravirtual interface;
   * "assisted": as hardware with nested paging, and no paravirtual interface; "para": para paging and all interfaces.
   */
  readonly virt?: VirtKind;
  /** How memory is virtualized (docs/VIRTUALIZATION.md). Default "direct". */
  readonly paging?: PagingKind;
  /** What exits beside what must. Default none; with shadow paging "cr3" and "invlpg". */
  readonly controls?: readonly ControlName[];
  readonly clock?: ClockKind;
  /** Real clock: how it follows the host's. Default "hide-pauses". */
  readonly clockSync?: ClockSyncMode | ClockSyncConfig;
  /** Virtual clock: guest nanoseconds one instruction stands for, 0.001 to 1000. Default 1. */
  readonly nsPerInstruction?: number;
  readonly boot: BootSource;
  /** The compiled core; default: the one beside the package. */
  readonly core?: WebAssembly.Module;
  /** Port that POST codes are read from. Default 0x80. */
  readonly postPort?: number;
  /** Local APIC and I/O APIC present. Default true. */
  readonly apic?: boolean;
  /** ACPI tables, PM timer and power button present. Default true. */
  readonly acpi?: boolean;
  /** High precision event timers present. Default false. */
  readonly hpet?: boolean;
  /** Seconds since 1970 that the RTC starts at; default the host's clock (real) or 2000-01-01 (virtual). */
  readonly wallSeconds?: number;
  /** A graphics adapter: "vga" is QEMU's standard VGA. Default "vga" where firmware boots, else "none". */
  readonly display?: DisplayKind;
  /** The adapter's VGA BIOS, which firmware runs; without firmware its font is on the screen. Default none. */
  readonly vgaBios?: Uint8Array;
  /** How many 16550s, 0 to 4 (COM1..COM4). Default 1. */
  readonly serialPorts?: number;
  /** QEMU's isa-debug-exit at this port; `false` leaves it out. Default 0xf4. */
  readonly debugExitPort?: number | false;
  /** QEMU's pc-testdev registers present. Default false. */
  readonly testDevice?: boolean;
  /** What a guest's request for a reset does. Default "reboot". */
  readonly onReset?: "reboot" | "exit";
  /** What a triple fault does. Default "exit". */
  readonly onTripleFault?: "exit" | "reboot";
  /** Host milliseconds from start(), pauses included, after which the VM ends with status "timeout". Default none. */
  readonly timeoutMs?: number;
  /** Ends the VM with status "killed" when aborted. */
  readonly signal?: AbortSignal;
  /** Categories of "trace" events to emit. Default none. */
  readonly trace?: readonly TraceKind[];
  /** Disks, CD and floppy drives; each bus has them in this order. Default none. */
  readonly drives?: readonly DriveConfig[];
  /** What firmware tries first, among drives without a bootIndex. Default: disk, floppy, CD, network. */
  readonly bootOrder?: readonly BootDevice[];
  /** Entropy device; reproducible with the virtual clock. Default false. */
  readonly rng?: boolean;
  /** Memory balloon, with default settings for `true`. Default false. */
  readonly balloon?: boolean | BalloonConfig;
  /** Network cards. Default none. */
  readonly nics?: readonly NicConfig[];
  /** Ports of the virtio console. Default none. */
  readonly consoles?: readonly ConsoleConfig[];
  /** Directories of the host. Default none. */
  readonly shares?: readonly ShareConfig[];
  /** Socket device. Default none. */
  readonly vsock?: VsockConfig;
  /** Virtio keyboard, mouse and tablet, at most one of each. Default none. */
  readonly inputs?: readonly InputKind[];
  /** Token buckets in guest time. Default none. */
  readonly limits?: VmLimits;
}

/** A VmConfig as it crosses threads: without what belongs to one thread only. */
export type PortableConfig = Omit<VmConfig, "signal" | "core" | "timeoutMs">;
