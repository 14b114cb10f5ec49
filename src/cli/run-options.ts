// The options that `run` and `debug` share, and of these the ones about the machine, which `create` has too, as the parser and
// --help see them. machine-options.ts and options.ts check the values.
import { type Command, Option } from "commander";
import { PARAVIRT_SWITCHES } from "../../spec/cpuid.ts";
import { CONTROLS } from "../../spec/virtualization.ts";
import { CLOCK_SYNC_MODES } from "../vmm/config.ts";
import { collectInOrder } from "./display-options.ts";
import { LAZY_HELP } from "./lazy-value.ts";

const CONTROL_NAMES = CONTROLS.map(({ name }) => name).join(", ");
const SWITCH_NAMES = PARAVIRT_SWITCHES.map(({ name }) => name).join(", ");
const ONLY_BY_NAME = PARAVIRT_SWITCHES.flatMap(({ name, onlyByName }) => (onlyByName ? [name] : [])).join(", ");

/** Adds what a machine is made of and boots, grouped as --help prints it. */
export function addMachineOptions(command: Command): Command {
  return command
    .optionsGroup("What to boot:")
    .option("-k, --kernel <file>", "Linux bzImage, multiboot kernel or ELF")
    .option("--initrd <file>", "initial RAM disk; for multiboot kernels a list of modules")
    .option("--append <words>", "kernel command line")
    .option("--bios <file>", "firmware image, started at the reset vector")
    .option("--module <file words>", "multiboot module with its command line (repeatable)", collect)
    .option("--as <kind>", "do not guess: linux, multiboot, elf, firmware or flat")
    .option("--load <address>", "flat binary: where it goes")
    .option("--entry <address>", "flat binary: where it starts (default: its first byte)")
    .option("--mode <mode>", "flat binary: protected, or real as a BIOS starts a boot sector (default: protected)")
    .option("--guest-decompress", "let the kernel unpack itself instead of unpacking it here")
    .optionsGroup("Disks (docs/DISKS.md):")
    .option("--drive <spec>", "file=FILE,if=ide|virtio|floppy|hypercall,... (repeatable)", collect)
    .option("--hda <file>", "first IDE disk; also --hdb, --hdc, --hdd")
    .addOption(new Option("--hdb <file>").hideHelp())
    .addOption(new Option("--hdc <file>").hideHelp())
    .addOption(new Option("--hdd <file>").hideHelp())
    .option("--cdrom <file>", "CD image in an IDE drive")
    .option("--fda <file>", "floppy image; also --fdb")
    .addOption(new Option("--fdb <file>").hideHelp())
    .option("--overlay <file>", "keep what the guest writes to the disk of its image (debian) there")
    .option("--boot <order>", "firmware's order: letters of a (floppy), c (disk), d (CD), n (network)")
    .optionsGroup("Network (docs/NETWORK.md):")
    .option(
      "--nic <spec>",
      "user,hostfwd=tcp::2222-:22,... or switch=NAME,..., with model=, mac= (repeatable)",
      collect,
    )
    .option("--netdev <spec>", "the same in two parts: user,id=n1 here and --device virtio-net-pci,netdev=n1", collect)
    .option("--pcap <file>", "write what passes the card there, for tcpdump")
    .optionsGroup("The machine:")
    .option("-m, --memory <size>", "RAM from 1M to 3G; a number alone is MiB (default: 128M)")
    .option("--cpu <model>", "max, core2 or pentium3, with ,+feature and ,-feature (default: max)")
    .option("--virt <kind>", "what --paging, --controls and --pv are by default: full, assisted or para")
    .option("--paging <kind>", "how memory is virtualized: direct, shadow or para (default: direct)")
    .option("--controls <names>", `what exits: ${CONTROL_NAMES}; all or none`)
    .option(
      "--pv <switches>",
      `interfaces the guest gets: ${SWITCH_NAMES}; all (but ${ONLY_BY_NAME}) or none (default: all)`,
    )
    .option("--clock <kind>", "real: follows the host; virtual: follows the instructions, repeatable")
    .option(
      "--clock-sync <mode>",
      `real clock after pauses: ${CLOCK_SYNC_MODES.join(", ")} (default: ${CLOCK_SYNC_MODES[0]})`,
    )
    .option("--ns-per-instruction <ns>", "virtual clock: guest time that an instruction takes (default: 1)")
    .option("--wall <time>", "what the RTC starts at: seconds since 1970 or a date")
    .option("--no-apic", "leave out the local APIC and the I/O APIC")
    .option("--no-acpi", "leave out ACPI")
    .option("--hpet", "add high precision event timers")
    .option("--test-device", "add QEMU's pc-testdev")
    .option("--debug-exit <port>", "port of isa-debug-exit, or off (default: 0xf4)")
    .option("--post-port <port>", "port that POST codes go to (default: 0x80)")
    .option("--device <spec>", "isa-debug-exit,iobase=PORT, pc-testdev, or a card: virtio-net-pci,netdev=ID", collect)
    .option("--vga <adapter>", "std: a VGA with Bochs VBE; none (default: std where firmware boots)")
    .option("--vga-bios <file>", "its VGA BIOS (default: SeaBIOS's, from Debian)")
    .option("--rng", "add a virtio entropy device")
    .option("--balloon", "add a virtio memory balloon")
    .option("--no-reboot", "a reset ends the machine (run: with code 8)")
    .option("--reboot-on-triple-fault", "a triple fault resets the machine, as on a PC")
    .optionsGroup("Others:");
}

