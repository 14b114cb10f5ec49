// The guest of disk-guest.asm, which says what its disk has.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Vm } from "../../src/index.ts";
import { Scratch } from "../backends/block/tools.ts";

/** The guest's kernel, assembled. */
export function diskKernel(): Uint8Array {
  using scratch = new Scratch();
  const out = scratch.path("guest.bin");
  execFileSync("nasm", ["-f", "bin", "-o", out, new URL("disk-guest.asm", import.meta.url).pathname]);
  return new Uint8Array(readFileSync(out));
}

/** Asks the guest and waits for its answer. */
export class DiskGuest {
  #said = "";

  constructor(private readonly vm: Vm) {
    vm.on("serial", ({ bytes }) => {
      this.#said += new TextDecoder("latin1").decode(bytes);
    });
  }

  async begin(): Promise<this> {
    this.vm.start();
    await this.#answer(/\+/);
    return this;
  }

  async write(sector: number, byte: string): Promise<void> {
    this.#say(sector, `w${byte}`);
    await this.#answer(/\./);
  }

  /** A restored guest may answer before that what was asked when it was saved. */
  async read(sector: number): Promise<string> {
    this.#say(sector, "r");
    return (await this.#answer(/=(.)/))[1] as string;
  }

  #say(sector: number, text: string): void {
    this.#said = "";
    this.vm.serial().write(`s${String.fromCharCode(sector)}${text}`);
  }

  async #answer(pattern: RegExp): Promise<RegExpExecArray> {
    for (let i = 0; i < 4000; i++) {
      const found = pattern.exec(this.#said);
      if (found !== null) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`the guest said ${JSON.stringify(this.#said)}, not ${pattern}`);
  }
}
