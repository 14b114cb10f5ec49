// The guest that notices when something of it is lost (roms/steady), under a VM.
import { readRomImage, readRomManifest } from "../../src/cli/roms.ts";
import { Vm, type VmConfig } from "../../src/index.ts";

export async function steadyConfig(config: Partial<VmConfig> = {}): Promise<VmConfig> {
  const rom = readRomManifest().roms.find(({ name }) => name === "steady");
  if (rom === undefined) throw new Error("roms/manifest.json has no steady");
  const boot = { kind: "multiboot", kernel: await readRomImage(rom), name: "steady", append: "" } as const;
  return { memoryBytes: 4 << 20, boot, ...config } as VmConfig;
}

/** What the guest says, line by line; `failed` is the first line that it should not have said. */
export class Listener {
  text = "";

  constructor(vm: Vm) {
    vm.on("serial", ({ bytes }) => {
      this.text += new TextDecoder("latin1").decode(bytes);
    });
  }

  /** Lines, but the first and last, which a snapshot may have cut. */
  get lines(): string[] {
    return this.text.split("\n").slice(1, -1);
  }

  get failed(): string | undefined {
    return /FAIL.*/.exec(this.text)?.[0] ?? this.lines.find((line) => !/^steady [0-9a-f]{8}$/.test(line));
  }

  /** Steps that the guest has said it made. */
  get steps(): number {
    return Math.max(0, ...this.lines.map((line) => Number.parseInt(line.slice(7), 16)));
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A running guest that has said its first line. */
export async function startSteady(config: Partial<VmConfig> = {}): Promise<{ vm: Vm; listener: Listener }> {
  const vm = await Vm.create(await steadyConfig(config));
  const listener = new Listener(vm);
  vm.start();
  while (listener.lines.length < 2 && vm.state === "running") await sleep(2);
  return { vm, listener };
}
