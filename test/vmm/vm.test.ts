// The VM with the real core: life cycle, exits, consoles, debugger, clocks. Guests are a few bytes of real-mode code.
import { afterEach, describe, expect, it } from "vitest";
import { MemoryBackend, Vm, type VmConfig, VmError } from "../../src/index.ts";

const LOAD = 0x7c00;
const open: Vm[] = [];
afterEach(async () => {
  for (const vm of open.splice(0)) await vm.stop();
});

async function make(code: readonly number[], config: Partial<VmConfig> = {}): Promise<Vm> {
  const boot = { kind: "flat", image: Uint8Array.from(code), address: LOAD, mode: "real" } as const;
  const vm = await Vm.create({ memoryBytes: 1 << 20, clock: "virtual", boot, timeoutMs: 20_000, ...config });
  open.push(vm);
  return vm;
}

const exitWith = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, 0xf4]; // mov al, value; out 0xf4, al; hlt
const spin = [0xeb, 0xfe]; // jmp $
const hang = [0xfa, 0xf4, 0xeb, 0xfc]; // cli; hlt; jmp
/** mov dx, port; mov al, value; out dx, al */
const out = (port: number, value: number): number[] => [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];

describe("how a VM ends", () => {
  it("by the debug exit port, with QEMU's code", async () => {
    const vm = await make(exitWith(0x10));
    expect(vm.state).toBe("created");
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 0x21 });
    expect(vm.state).toBe("stopped");
  });

  it("by ACPI power-off at the address that firmware for QEMU uses", async () => {
    const vm = await make([0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, ...hang]);
    vm.start();
    expect(await vm.exited).toEqual({ kind: "power-off" });
  });

  it("by a triple fault, saying where", async () => {
    // lidt of an empty table, then int 3
    const vm = await make([0x0f, 0x01, 0x1e, 0x08, 0x7c, 0xcc, 0xf4, 0xf4, 0, 0, 0, 0, 0, 0]);
    vm.start();
    expect(await vm.exited).toMatchObject({ kind: "triple-fault", eip: LOAD + 5 });
  });

  it.each([
    ["keyboard-controller", out(0x64, 0xfe)],
    ["port-92", out(0x92, 0x03)],
    ["port-cf9", [...out(0xcf9, 0x02), ...out(0xcf9, 0x06)]],
  ])("by a reset through the %s when configured so", async (cause, code) => {
    const vm = await make([...code, ...hang], { onReset: "exit" });
    vm.start();
    expect(await vm.exited).toEqual({ kind: "reset", cause });
  });

  it("by a timeout", async () => {
    const vm = await make(spin, { timeoutMs: 50 });
    vm.start();
    expect(await vm.exited).toEqual({ kind: "timeout" });
  });

  it("by a timeout while paused", async () => {
    const vm = await make(spin, { timeoutMs: 100 });
    vm.start();
    await vm.pause();
    expect(await vm.exited).toEqual({ kind: "timeout" });
  });

  it("by an NMI whose handler says so, even in HLT with interrupts off", async () => {
    // vector 2 = 0:7c10; cli; hlt
    const code = [0xc7, 0x06, 0x08, 0x00, 0x10, 0x7c, 0xc7, 0x06, 0x0a, 0x00, 0x00, 0x00, 0xfa, 0xf4, 0xf4, 0xf4];
    const vm = await make([...code, ...exitWith(3)], { clock: "real" });
    vm.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    vm.sendNmi();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 7 });
  });

  it("by stop, by an AbortSignal, by disposal", async () => {
    const stopped = await make(spin);
    stopped.start();
    expect(await stopped.stop("enough")).toEqual({ kind: "killed", reason: "enough" });
    const controller = new AbortController();
    const aborted = await make(spin, { signal: controller.signal });
    aborted.start();
    setTimeout(() => controller.abort("abort"), 10);
    expect(await aborted.exited).toEqual({ kind: "killed", reason: "abort" });
    let disposed: Vm;
    {
      await using vm = await make(hang, { clock: "real" });
      vm.start();
      disposed = vm;
    }
    expect(disposed.state).toBe("stopped");
  });

  it("by executing where there is no memory, as a crash that names the address", async () => {
    const vm = await make([0xea, 0x00, 0x00, 0x00, 0xb0]); // jmp 0xb000:0
    vm.start();
    const status = await vm.exited;
    expect(status.kind).toBe("crashed");
    expect(status.kind === "crashed" && status.error.code).toBe("guest-crash");
    expect(status.kind === "crashed" && status.error.message).toMatch(/0xb0000/);
    expect(vm.state).toBe("crashed");
  });
});

