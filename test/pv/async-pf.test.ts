// Asynchronous page faults: how the guest is told that a page comes later and that it has come, and when it is not told but
// waits (Linux Documentation/virt/kvm/x86/msr.rst).
import { beforeEach, describe, expect, it } from "vitest";
import * as C from "../../spec/chipset.ts";
import * as L from "../../spec/layout.ts";
import * as M from "../../spec/msrs.ts";
import * as P from "../../spec/paravirt.ts";
import { CODE, Machine } from "../cpu/machine.ts";
import { execute, GP, RAM_BYTES, rdmsr, wrmsr } from "./machine.ts";

const PF = 14;
const VECTOR = 0x30;
const AREA = 0xa040;
/** The page that comes later. */
const PAGE = 0xc000;
const ON = BigInt(P.KVM_MSR_ENABLED | P.ASYNC_PF_BY_INTERRUPT);
const LATER = 2;
const IF = 0x202;
/** mov eax, [PAGE] */
const LOAD = [0xa1, 0x00, 0xc0, 0x00, 0x00];

let m: Machine;
/** What the host answers to who could wait: a token, or 1. */
let answer: number;
/** Requests that could wait, and those that could not. */
let asked: { later: number; now: number };

const flagAt = (gpa: number): number => m.map.pageFlags + ((m.map.ramBase + gpa) >>> 12);
const setAbsent = (): void => m.view.setUint8(flagAt(PAGE), m.view.getUint8(flagAt(PAGE)) | L.PAGE_ABSENT);
const bring = (): void => m.view.setUint8(flagAt(PAGE), m.view.getUint8(flagAt(PAGE)) & ~L.PAGE_ABSENT);

function fillPage(_address: number, how: number): number {
  if (how === LATER) {
    asked.later++;
    if (answer >= LATER) return answer;
  } else asked.now++;
  m.w32(PAGE, 0x1234);
  bring();
  return 1;
}

/** At CPL 3, or 0; undefined when the load was executed, else the vector that came. */
function load(cpl: 0 | 3, eflags = IF): number | undefined {
  m.protect(cpl);
  m.setReg("eax", 0);
  m.eflags = eflags;
  m.setField(L.HALTED, 0);
  m.code([...LOAD, 0xf4]);
  m.sync();
  m.run();
  if (m.reg("eax") === 0x1234) return undefined;
  return (m.eip - 1 - 0x3000) / 16;
}

/** Goes on with interrupts on where the guest halted; the vector that comes. */
function interrupt(): number {
  m.code([0xf4]);
  m.setField(L.EIP, CODE);
  m.setField(L.HALTED, 0);
  m.eflags = IF;
  return m.runToHandler();
}

beforeEach(async () => {
  asked = { later: 0, now: 0 };
  answer = 7;
  m = await Machine.create("max,+kvm-asyncpf,+kvm-asyncpf-int", RAM_BYTES, {}, fillPage);
  m.protect(0);
  m.setField(L.LAPIC + C.APIC_SVR, 0x1ff);
  expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_INT, BigInt(VECTOR))).toBeUndefined();
  expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, BigInt(AREA) | ON)).toBeUndefined();
  setAbsent();
});

describe("an access from a program to a page that comes later", () => {
  it("is #PF with a token, then an interrupt with the same token", () => {
    expect(load(3)).toBe(PF);
    expect(m.field(L.CR2)).toBe(7);
    expect(m.r32(m.reg("esp"))).toBe(0);
    expect(m.r32(m.reg("esp") + 4)).toBe(CODE);
    expect(m.r32(AREA + P.ASYNC_PF_FLAGS)).toBe(P.ASYNC_PF_NOT_PRESENT);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(0);
    m.w32(AREA + P.ASYNC_PF_FLAGS, 0);
    m.w32(PAGE, 0x1234);
    bring();
    m.core.asyncPfReady(m.vcpu, 7);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(7);
    expect(interrupt()).toBe(VECTOR);
    expect(asked).toEqual({ later: 1, now: 0 });
    expect(load(3)).toBeUndefined();
  });

  it("is brought at once where the host has it quickly", () => {
    answer = 1;
    expect(load(3)).toBeUndefined();
    expect(m.r32(AREA + P.ASYNC_PF_FLAGS)).toBe(0);
  });

  it.each<[string, () => number | undefined]>([
    ["with interrupts off", () => load(3, 2)],
    ["below CPL 3", () => load(0)],
    [
      "below CPL 3 with SEND_ALWAYS",
      () => {
        wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, BigInt(AREA) | ON | 2n);
        return load(0);
      },
    ],
    [
      "while the last token was not looked at",
      () => {
        m.w32(AREA + P.ASYNC_PF_FLAGS, 1);
        return load(3);
      },
    ],
    [
      "without an interrupt to tell it by",
      () => {
        wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, BigInt(AREA | 1));
        return load(3);
      },
    ],
    [
      "when it is off",
      () => {
        wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, 0n);
        return load(3);
      },
    ],
  ])("is brought at once %s", (_when, access) => {
    expect(access()).toBeUndefined();
    expect(asked).toEqual({ later: 0, now: 1 });
  });

  it("waits for no more than 16 at a time", () => {
    for (let n = 0; n < C.ASYNC_PF_MAX; n++) {
      answer = 100 + n;
      expect(load(3)).toBe(PF);
      m.w32(AREA + P.ASYNC_PF_FLAGS, 0);
    }
    expect(load(3)).toBeUndefined();
    expect(asked).toEqual({ later: C.ASYNC_PF_MAX, now: 1 });
  });
});

