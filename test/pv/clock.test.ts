// kvm-clock as Linux's msr.rst describes it: the time page, the wall clock, and addresses that a guest should not give.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as L from "../../spec/layout.ts";
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_OLD, MSR_KVM_WALL_CLOCK, MSR_TSC } from "../../spec/msrs.ts";
import * as P from "../../spec/paravirt.ts";
import { CODE, type Machine } from "../cpu/machine.ts";
import { execute, pvMachine, RAM_BYTES, r64, ramBesideCode, rdmsr, wrmsr } from "./machine.ts";

const PAGE = 0x9000;
const version = (m: Machine, at = PAGE): number => m.r32(at + P.PVCLOCK_VERSION);
const flags = (m: Machine): number => m.r8(PAGE + P.PVCLOCK_FLAGS);

/** System time at `tsc` by the formula of msr.rst. */
function systemTime(m: Machine, tsc: bigint): bigint {
  const shift = m.view.getInt8(m.map.ramBase + PAGE + P.PVCLOCK_TSC_SHIFT);
  const delta = BigInt.asUintN(64, tsc - r64(m, PAGE + P.PVCLOCK_TSC_TIMESTAMP));
  const shifted = shift >= 0 ? delta << BigInt(shift) : delta >> BigInt(-shift);
  const mul = BigInt(m.r32(PAGE + P.PVCLOCK_TSC_TO_SYSTEM_MUL));
  return ((shifted * mul) >> 32n) + r64(m, PAGE + P.PVCLOCK_SYSTEM_TIME);
}

/** RDTSC now. */
function rdtsc(m: Machine): bigint {
  execute(m, [0x0f, 0x31]);
  return (BigInt(m.reg("edx")) << 32n) | BigInt(m.reg("eax"));
}

describe("the time page", () => {
  it("gives the VM's clock to the nanosecond, now and an hour later", async () => {
    const m = await pvMachine();
    expect(wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1))).toBeUndefined();
    expect(version(m)).toBeGreaterThan(0);
    expect(version(m) % 2).toBe(0);
    expect(flags(m)).toBe(P.PVCLOCK_TSC_STABLE);
    for (const laterNs of [0n, 1n, 3_600_000_000_000n]) {
      m.core.advanceClock(m.vcpu, laterNs);
      const tsc = rdtsc(m);
      // HLT came after RDTSC: one instruction, one nanosecond
      expect(m.core.clockNowNs(m.vcpu) - systemTime(m, tsc)).toBeLessThanOrEqual(2n);
      expect(systemTime(m, tsc)).toBeLessThan(m.core.clockNowNs(m.vcpu));
    }
  });

  it("scales any TSC frequency", async () => {
    const m = await pvMachine();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffffffff }), fc.bigInt({ min: 0n, max: 10_000_000_000n }), (khz, ns) => {
        m.view.setUint32(L.VM_BASE + L.VM_TSC_KHZ, khz, true);
        wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
        m.core.advanceClock(m.vcpu, ns);
        const before = m.core.clockNowNs(m.vcpu);
        const error = systemTime(m, rdtsc(m)) - before;
        // a tick of the TSC, and 31 bits of the multiplier
        const tick = 1_000_000n / BigInt(khz) + 1n;
        expect(error).toBeGreaterThanOrEqual(-tick - ns / 2_000_000_000n - 2n);
        expect(error).toBeLessThanOrEqual(tick + ns / 2_000_000_000n + 2n);
      }),
    );
  });

  it("goes on when the guest sets its TSC", async () => {
    const m = await pvMachine();
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    wrmsr(m, MSR_TSC, 0x123456789abcdefn);
    expect(m.core.clockNowNs(m.vcpu) - systemTime(m, rdtsc(m))).toBeLessThan(5n);
  });

  it("is not stable by the old MSR, and both read the same", async () => {
    const m = await pvMachine();
    wrmsr(m, MSR_KVM_SYSTEM_TIME_OLD, BigInt(PAGE | 1));
    expect(flags(m)).toBe(0);
    expect(rdmsr(m, MSR_KVM_SYSTEM_TIME)).toBe(BigInt(PAGE | 1));
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    expect(flags(m)).toBe(P.PVCLOCK_TSC_STABLE);
  });

  it("says once that the guest was stopped, until the guest clears it", async () => {
    const m = await pvMachine();
    expect(m.core.clockStopped(m.vcpu)).toBe(0);
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    const before = version(m);
    expect(m.core.clockStopped(m.vcpu)).toBe(1);
    expect(version(m)).toBe(before + 2);
    expect(flags(m)).toBe(P.PVCLOCK_TSC_STABLE | P.PVCLOCK_GUEST_STOPPED);
    wrmsr(m, MSR_TSC, 0n);
    expect(flags(m)).toBe(P.PVCLOCK_TSC_STABLE | P.PVCLOCK_GUEST_STOPPED);
    m.w8(PAGE + P.PVCLOCK_FLAGS, P.PVCLOCK_TSC_STABLE);
    wrmsr(m, MSR_TSC, 0n);
    expect(flags(m)).toBe(P.PVCLOCK_TSC_STABLE);
  });

  it("is left alone after the guest has taken it back", async () => {
    const m = await pvMachine();
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE));
    const before = version(m);
    wrmsr(m, MSR_TSC, 1n);
    expect(m.core.clockStopped(m.vcpu)).toBe(0);
    expect(version(m)).toBe(before);
  });

  it("ends with a version that is even, whatever was there", async () => {
    const m = await pvMachine();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (junk) => {
        m.w32(PAGE, junk);
        wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
        expect(version(m) % 2).toBe(0);
        expect(version(m)).not.toBe(junk);
      }),
    );
  });

  it("is gone after a reset", async () => {
    const m = await pvMachine();
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    m.core.resetVcpu(m.vcpu);
    expect(m.field(L.KVM_SYSTEM_TIME)).toBe(0);
    expect(m.core.clockStopped(m.vcpu)).toBe(0);
  });

  it("put over code makes the code what it says", async () => {
    const m = await pvMachine();
    // NOP, HLT have run; the version that replaces them begins with XCHG EAX, EDX.
    m.code([0x90, 0xf4], PAGE);
    m.setField(L.EIP, PAGE);
    m.sync();
    m.run();
    expect(m.eip).toBe(PAGE + 2);
    wrmsr(m, MSR_KVM_SYSTEM_TIME, BigInt(PAGE | 1));
    expect(m.r8(PAGE)).toBe(0x92);
    m.setField(L.EIP, PAGE);
    m.setField(L.HALTED, 0);
    m.setReg("eax", 1);
    m.setReg("edx", 2);
    m.run(1);
    expect([m.reg("eax"), m.reg("edx")]).toEqual([2, 1]);
  });
});

