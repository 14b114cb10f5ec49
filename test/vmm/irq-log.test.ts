// --trace irq: what the controllers in the core do, step by step, and that nobody but the trace notices.
import { describe, expect, it } from "vitest";
import { type TraceEvent, Vm, type VmConfig } from "../../src/index.ts";

const le32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** mov al, value; out port, al */
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
/** mov dx, port; mov al, value; out dx, al (32-bit code) */
const outDx = (port: number, value: number): number[] => [0x66, 0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
/** mov dword [address], value (32-bit code) */
const store = (address: number, value: number): number[] => [0xc7, 0x05, ...le32(address), ...le32(value)];

async function traced(boot: VmConfig["boot"], config: Partial<VmConfig> = {}) {
  const vm = await Vm.create({
    memoryBytes: 2 << 20,
    clock: "virtual",
    timeoutMs: 20_000,
    trace: ["irq"],
    ...config,
    boot,
  });
  const seen: TraceEvent[] = [];
  vm.on("trace", (event) => seen.push(event));
  vm.start();
  const status = await vm.exited;
  const { instructions } = vm.statistics();
  await vm.stop();
  const short = seen.flatMap((event): object[] => {
    if (event.kind !== "irq") return [event];
    // The 8254's output rises when the machine is switched on.
    if (event.event === "line" && event.gsi === 0) return [];
    const { kind: _, ...rest } = event;
    return [rest];
  });
  return { status, instructions, seen: short };
}

/** Real mode: COM1 interrupts when its transmitter is empty; the handler at 7C80h acknowledges and ends. */
function serialGuest(): VmConfig["boot"] {
  const LOAD = 0x7c00;
  const realOut = (port: number, value: number): number[] => [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
  const word = (at: number, value: number): number[] => [0xc7, 0x06, at & 0xff, at >> 8, value & 0xff, value >> 8];
  const code = [
    ...word(0x64 * 4, LOAD + 0x80),
    ...word(0x64 * 4 + 2, 0),
    ...[out(0x20, 0x11), out(0x21, 0x60), out(0x21, 0x04), out(0x21, 0x01), out(0x21, 0xef)].flat(),
    ...realOut(0x3fc, 0x08), // OUT2: the UART's interrupt reaches the line
    ...realOut(0x3f9, 0x02),
    ...[0xfb, 0x90, 0xfa], // sti; nop; cli
    ...out(0xf4, 1),
    0xf4,
  ];
  const image = new Uint8Array(0x100);
  image.set(code);
  // in al, dx of IIR: the line falls; then EOI
  image.set([0xba, 0xfa, 0x03, 0xec, ...out(0x20, 0x20), 0xcf], 0x80);
  return { kind: "flat", image, address: LOAD, mode: "real" };
}

describe("the interrupt trace", () => {
  it("tells of a line, the 8259 that passes it on, and its end", async () => {
    const { status, seen } = await traced(serialGuest());
    expect(status).toMatchObject({ kind: "guest-exit" });
    const taken = seen.find((event) => "eip" in event) as { eip: number };
    expect(seen).toEqual([
      { event: "line", gsi: 4, level: true },
      { event: "take", vector: 0x64, source: "8259", line: 4, eip: taken.eip },
      { event: "line", gsi: 4, level: false },
      { event: "end", source: "8259", line: 4 },
    ]);
    expect(taken.eip).toBeGreaterThan(0x7c00);
  });

  it("tells of messages to the local APIC by their sender: I/O APIC, IPI, timer", async () => {
    const BASE = 0x100000;
    const HANDLER = BASE + 0x800;
    const IDT = BASE + 0x1000;
    const IDTR = BASE + 0x900;
    const APIC = 0xfee00000;
    const IOAPIC = 0xfec00000;
    const code = [
      ...[0xbc, ...le32(0x80000)], // mov esp
      ...[0x0f, 0x01, 0x1d, ...le32(IDTR)], // lidt
      ...[...out(0x21, 0xff), ...out(0xa1, 0xff)],
      ...store(APIC + 0xf0, 0x1ff),
      ...store(IOAPIC, 0x10 + 4 * 2),
      ...store(IOAPIC + 0x10, 0x51), // pin 4: vector 51h, edge
      ...outDx(0x3fc, 0x08),
      ...outDx(0x3f9, 0x02),
      ...[0xfb, 0x90, 0xfa],
      ...store(APIC + 0x300, 0x40052), // self-IPI
      ...[0xfb, 0x90, 0xfa],
      ...store(APIC + 0x320, 0x53), // timer, one-shot
      ...store(APIC + 0x380, 1000),
      ...[0xfb, 0xf4, 0xfa], // sti; hlt; cli
      ...out(0xf4, 2),
      0xf4,
    ];
    const image = new Uint8Array(0x2000);
    const view = new DataView(image.buffer);
    image.set(code);
    image.set([...store(APIC + 0xb0, 0), 0xcf], 0x800);
    view.setUint16(0x900, 0x7ff, true);
    view.setUint32(0x902, IDT, true);
    for (const vector of [0x51, 0x52, 0x53]) {
      view.setUint16(0x1000 + vector * 8, HANDLER & 0xffff, true);
      view.setUint16(0x1002 + vector * 8, 0x08, true);
      view.setUint16(0x1004 + vector * 8, 0x8e00, true);
      view.setUint16(0x1006 + vector * 8, HANDLER >>> 16, true);
    }
    const { status, seen } = await traced({ kind: "flat", image, address: BASE, mode: "protected" });
    expect(status).toEqual({ kind: "guest-exit", code: 5 });
    const way = (vector: number, origin: object): object[] => [
      { event: "send", vector, mode: "fixed", ...origin },
      expect.objectContaining({ event: "take", vector, ...origin }),
      { event: "end", source: "apic", vector },
    ];
    expect(seen).toEqual([
      { event: "line", gsi: 4, level: true },
      ...way(0x51, { source: "gsi", line: 4 }),
      ...way(0x52, { source: "ipi" }),
      ...way(0x53, { source: "timer" }),
    ]);
  });

  it("empties its log in time, however many interrupts a slice has", async () => {
    // self-IPIs to a masked APIC, 100,000 of them: mov ecx, n; L: mov dword [ICR], 40052h; loop L
    const send = store(0xfee00300, 0x40052);
    const code = [0xb9, ...le32(100_000), ...send, 0xe2, 0x100 - send.length - 2, ...out(0xf4, 3), 0xf4];
    const boot = { kind: "flat", image: Uint8Array.from(code), address: 0x100000, mode: "protected" } as const;
    const { status, seen, instructions } = await traced(boot);
    expect(status).toEqual({ kind: "guest-exit", code: 7 });
    expect(seen).toHaveLength(100_000);
    expect(seen.filter((event) => "count" in event)).toEqual([]);
    // The guest does not notice.
    expect((await traced(boot, { trace: [] })).instructions).toBe(instructions);
  });

  it("is silent unless asked for", async () => {
    expect((await traced(serialGuest(), { trace: ["exception"] })).seen).toEqual([]);
  });
});
