// QEMU's spellings of our options, for fingers that know them: -kernel, -m, -nographic... are rewritten to the long
// options before parsing, so that everything behind has one spelling to know.
import { Command } from "commander";
import { NIC_DEVICES } from "./nics.ts";
import { addRunOptions } from "./run-options.ts";
import { didYouMean, parsePort, UsageError } from "./values.ts";

/** QEMU option -> ours, with a value. */
const WITH_VALUE: Readonly<Record<string, string>> = {
  "-kernel": "--kernel",
  "-initrd": "--initrd",
  "-append": "--append",
  "-m": "--memory",
  "-bios": "--bios",
  "-cpu": "--cpu",
  "-serial": "--serial",
  "-parallel": "--parallel",
  "-debugcon": "--debugcon",
  "-device": "--device",
  "-drive": "--drive",
  "-hda": "--hda",
  "-hdb": "--hdb",
  "-hdc": "--hdc",
  "-hdd": "--hdd",
  "-cdrom": "--cdrom",
  "-fda": "--fda",
  "-fdb": "--fdb",
  "-boot": "--boot",
  "-vga": "--vga",
  "-display": "--display",
  "-nic": "--nic",
  "-netdev": "--netdev",
};

/** QEMU switch -> ours ("" = accepted, as it asks for what is so anyway). */
const SWITCHES: Readonly<Record<string, string>> = {
  "-no-reboot": "--no-reboot",
  "-nographic": "--nographic",
  "-nodefaults": "",
  "-no-user-config": "",
  "-no-acpi": "--no-acpi",
  "-no-hpet": "",
  "-s": "--gdb=1234",
  "-S": "",
};

/** QEMU options whose listed values ask for what is so anyway. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  "-monitor": ["none"],
  "-net": ["none"],
  "-smp": ["1"],
  "-machine": ["pc", "microvm"],
  "-M": ["pc", "microvm"],
  "-accel": ["tcg"],
};

/** Options of ours that take a value: what comes behind them is none of ours to look at. */
const VALUE_OF_OURS: ReadonlySet<string> = new Set(
  addRunOptions(new Command())
    .options.filter(({ required }) => required)
    .flatMap(({ short, long }) => [short, long].filter((name) => name !== undefined)),
);

/** Rewrites QEMU's spellings; leaves everything else alone. Throws UsageError for QEMU options that are not ours. */
export function translateQemuSpellings(argv: readonly string[]): string[] {
  const out: string[] = [];
  let frozen = false;
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? "";
    if (arg === "--") {
      out.push(...argv.slice(i));
      break;
    }
    frozen ||= arg === "-S";
    // "valueOf" and the like are words that somebody may type, and no options.
    const valued = Object.hasOwn(WITH_VALUE, arg) ? WITH_VALUE[arg] : undefined;
    const switched = Object.hasOwn(SWITCHES, arg) ? SWITCHES[arg] : undefined;
    if (valued !== undefined || VALUE_OF_OURS.has(arg)) {
      out.push(valued ?? arg);
      if (i + 1 < argv.length) out.push(argv[++i] ?? "");
    } else if (switched !== undefined) {
      if (switched !== "") out.push(switched);
    } else if (Object.hasOwn(FIXED, arg)) {
      const given = argv[++i];
      const hpet = arg === "-machine" || arg === "-M" ? /,hpet=(on|off)$/.exec(given ?? "") : null;
      if (hpet?.[1] === "on") out.push("--hpet");
      const value = hpet === null ? given : given?.slice(0, hpet.index);
      if (value === undefined) throw new UsageError(`${arg} needs a value; accepted here: ${FIXED[arg]?.join(", ")}`);
      if (!FIXED[arg]?.includes(value))
        throw new UsageError(`${arg} ${value}: this machine has only "${arg} ${FIXED[arg]?.join(", ")}"`);
    } else if (arg === "--stats") {
      // Its value is optional, and so is --gdb's; without this a guest named after it would be taken for one.
      const format = argv[i + 1];
      if (format === "json" || format === "text") i++;
      out.push(`--stats=${format === "json" ? "json" : "text"}`);
    } else if (arg === "--gdb" && !/^\d+$/.test(argv[i + 1] ?? "")) {
      out.push("--gdb=1234");
    } else if (/^-[a-zA-Z][\w-]+$/.test(arg)) {
      const known = [...Object.keys(WITH_VALUE), ...Object.keys(SWITCHES)];
      throw new UsageError(`unknown option ${arg}${didYouMean(arg, known)}; see: paravane help run`);
    } else {
      out.push(arg);
    }
  }
  if (frozen && !out.some((arg) => /^--gdb(=|$)/.test(arg)))
    throw new UsageError("-S waits for a debugger; give -s (or --gdb PORT) with it, or use paravane debug");
  return out;
}

export interface DeviceOptions {
  debugExitPort?: number;
  testDevice?: boolean;
}

const DEVICES = ["isa-debug-exit", "pc-testdev", ...NIC_DEVICES];

/** QEMU's `-device NAME,key=value`: the devices that one adds to a PC for test guests. */
export function parseDevices(specs: readonly string[]): DeviceOptions {
  const options: DeviceOptions = {};
  for (const spec of specs) {
    const [name = "", ...properties] = spec.split(",");
    const values = new Map(properties.map((property) => property.split("=", 2) as [string, string | undefined]));
    if (name === "isa-debug-exit") {
      const port = values.get("iobase") ?? "0x501";
      for (const key of values.keys()) {
        if (key !== "iobase" && key !== "iosize")
          throw new UsageError(`--device ${spec}: isa-debug-exit has no "${key}"; it has iobase and iosize`);
      }
      options.debugExitPort = parsePort(port, `--device ${spec}: iobase`);
    } else if (name === "pc-testdev") {
      options.testDevice = true;
    } else if (!NIC_DEVICES.includes(name)) {
      throw new UsageError(
        `--device: no device "${name}"${didYouMean(name, DEVICES)}; there are ${DEVICES.join(", ")}`,
      );
    }
  }
  return options;
}
