// Machines that Debian's SeaBIOS starts, talked to over COM1.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { type DriveConfig, Vm, type VmConfig } from "../../src/index.ts";
import { Scratch } from "../backends/block/tools.ts";

export const SEABIOS = "/usr/share/seabios/bios-256k.bin";
/** How the boot sector ends the machine. */
export const BOOT_SECTOR_EXIT = { kind: "guest-exit", code: (0x21 << 1) | 1 } as const;

/** boot/sector.asm, assembled. */
export function bootSector(): Uint8Array {
  using scratch = new Scratch();
  const out = scratch.path("sector.bin");
  execFileSync("nasm", ["-f", "bin", "-o", out, new URL("boot/sector.asm", import.meta.url).pathname]);
  return new Uint8Array(readFileSync(out));
}

/** A disk with the boot sector and text in other sectors. */
export function bootDisk(sizeBytes: number, texts: Readonly<Record<number, string>>): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(bootSector());
  for (const [sector, text] of Object.entries(texts))
    bytes.set(new TextEncoder().encode(`${text}\r\n`), Number(sector) * 512);
  return bytes;
}

export class FirmwareGuest implements AsyncDisposable {
  /** Everything from COM1. */
  said = "";
  #changed = (): void => {};

  private constructor(readonly vm: Vm) {
    vm.on("serial", ({ bytes }) => {
      this.said += new TextDecoder("latin1").decode(bytes);
      this.#changed();
    });
    void vm.exited.then(() => this.#changed());
  }

  static async start(drives: readonly DriveConfig[], config: Partial<VmConfig> = {}): Promise<FirmwareGuest> {
    const vm = await Vm.create({
      memoryBytes: 64 << 20,
      clock: "virtual",
      timeoutMs: 80_000,
      onReset: "exit",
      ...config,
      boot: { kind: "firmware", image: new Uint8Array(readFileSync(SEABIOS)) },
      drives,
    });
    const guest = new FirmwareGuest(vm);
    vm.start();
    return guest;
  }

  /** Waits for text on the console; throws with all of it when the machine ends first. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said)) {
      if (this.vm.state === "stopped" || this.vm.state === "crashed")
        throw new Error(`the machine ended before it said ${pattern}; it said:\n${this.said}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  type(text: string): void {
    this.vm.serial().write(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm[Symbol.asyncDispose]();
  }
}