describe("pages that have come", () => {
  const wait = (...tokens: number[]): void => {
    for (const token of tokens) {
      answer = token;
      setAbsent();
      expect(load(3)).toBe(PF);
      m.w32(AREA + P.ASYNC_PF_FLAGS, 0);
    }
  };

  it("are told one by one, each when the guest has taken the one before", () => {
    wait(11, 12, 13);
    for (const token of [12, 11, 13]) m.core.asyncPfReady(m.vcpu, token);
    const told: number[] = [];
    for (let n = 0; n < 3; n++) {
      told.push(m.r32(AREA + P.ASYNC_PF_TOKEN));
      m.w32(AREA + P.ASYNC_PF_TOKEN, 0);
      m.protect(0);
      expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_ACK, 1n)).toBeUndefined();
    }
    expect(told).toEqual([12, 11, 13]);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(0);
  });

  it("are not told to who does not wait", () => {
    m.core.asyncPfReady(m.vcpu, 5);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(0);
  });

  it("all are, after the machine was saved and loaded, by the token of all", () => {
    wait(11, 12);
    m.core.asyncPfRestored(m.vcpu);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(P.ASYNC_PF_ALL);
    expect(interrupt()).toBe(VECTOR);
    setAbsent();
    answer = 20;
    expect(load(3)).toBe(PF);
  });

  it("are forgotten when the guest switches the mechanism off", () => {
    wait(11);
    m.protect(0);
    wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, 0n);
    wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, BigInt(AREA) | ON);
    m.core.asyncPfReady(m.vcpu, 11);
    expect(m.r32(AREA + P.ASYNC_PF_TOKEN)).toBe(0);
  });
});

describe("the MSRs", () => {
  it("refuse reserved bits, what is not RAM, and what is no vector", () => {
    for (const bit of [4n, 16n, 32n]) expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, BigInt(AREA) | ON | bit)).toBe(GP);
    for (const at of [BigInt(RAM_BYTES), BigInt(RAM_BYTES) << 20n, 0xfee00000n, 0xffff_ffff_ffff_ffc0n])
      expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_EN, at | ON)).toBe(GP);
    expect(wrmsr(m, M.MSR_KVM_ASYNC_PF_INT, 0x100n)).toBe(GP);
    expect(rdmsr(m, M.MSR_KVM_ASYNC_PF_EN)).toBe(BigInt(AREA) | ON);
    expect(rdmsr(m, M.MSR_KVM_ASYNC_PF_INT)).toBe(BigInt(VECTOR));
    expect(rdmsr(m, M.MSR_KVM_ASYNC_PF_ACK)).toBe(0n);
  });

  it("do not exist where they were not offered", async () => {
    m = await Machine.create("max", RAM_BYTES, {}, fillPage);
    m.protect(0);
    for (const nr of [M.MSR_KVM_ASYNC_PF_EN, M.MSR_KVM_ASYNC_PF_INT, M.MSR_KVM_ASYNC_PF_ACK])
      expect(wrmsr(m, nr, 1n)).toBe("msr-exit");
  });

  it("are off after a reset", () => {
    m.core.resetVcpu(m.vcpu);
    m.protect(0);
    expect(rdmsr(m, M.MSR_KVM_ASYNC_PF_EN)).toBe(0n);
    expect(execute(m, [0x90])).toBeUndefined();
    expect(load(3)).toBeUndefined();
  });
});
