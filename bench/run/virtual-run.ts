// A guest by the virtual clock: the same run every time, on every host.
import { Vm, type VmConfig } from "../../src/index.ts";
import { VmError } from "../../src/vmm/error.ts";

const TIMEOUT_MS = 120_000;

/**
 * Runs a guest to its end and returns the instructions it retired. `onLine` gets each line of the first serial port, and
 * the instructions retired when its last character was sent. `input` is typed before power-on, so that it arrives at
 * times of the guest's clock alone. Throws VmError("bad-state") when the guest does not end by itself.
 */
export async function runVirtually(
  config: VmConfig,
  input: string | undefined,
  onLine: (line: string, instructions: number) => void,
): Promise<number> {
  await using vm = await Vm.create({ ...config, clock: "virtual", timeoutMs: TIMEOUT_MS });
  let text = "";
  vm.on("serial", ({ bytes }) => {
    // The event comes in the middle of the exit that sent a newline, so the count is that of the instruction.
    text += Buffer.from(bytes).toString("latin1");
    if (!text.endsWith("\n")) return;
    for (const line of text.trimEnd().split("\n")) onLine(line.trim(), vm.statistics().instructions);
    text = "";
  });
  if (input !== undefined) vm.serial().write(input);
  vm.start();
  const status = await vm.exited;
  if (status.kind !== "power-off" && status.kind !== "guest-exit") {
    const why = status.kind === "crashed" ? status.error.message : status.kind;
    throw new VmError("bad-state", `The guest did not end by itself: ${why}.`);
  }
  return vm.statistics().instructions;
}
