// --trace insn: every instruction as a line, by single steps. Complete and slow.

import { GPR_NAMES } from "../vcpu/vcpu.ts";
import { location } from "./commands.ts";
import { Debugger } from "./debugger.ts";
import type { DebugTarget } from "./target.ts";

/** Runs the machine to its end (or until disposed), writing CS:EIP, the instruction and the registers it changed. */
export function traceInstructions(target: DebugTarget, write: (line: string) => void): AsyncDisposable {
  const debug = new Debugger(target);
  let stopped = false;
  const registers = (): number[] => GPR_NAMES.map((_, i) => target.vcpu().gpr(i));
  const loop = async (): Promise<void> => {
    let before = registers();
    while (!stopped) {
      const line = location(debug);
      const stop = await debug.step(1);
      if (stop.kind === "ended") {
        write(line);
        return;
      }
      const after = registers();
      const changed = GPR_NAMES.filter((_, i) => after[i] !== before[i]).map(
        (name) => `${name}=${(after[GPR_NAMES.indexOf(name)] ?? 0).toString(16)}`,
      );
      write(changed.length > 0 ? `${line.padEnd(56)} ${changed.join(" ")}` : line);
      before = after;
    }
  };
  // A defect in here must end the machine, not vanish: its caller waits for the machine's end.
  const done = loop();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      await done;
    },
  };
}