describe("configuration", () => {
  it("refuses ports that another device has, before anything starts", async () => {
    await expect(make(hang, { debugExitPort: 0x60 })).rejects.toThrow(/debugExitPort 0x60 is a port of another device/);
    await expect(make(hang, { postPort: 0x3f8 })).rejects.toThrow(/postPort 0x3f8/);
    await expect(make(hang, { cpu: "z80" })).rejects.toThrow(VmError);
  });
});

describe("life cycle", () => {
  it("refuses what does not fit the state, naming both", async () => {
    const vm = await make(spin);
    await expect(vm.pause()).rejects.toThrow(/Cannot pause a VM that is created/);
    expect(() => vm.resume()).toThrow(/must be paused/);
    vm.start();
    expect(() => vm.start()).toThrow(VmError);
    await vm.stop();
    expect(() => vm.start()).toThrow(/stopped/);
    await expect(vm.reset()).rejects.toThrow(/Cannot reset/);
  });

  it("pauses between instructions, stands still, and goes on", async () => {
    const vm = await make([0x66, 0x40, 0xeb, 0xfc]); // inc eax; jmp
    const states: string[] = [];
    vm.on("state", ({ state }) => states.push(state));
    vm.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await vm.pause();
    const eax = vm.vcpu().get("eax");
    const { instructions } = vm.statistics();
    expect(eax).toBeGreaterThan(1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(vm.statistics().instructions).toBe(instructions);
    vm.resume();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await vm.pause();
    expect(vm.vcpu().get("eax")).toBeGreaterThan(eax);
    expect(states).toEqual(["running", "paused", "running", "paused"]);
  });

  it("hides a pause from a real clock", async () => {
    const vm = await make(spin, { clock: "real" });
    vm.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await vm.pause();
    const before = vm.statistics().guestSeconds;
    await new Promise((resolve) => setTimeout(resolve, 200));
    vm.resume();
    await vm.pause();
    expect(vm.statistics().guestSeconds - before).toBeLessThan(0.1);
    expect(before).toBeGreaterThan(0.01);
  });

  it("resets to the same start, keeping RAM, and reports it", async () => {
    // Counts its starts in memory at 0x500 and asks for a reset until there were three.
    // biome-ignore format: machine code, a line a step
    const code = [0xfe, 0x06, 0x00, 0x05, 0x80, 0x3e, 0x00, 0x05, 0x03, 0x74, 0x06, ...out(0x64, 0xfe), 0xa0, 0x00, 0x05, 0xe6, 0xf4, 0xf4];
    const vm = await make(code);
    const causes: string[] = [];
    vm.on("reset", ({ cause }) => causes.push(cause));
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 7 });
    expect(causes).toEqual(["keyboard-controller", "keyboard-controller"]);
    expect(vm.statistics().resets).toBe(2);
  });

  it("runs several VMs in one process, each with its own state", async () => {
    const vms = await Promise.all([1, 2, 3].map((value) => make(exitWith(value))));
    for (const vm of vms) vm.start();
    const codes = await Promise.all(vms.map(async (vm) => await vm.exited));
    expect(codes.map((status) => status.kind === "guest-exit" && status.code)).toEqual([3, 5, 7]);
  });

  it("boots a firmware image at the reset vector, with its end also below 1 MiB", async () => {
    const image = new Uint8Array(65536).fill(0x90);
    // At the reset vector: jmp f000:0 (so below 1 MiB); there: write to itself (shadow RAM), exit with what was written.
    image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
    image.set([0x2e, 0xc6, 0x06, 0x00, 0x01, 0x2a, 0x2e, 0xa0, 0x00, 0x01, 0xe6, 0xf4, 0xf4], 0);
    const vm = await make([], { boot: { kind: "firmware", image } });
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 0x55 });
  });
});