/** Adds all options of \`run\`. */
export function addRunOptions(command: Command): Command {
  return addMachineOptions(command)
    .optionsGroup("What to boot:")
    .option("--restore <file>", "no boot: go on from a snapshot (its parents are looked for beside it)")
    .option("--restore-lazy <how>", LAZY_HELP)
    .option("--restore-clock <what>", "resume: guest time goes on from the snapshot; now: it jumps to the present")
    .optionsGroup("Disks (docs/DISKS.md):")
    .option(
      "--share <directory>",
      "a directory of this host for the guest to mount by 9P, with ,tag=NAME (default: host) and ,readonly=on (repeatable)",
      collect,
    )
    .optionsGroup("Consoles: WHERE is terminal, stderr, none, file:PATH, append:PATH or pipe:PATH")
    .option("--serial <where>", "COM1; again for COM2 to COM4 (default: terminal)", collect)
    .option("--parallel <where>", "printer port (default: none)")
    .option("--debugcon <where>", "debug console, port 0xe9 (default: none)")
    .optionsGroup("Screen and keyboard (docs/DISPLAY.md):")
    .option("--display <how>", "text: the screen on this terminal; none (default: none)")
    .option("--nographic", "no screen on this terminal, which is so unless --display says otherwise")
    .option("--screenshot <file>", "the screen at the end, as PNG")
    .option(
      "--wait-screen <regex>",
      "wait until a line on the screen matches; as the last step: end with code 0",
      collectInOrder,
    )
    .option(
      "--type <text>",
      "then type this, with \\n for Enter (steps in the order given, repeatable)",
      collectInOrder,
    )
    .option("--keys <keys>", 'or press these, such as "ctrl-alt-delete" or "down down ret"', collectInOrder)
    .optionsGroup("How it ends:")
    .option("--timeout <time>", "end after so much host time (30, 1.5m, 500ms) with code 124")
    .option("--until <regex>", "end with code 0 when a console line matches")
    .option("--snapshot-on-exit <file>", "where you end it (Ctrl-A x, a signal, --until): save it there first")
    .optionsGroup("What to report:")
    .option("--stats [format]", "statistics at the end, on stderr: text or json (one object, one line)")
    .option("--stats-file <file>", "write them there instead")
    .option(
      "--trace <kinds>",
      "exits, ports, mmio, msrs, exceptions, hypercalls, irqs, io (ports and mmio), all, insn",
      collect,
    )
    .option("--trace-file <file>", "write the trace there instead of stderr")
    .option("--gdb [port]", "wait for gdb on this loopback port (default: 1234)")
    .optionsGroup("Others:");
}

function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
