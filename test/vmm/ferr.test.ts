// A frozen FPU (CR0.NE = 0, an unmasked exception, nobody answers FERR#): the vCPU waits for an interrupt, as in HLT.
import { describe, expect, it } from "vitest";
import { Vm, type VmConfig } from "../../src/index.ts";

const LOAD = 0x7c00;
/** fninit; fldcw [unmasked]; fldz; fld1; fdivrp (a division by zero); fwait */
const freeze = (unmasked: number): number[] => [
  ...[0xdb, 0xe3, 0xd9, 0x2e, unmasked & 0xff, unmasked >> 8],
  ...[0xd9, 0xee, 0xd9, 0xe8, 0xde, 0xf1, 0x9b],
];
const exitWith = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, 0xf4];
/** mov word [0:at], value */
const word = (at: number, value: number): number[] => [0xc7, 0x06, at & 0xff, at >> 8, value & 0xff, value >> 8];
/** mov al, value; out port, al */
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];

async function boot(code: readonly number[], config: Partial<VmConfig> = {}): Promise<Vm> {
  const image = new Uint8Array(512);
  image.set(code);
  // the control word with all exceptions unmasked
  new DataView(image.buffer).setUint16(510, 0x0340, true);
  const source = { kind: "flat", image, address: LOAD, mode: "real" } as const;
  return await Vm.create({ memoryBytes: 1 << 20, clock: "virtual", boot: source, timeoutMs: 20_000, ...config });
}
const UNMASKED = LOAD + 510;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a frozen FPU", () => {
  it("sleeps with interrupts off, and does not keep the host busy", async () => {
    // 0xfa: cli
    await using vm = await boot([0xfa, ...freeze(UNMASKED), ...exitWith(1)], { clock: "real" });
    vm.start();
    await sleep(400);
    await vm.pause();
    const { exits, instructions, idleSeconds } = vm.statistics();
    expect(exits.ferr).toBeGreaterThan(0);
    expect(exits.ferr).toBeLessThan(20);
    expect(idleSeconds).toBeGreaterThan(0.3);
    expect(instructions).toBe(6);
  });

  it("is woken by an NMI all the same", async () => {
    const main = [...word(8, LOAD + 0x80), ...word(10, 0), 0xfa, ...freeze(UNMASKED), ...exitWith(1)];
    const code = [...main, ...new Array(0x80 - main.length).fill(0x90), ...exitWith(5)];
    await using vm = await boot(code, { clock: "real" });
    vm.start();
    await sleep(100);
    vm.sendNmi();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 11 });
  });

  it.each(["virtual", "real"] as const)(
    "takes IRQ 13 at once and goes on, once for each error (%s clock)",
    async (clock) => {
      // IRQ 13 is INT 75h. The handler counts in BX, clears the exceptions, answers port F0h and ends both 8259s' service.
      const handler = [0x43, 0xdb, 0xe2, ...out(0xf0, 0), ...out(0xa0, 0x20), ...out(0x20, 0x20), 0xcf];
      const setup = [
        ...[0x31, 0xdb], // xor bx, bx
        ...word(0x75 * 4, LOAD + 0x100),
        ...word(0x75 * 4 + 2, 0),
        ...out(0x20, 0x11),
        ...out(0x21, 0x08),
        ...out(0x21, 0x04),
        ...out(0x21, 0x01),
        ...out(0xa0, 0x11),
        ...out(0xa1, 0x70),
        ...out(0xa1, 0x02),
        ...out(0xa1, 0x01),
        ...out(0x21, 0xfb),
        ...out(0xa1, 0xdf),
        0xfb, // sti
      ];
      const main = [
        ...setup,
        ...freeze(UNMASKED),
        ...freeze(UNMASKED),
        // in the shadow of STI: the interrupt comes once the FPU is frozen
        ...[0xfa, ...freeze(UNMASKED).slice(0, -1), 0xfb, 0x9b],
        ...[0x88, 0xd8, 0xe6, 0xf4, 0xf4], // mov al, bl; out f4h, al; hlt
      ];
      expect(main.length).toBeLessThan(0x100);
      const code = [...main, ...new Array(0x100 - main.length).fill(0x90), ...handler];
      await using vm = await boot(code, { clock });
      vm.start();
      expect(await vm.exited).toEqual({ kind: "guest-exit", code: 7 });
      expect(vm.statistics().exits.ferr).toBe(3);
      expect(vm.statistics().guestSeconds).toBeLessThan(0.5);
    },
  );
});