describe("consoles", () => {
  // Echo: wait for LSR.DR, read, write back, exit when it was a newline.
  // biome-ignore format: machine code, a line a step
  const echo = [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0xee, 0x3c, 0x0a, 0x75, 0xef, ...exitWith(0)];

  it("carry bytes both ways as events and Web Streams, and end with the VM", async () => {
    const vm = await make(echo, { clock: "real" });
    const heard: number[] = [];
    vm.on("serial", ({ port, bytes }) => {
      expect(port).toBe(0);
      heard.push(...bytes);
    });
    vm.start();
    const writer = vm.serial(0).writable.getWriter();
    await writer.write(new TextEncoder().encode("Hello, "));
    vm.serial(0).write("stream\n");
    let text = "";
    for await (const chunk of vm.serial(0).readable) text += new TextDecoder().decode(chunk);
    expect(text).toBe("Hello, stream\n");
    expect(new TextDecoder().decode(Uint8Array.from(heard))).toBe(text);
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 1 });
  });

  it("connect to backends", async () => {
    const vm = await make(echo);
    const backend = new MemoryBackend();
    using attached = vm.attachSerial(0, backend);
    expect(attached).toBeDefined();
    vm.start();
    backend.send(new TextEncoder().encode("to and fro\n"));
    await vm.exited;
    expect(backend.text()).toBe("to and fro\n");
  });

  it("say which port does not exist", async () => {
    const vm = await make(hang, { serialPorts: 2 });
    expect(() => vm.serial(2)).toThrow(/2 serial ports/);
  });
});

describe("clocks", () => {
  // Programs the PIT's channel 0 for 100 Hz, enables IRQ 0 and counts ten ticks in HLT; exits with BL.
  // biome-ignore format: machine code, a line a step
  const ticking = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xc7, 0x06, 0x20, 0x00, 0x38, 0x7c, 0xc7, 0x06, 0x22, 0x00, 0x00, 0x00, // vector 8 = 0:7c38
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21, // 8259
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x9c, 0xe6, 0x40, 0xb0, 0x2e, 0xe6, 0x40, // 11932
    0x31, 0xdb, 0xfb, 0xf4, 0xeb, 0xfd, 0x90, // xor bx, bx; sti; hlt; jmp hlt
    0xfe, 0xc3, 0xb0, 0x20, 0xe6, 0x20, 0x80, 0xfb, 0x0a, 0x74, 0x01, 0xcf, 0x88, 0xd8, 0xe6, 0xf4, 0xf4,
  ];

  it("skip idle time when virtual", async () => {
    const vm = await make(ticking);
    const start = performance.now();
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 21 });
    const statistics = vm.statistics();
    expect(statistics.guestSeconds).toBeGreaterThan(0.099);
    expect(statistics.guestSeconds).toBeLessThan(0.101);
    expect(performance.now() - start).toBeLessThan(90);
    expect(statistics.exits.hlt).toBe(10);
  });

  it("sleep through idle time when real", async () => {
    const vm = await make(ticking, { clock: "real" });
    const start = performance.now();
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 21 });
    expect(performance.now() - start).toBeGreaterThan(98);
    expect(vm.statistics().idleSeconds).toBeGreaterThan(0.05);
  });

  it("make two runs equal when virtual: instructions, time and state hash", async () => {
    const runs = await Promise.all(
      [0, 1].map(async () => {
        const vm = await make(ticking);
        vm.start();
        await vm.exited;
        const { instructions, guestSeconds, exits } = vm.statistics();
        return { instructions, guestSeconds, exits, hash: await vm.stateHash() };
      }),
    );
    expect(runs[0]).toEqual(runs[1]);
    const other = await make(exitWith(1));
    expect(await other.stateHash()).not.toBe(runs[0]?.hash);
  });
});