describe("the wall clock", () => {
  it("is the date at system time 0", async () => {
    const m = await pvMachine();
    m.view.setBigInt64(L.VM_BASE + L.VM_WALL_NS, 1_234_567_890_987_654_321n, true);
    expect(wrmsr(m, MSR_KVM_WALL_CLOCK, BigInt(PAGE))).toBeUndefined();
    expect([m.r32(PAGE), m.r32(PAGE + 4), m.r32(PAGE + 8)]).toEqual([2, 1_234_567_890, 987_654_321]);
  });
});

describe("addresses", () => {
  const msr = fc.constantFrom(MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_OLD, MSR_KVM_WALL_CLOCK);
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 0xffffffffn }),
    fc.bigInt({ min: BigInt(RAM_BYTES - 64), max: BigInt(RAM_BYTES + 64) }),
    fc.bigInt({ min: 0xfee00000n, max: 0xfee00100n }),
    fc.bigInt({ min: 0x10000n, max: 0x10fffn }),
  );

  it("outside RAM or not aligned are ignored; nothing beside the structure is touched", async () => {
    const m = await pvMachine();
    fc.assert(
      fc.property(msr, address, (nr, value) => {
        wrmsr(m, nr, 0n);
        new Uint8Array(m.memory.buffer).fill(0xa5, m.map.ramBase + 0xa000, m.map.ramBase + RAM_BYTES);
        const before = ramBesideCode(m);
        expect(wrmsr(m, nr, value)).toBeUndefined();
        const after = ramBesideCode(m);
        const wall = nr === MSR_KVM_WALL_CLOCK;
        const gpa = wall ? value : value & ~1n;
        const size = wall ? P.WALL_CLOCK_SIZE : P.PVCLOCK_SIZE;
        const written = (wall || (value & 1n) === 1n) && gpa % 4n === 0n && gpa + BigInt(size) <= BigInt(RAM_BYTES);
        const overCode = gpa < 0x10000n;
        if (overCode) return; // over the test's own tables; the machine below is made anew
        if (written) {
          expect(Buffer.compare(before, after)).not.toBe(0);
          before.fill(0, Number(gpa), Number(gpa) + size);
          after.fill(0, Number(gpa), Number(gpa) + size);
        }
        expect(Buffer.compare(before, after)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("across two pages are written whole", async () => {
    const m = await pvMachine();
    wrmsr(m, MSR_KVM_SYSTEM_TIME, 0x9ff1n);
    expect(m.r32(0x9ff0)).toBe(2);
    expect(m.r8(0x9ff0 + P.PVCLOCK_FLAGS)).toBe(P.PVCLOCK_TSC_STABLE);
    expect(CODE).toBe(0x8000);
  });
});
