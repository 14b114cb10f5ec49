// A machine with a few bytes of 32-bit code at 1 MiB, for the debugger's tests.
import { Vm } from "../../src/index.ts";
import type { VmConfig } from "../../src/vmm/config.ts";

export const CODE = 0x100000;

export async function codeVm(code: readonly number[], config: Partial<VmConfig> = {}): Promise<Vm> {
  return await Vm.create({
    memoryBytes: 4 * 1024 * 1024,
    clock: "virtual",
    ...config,
    boot: { kind: "flat", image: Uint8Array.from(code), address: CODE, mode: "protected" },
  });
}