describe("debugger", () => {
  const counting = [0xb9, 0x00, 0x00, 0x41, 0x41, 0xe6, 0x99, 0xeb, 0xfa]; // mov cx, 0; l: inc cx; inc cx; out 99h, al; jmp l

  it("steps and shows registers", async () => {
    const vm = await make(counting);
    expect(await vm.step()).toEqual({ reason: "step", address: LOAD + 3 });
    expect(vm.state).toBe("paused");
    await vm.step(3);
    expect(vm.vcpu().get("ecx") & 0xffff).toBe(2);
    expect(vm.vcpu().retired).toBe(4);
    expect(vm.vcpu().pc).toBe(LOAD + 7);
  });

  it("stops at a breakpoint each time round", async () => {
    const vm = await make(counting);
    vm.setBreakpoints([LOAD + 4]);
    for (const cx of [1, 3, 5]) {
      const stop = new Promise((resolve) => vm.on("debug-stop", resolve));
      if (vm.state === "created") vm.start();
      else vm.resume();
      expect(await stop).toEqual({ reason: "breakpoint", address: LOAD + 4 });
      expect(vm.vcpu().get("ecx") & 0xffff).toBe(cx);
    }
  });

  it("stops after a port access and before an exception", async () => {
    const vm = await make([0xe6, 0x99, 0x0f, 0x0b, 0xf4]); // out 99h, al; ud2
    vm.breakOn({ ports: [0x99], exceptions: [6] });
    const next = (): Promise<unknown> => new Promise((resolve) => vm.on("debug-stop", resolve));
    let stop = next();
    vm.start();
    expect(await stop).toEqual({ reason: "port", address: LOAD + 2, number: 0x99 });
    stop = next();
    vm.resume();
    expect(await stop).toEqual({ reason: "exception", address: LOAD + 2, number: 6 });
  });

  it("sets registers, flags and segments, and the guest runs with them", async () => {
    const vm = await make([0x72, 0x05, ...exitWith(1), ...exitWith(2)]); // jc +5
    vm.vcpu().eflags = 0x8d7;
    expect(vm.vcpu().eflags).toBe(0x8d7);
    for (let bits = 0; bits < 64; bits++) {
      const flags =
        2 |
        (bits & 1) |
        ((bits & 2) << 1) |
        ((bits & 4) << 2) |
        ((bits & 8) << 3) |
        ((bits & 16) << 3) |
        ((bits & 32) << 6);
      vm.vcpu().eflags = flags;
      expect(vm.vcpu().eflags).toBe(flags);
    }
    vm.vcpu().eflags = 3;
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 5 });
  });

  it("reads and writes memory by physical and linear address, and the guest sees new code", async () => {
    const vm = await make([...exitWith(1)]);
    const bytes = new Uint8Array(2);
    expect(vm.vcpu().readLinear(LOAD, bytes)).toBe(2);
    expect([...bytes]).toEqual([0xb0, 1]);
    await vm.step();
    vm.vcpu().eip = LOAD;
    vm.vcpu().writeLinear(LOAD + 1, Uint8Array.of(9));
    vm.resume();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 19 });
    const hole = new Uint8Array(3);
    vm.memory.read(0xa0000 - 1, hole);
    expect([...hole]).toEqual([0, 0xff, 0xff]);
    vm.memory.write(0xffffffff, hole);
  });

  it("traces what it is asked to", async () => {
    const vm = await make([0xe6, 0x99, 0xb9, 0x34, 0x12, 0x0f, 0x32, 0xf4], {
      trace: ["port", "msr"],
      cpu: "pentium3",
    });
    const seen: unknown[] = [];
    vm.on("trace", (event) => seen.push(event));
    await vm.step(3);
    expect(seen).toEqual([
      { kind: "port", write: true, port: 0x99, size: 1, value: 0, known: false },
      { kind: "msr", write: false, msr: 0x1234, value: 0n, known: false },
    ]);
    expect(vm.statistics().unknownPorts).toEqual({ "0x99": 1 });
    expect(vm.statistics().unknownMsrs).toEqual({ "0x1234": 1 });
  });
});
