// Execution controls of a whole VM: each one makes its own exits and no others, and the guest's work is done all the same.
import { describe, expect, it } from "vitest";
import { CONTROLS, type ControlName } from "../../spec/virtualization.ts";
import { Vm, type VmConfig } from "../../src/index.ts";

const imm32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
const APIC_TPR = 0xfee00080;
const RESULT = 0x8000;

/** Each thing that a control traps, once; the APIC's TPR is written and read back. */
const PROGRAM = Uint8Array.from([
  ...[0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], // mov eax, cr3; mov cr3, eax
  ...[0x0f, 0x01, 0x3d, ...imm32(0x1000)], // invlpg [1000h]
  ...[0x0f, 0x31], // rdtsc
  ...[0x31, 0xc0, 0x0f, 0xa2], // xor eax, eax; cpuid
  ...[0x0f, 0x01, 0x05, ...imm32(RESULT + 16)], // sgdt
  ...[0xe4, 0x21], // in al, 21h
  ...[0xc7, 0x05, ...imm32(APIC_TPR), ...imm32(0x20)],
  ...[0xa1, ...imm32(APIC_TPR), 0xa3, ...imm32(RESULT)],
  ...[0xb0, 0, 0xe6, 0xf4, 0xf4],
]);
/** One write to the debug-exit port in any case. */
const ALWAYS = { "port-out": 1 };
const EXITS: Readonly<Partial<Record<ControlName, Readonly<Record<string, number>>>>> = {
  cr3: { "cr3-load": 1 },
  invlpg: { invlpg: 1 },
  rdtsc: { rdtsc: 1 },
  cpuid: { cpuid: 1 },
  descriptors: { "descriptor-access": 1 },
  chipset: { "port-in": 1 },
  apic: { "mmio-write": 1, "mmio-read": 1 },
};

async function exitsOf(config: Partial<VmConfig>): Promise<Record<string, number>> {
  const vm = await Vm.create({
    memoryBytes: 1 << 20,
    clock: "virtual",
    timeoutMs: 20_000,
    boot: { kind: "flat", image: PROGRAM, address: 0x10000, mode: "protected" },
    ...config,
  });
  vm.start();
  expect(await vm.exited).toEqual({ kind: "guest-exit", code: 1 });
  const result = new Uint8Array(1);
  vm.memory.read(RESULT, result);
  expect(result[0]).toBe(0x20);
  const { budget: _, ...exits } = vm.statistics().exits as Record<string, number>;
  return exits;
}

describe("controls", () => {
  it("without any nothing exits but what must", async () => {
    expect(await exitsOf({})).toEqual(ALWAYS);
    expect(await exitsOf({ virt: "assisted" })).toEqual(ALWAYS);
  });

  it.each(Object.entries(EXITS))("%s alone", async (name, exits) => {
    expect(await exitsOf({ controls: [name as ControlName] })).toEqual({ ...ALWAYS, ...exits });
  });

  it("all together", async () => {
    expect(await exitsOf({ controls: CONTROLS.map(({ name }) => name) })).toEqual(
      Object.assign({}, ALWAYS, ...Object.values(EXITS)),
    );
  });
});
