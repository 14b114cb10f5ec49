import { afterEach, describe, expect, it } from "vitest";
import { runDebugCommand } from "../../src/debug/commands.ts";
import { Debugger } from "../../src/debug/debugger.ts";
import { REGISTERS } from "../../src/debug/registers.ts";
import type { Vm } from "../../src/index.ts";
import { CODE, codeVm } from "./guest.ts";

let vm: Vm | undefined;
afterEach(async () => {
  await vm?.[Symbol.asyncDispose]();
  vm = undefined;
});

async function debuggerFor(...code: number[]): Promise<Debugger> {
  vm = await codeVm(code);
  return new Debugger(vm);
}

/** mov eax, 1; mov ebx, 2; add eax, ebx; jmp back to the add */
const LOOP = [0xb8, 1, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0x01, 0xd8, 0xeb, 0xfc];
const ADD = CODE + 10;

describe("Debugger", () => {
  it("steps one instruction at a time, and several", async () => {
    const debug = await debuggerFor(...LOOP);
    expect(debug.pc).toBe(CODE);
    expect(await debug.step()).toEqual({ kind: "stopped", stop: { reason: "step", address: CODE + 5 } });
    expect(debug.get("eax")).toBe(1n);
    await debug.step(2);
    expect(debug.get("eax")).toBe(3n);
    expect(debug.pc).toBe(CODE + 12);
    await debug.step(20);
    expect(debug.get("eax")).toBe(23n);
  });

  it("writes and reads every register back, all bits of it", async () => {
    const debug = await debuggerFor(...LOOP);
    // What has reserved bits, or derives state from what is written, takes its own value again.
    const own = /^(eflags|cr\d|dr[67]|.*\.attr|eip|efer|apic_base|pat|misc_enable|debugctl|fcw|fsw|mxcsr|ftw)$/;
    for (const register of REGISTERS) {
      const value = own.test(register.name)
        ? debug.get(register.name)
        : BigInt.asUintN(register.bits, 0x123456789abcdef0_0fedcba987654321n);
      debug.set(register.name, value);
      expect([register.name, debug.get(register.name)]).toEqual([register.name, value]);
    }
  });

  it("knows the parts of a register", async () => {
    const debug = await debuggerFor(...LOOP);
    debug.set("eax", 0x12345678);
    expect([debug.get("ax"), debug.get("ah"), debug.get("al")]).toEqual([0x5678n, 0x56n, 0x78n]);
    debug.set("ah", 0xff);
    debug.set("al", 0);
    expect(debug.get("EAX")).toBe(0x1234ff00n);
    expect(() => debug.get("rax")).toThrow(/no register "rax"/);
  });

  it("sets all arithmetic flags so that the guest sees them", async () => {
    // pushfd; pop eax
    const debug = await debuggerFor(0x9c, 0x58);
    for (const flags of [0x8d5, 0, 0x41, 0x880, 0x14]) {
      debug.set("eip", CODE);
      debug.set("esp", CODE + 0x1000);
      debug.set("eflags", flags);
      await debug.step(2);
      expect(debug.get("eax")).toBe(BigInt(flags | 2));
    }
  });

  it("stops at breakpoints, and goes on from one", async () => {
    const debug = await debuggerFor(...LOOP);
    debug.addBreakpoint(ADD);
    for (const eax of [1n, 3n, 5n]) {
      expect(await debug.continue()).toMatchObject({ kind: "stopped", stop: { reason: "breakpoint", address: ADD } });
      expect([debug.pc, debug.get("eax")]).toEqual([ADD, eax]);
    }
    expect(debug.removeBreakpoint(ADD)).toBe(true);
    expect(debug.removeBreakpoint(ADD)).toBe(false);
  });

  it("stops at a breakpoint on an instruction that jumps to itself", async () => {
    const debug = await debuggerFor(0x90, 0xeb, 0xfe);
    debug.addBreakpoint(CODE + 1);
    await debug.continue();
    expect(await debug.continue()).toMatchObject({
      kind: "stopped",
      stop: { reason: "breakpoint", address: CODE + 1 },
    });
  });

  it("refuses a breakpoint too many", async () => {
    const debug = await debuggerFor(...LOOP);
    for (let i = 0; i < 32; i++) debug.addBreakpoint(i);
    debug.addBreakpoint(5);
    expect(() => debug.addBreakpoint(32)).toThrow(/32 breakpoints already/);
  });

  it("stops after an access to a watched port", async () => {
    // mov al, 0x5a; out 0x80, al; in al, 0x71; jmp $
    const debug = await debuggerFor(0xb0, 0x5a, 0xe6, 0x80, 0xe4, 0x71, 0xeb, 0xfe);
    debug.watch("ports", 0x80);
    debug.watch("ports", 0x71);
    expect(await debug.continue()).toMatchObject({ kind: "stopped", stop: { reason: "port", number: 0x80 } });
    expect(await debug.continue()).toMatchObject({ kind: "stopped", stop: { reason: "port", number: 0x71 } });
    expect(debug.unwatch("ports", 0x80)).toBe(true);
    expect(() => debug.watch("ports", 0x10000)).toThrow();
  });

  it("stops at a watched MSR", async () => {
    // mov ecx, 0x174; xor eax, eax; xor edx, edx; wrmsr; jmp $
    const debug = await debuggerFor(0xb9, 0x74, 1, 0, 0, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30, 0xeb, 0xfe);
    debug.watch("msrs", 0x174);
    expect(await debug.continue()).toMatchObject({ kind: "stopped", stop: { reason: "msr", number: 0x174 } });
  });

  it("stops at a watched exception before the guest handles it", async () => {
    const debug = await debuggerFor(0x90, 0x0f, 0x0b);
    debug.watch("exceptions", 6);
    expect(await debug.continue()).toMatchObject({ kind: "stopped", stop: { reason: "exception", number: 6 } });
    expect(debug.pc).toBe(CODE + 1);
  });

  it("interrupts a guest that runs for ever", async () => {
    const debug = await debuggerFor(...LOOP);
    const running = debug.continue();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(() => debug.get("eax")).toThrow(/running; interrupt it first/);
    await debug.interrupt();
    expect((await running).kind).toBe("interrupted");
    expect(debug.get("eax")).toBeGreaterThan(100n);
    await debug.step();
  });

  it("says how the machine ended, in a step and in a run", async () => {
    // mov al, 3; out 0xf4, al
    for (const move of ["step", "continue"] as const) {
      const debug = await debuggerFor(0xb0, 3, 0xe6, 0xf4, 0xeb, 0xfe);
      const stop = move === "step" ? await debug.step(10) : await debug.continue();
      expect(stop).toEqual({ kind: "ended", status: { kind: "guest-exit", code: 7 } });
      expect(debug.ended).toEqual({ kind: "guest-exit", code: 7 });
    }
  });

  it("reads and writes memory by physical and by linear address", async () => {
    const debug = await debuggerFor(...LOOP);
    debug.writePhysical(0x200ffe, Uint8Array.of(1, 2, 3, 4));
    expect(debug.readPhysical(0x200ffe, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    // Page tables: directory at 0x300000, table at 0x301000; 4 MiB linear + 0x1000 is physical 0x200000, the next page is absent.
    const entry = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
    debug.writePhysical(0x300000, entry(0x302003));
    debug.writePhysical(0x300004, entry(0x301003));
    for (let i = 0; i < 1024; i++) debug.writePhysical(0x302000 + i * 4, entry((i << 12) | 3));
    debug.writePhysical(0x301004, entry(0x200003));
    debug.set("cr3", 0x300000);
    debug.set("cr0", 0x80000011);
    expect(debug.translate(0x401ffe)).toBe(0x200ffe);
    expect(debug.translate(0x402000)).toBeUndefined();
    expect(debug.readLinear(0x401ffe, 4)).toEqual(Uint8Array.of(1, 2));
    expect(debug.writeLinear(0x401ffe, Uint8Array.of(8, 9, 10))).toBe(2);
    expect(debug.readPhysical(0x200ffe, 4)).toEqual(Uint8Array.of(8, 9, 3, 4));
  });

  it("sees code that it writes: the guest executes the new bytes", async () => {
    const debug = await debuggerFor(...LOOP);
    await debug.step(6);
    // add eax, ebx becomes sub eax, ebx
    debug.writePhysical(ADD, Uint8Array.of(0x29));
    debug.set("eip", ADD);
    debug.set("eax", 10);
    await debug.step();
    expect(debug.get("eax")).toBe(8n);
  });

  it("sets the whole state and runs one instruction, the same way each time", async () => {
    const debug = await debuggerFor(0x90);
    for (let i = 0; i < 3; i++) {
      // adc eax, [esi+ecx*4]
      await debug.runOne({ eax: 0xffffffff, esi: 0x200000, ecx: 2, eflags: 0x203, eip: 0x1f0000 }, [
        [0x1f0000, Uint8Array.of(0x13, 0x04, 0x8e)],
        [0x200008, Uint8Array.of(5, 0, 0, 0)],
      ]);
      expect([debug.get("eax"), debug.get("eip"), debug.get("eflags")]).toEqual([5n, 0x1f0003n, 0x217n]);
    }
  });
});

describe("debugger commands", () => {
  async function say(debug: Debugger, line: string): Promise<string> {
    return (await runDebugCommand(debug, line)).output;
  }

  it("show and change registers and memory", async () => {
    const debug = await debuggerFor(...LOOP);
    expect(await say(debug, "regs")).toMatch(
      /^eip 00100000 .*\n(.*\n)*CPL 0, protected, 32 bits, no paging\n.*mov eax, 0x1$/m,
    );
    expect(await say(debug, "set ebx esp+0x10-16")).toBe(`ebx = 0x${debug.get("esp").toString(16)}`);
    expect(await say(debug, "x eip 3")).toMatch(/^00100000 {2}b8 01 00 {41}\.\.\.$/);
    expect(await say(debug, "write 0x200000 1 0xff")).toBe("wrote 2 bytes");
    expect(await say(debug, "xp 0x200000 2")).toMatch(/^00200000 {2}01 ff /);
    expect(await say(debug, "u eip 3")).toBe(
      "> 00100000  b8 01 00 00 00           mov eax, 0x1\n  00100005  bb 02 00 00 00           mov ebx, 0x2\n  0010000a  01 d8                    add eax, ebx",
    );
    expect(await say(debug, "translate 0x1234")).toBe("00001234");
    expect(await say(debug, "print eip+1")).toBe("0x100001 = 1048577");
  });

  it("move the guest", async () => {
    // call +5 (to the ret); jmp $; nop x3; ret
    const debug = await debuggerFor(0xe8, 5, 0, 0, 0, 0xeb, 0xfe, 0x90, 0x90, 0x90, 0xc3);
    debug.set("esp", CODE + 0x1000);
    expect(await say(debug, "next")).toMatch(/^\w{4}:00100005 {2}jmp 0x100005$/);
    expect(debug.breakpoints).toEqual([]);
    debug.set("eip", CODE);
    expect(await say(debug, "s")).toMatch(/:0010000a {2}ret$/);
    expect(await say(debug, "until 0x100005")).toMatch(/:00100005 /);
  });

  it("list what they set, and remove it", async () => {
    const debug = await debuggerFor(...LOOP);
    await say(debug, "b 0x10000a");
    await say(debug, "watch io 0x3f8");
    await say(debug, "watch exception 14");
    expect(await say(debug, "watch write 0x1ffffe+2 0x10")).toBe("watching write 0x200000 16");
    await say(debug, "watch access esp");
    expect(await say(debug, "b")).toBe(
      "break 0010000a\nwatch io 0x3f8\nwatch exception 0xe\nwatch write 0x200000 16\nwatch access 0x0 4",
    );
    expect(await say(debug, "delete access esp")).toBe("removed");
    expect(await say(debug, "delete write 0x200000")).toBe("there is none");
    expect(await say(debug, "d io 0x3f8")).toBe("removed");
    expect(await say(debug, "d 0x10000a")).toBe("removed");
    expect(await say(debug, "d 0x10000a")).toBe("there is none");
    await say(debug, "d");
    expect(await say(debug, "b")).toBe("no breakpoints");
  });

  it("describe the machine's parts", async () => {
    const debug = await debuggerFor(...LOOP);
    await debug.step(3);
    expect(await say(debug, "info lapic")).toMatch(/^id 00 {2}version/);
    expect(await say(debug, "info ioapic")).toMatch(/pin 23/);
    expect(await say(debug, "info pic")).toMatch(/^master .*\nslave/);
    expect(await say(debug, "info pit")).toMatch(/counter 2/);
    expect(await say(debug, "info tlb")).toMatch(/00100000 -> 00100000 r.x/);
  });

  it.each([
    ["nonsense", /no command "nonsense"/],
    ["set", /set needs a register and a value/],
    ["set foo 1", /no register "foo"/],
    ["set eax bar", /no register "bar"/],
    ["x", /an address is needed/],
    ["x eip 0", /count from 1 to 4096/],
    ["step 0", /count from 1/],
    ["watch tape 1", /watch knows io, msr, exception, read, write and access/],
    ["watch exception 99", /none of the exceptions/],
    ["write 0x100 999", /not a byte/],
    ["info weather", /info knows pic/],
    ["print 1**2", /no register/],
    ["", /^$/],
  ])("answer %j with a sentence", async (line, answer) => {
    const debug = await debuggerFor(...LOOP);
    expect(await say(debug, line)).toMatch(answer);
  });
});
