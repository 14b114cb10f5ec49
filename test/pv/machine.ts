// A vCPU with KVM's interface on which a test executes WRMSR, RDMSR and hypercalls.
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, Machine } from "../cpu/machine.ts";

export const ALL_PV = "max,+kvmclock-old,+kvmclock-stable,+kvm-nopiodelay,+kvm-steal-time,+kvm-pv-eoi";
export const GP = 13;
export const RAM_BYTES = 1 << 20;

const imm32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

export async function pvMachine(cpu = ALL_PV): Promise<Machine> {
  return (await Machine.create(cpu)).protect(0);
}

/** Executes `bytes` and a HLT: undefined when that was reached, else the vector that came, or the exit. */
export function execute(m: Machine, bytes: readonly number[]): number | "msr-exit" | undefined {
  m.code([...bytes, 0xf4]);
  m.setField(L.EIP, CODE);
  m.setReg("esp", 0x7000);
  m.setField(L.HALTED, 0);
  m.sync();
  const reason = m.run();
  if (reason === Exit.MsrWrite || reason === Exit.MsrRead) {
    // the host does not have it either
    m.setField(L.EXIT_QUAL, 1);
    return m.runToHandler() === GP ? "msr-exit" : undefined;
  }
  if (reason !== Exit.Hlt) throw new Error(`exit ${reason}`);
  if (m.eip === CODE + bytes.length + 1) return undefined;
  return (m.eip - 1 - 0x3000) / 16;
}

export function wrmsr(m: Machine, nr: number, value: bigint): ReturnType<typeof execute> {
  const low = Number(value & 0xffffffffn);
  const high = Number((value >> 32n) & 0xffffffffn);
  return execute(m, [0xb9, ...imm32(nr), 0xb8, ...imm32(low), 0xba, ...imm32(high), 0x0f, 0x30]);
}

export function rdmsr(m: Machine, nr: number): bigint | ReturnType<typeof execute> {
  const stopped = execute(m, [0xb9, ...imm32(nr), 0x0f, 0x32]);
  return stopped ?? (BigInt(m.reg("edx")) << 32n) | BigInt(m.reg("eax"));
}

export const r64 = (m: Machine, gpa: number): bigint => m.view.getBigUint64(m.map.ramBase + gpa, true);

/** All of RAM, but for the test's own code. */
export function ramBesideCode(m: Machine): Uint8Array {
  const ram = new Uint8Array(m.memory.buffer, m.map.ramBase, RAM_BYTES).slice();
  ram.fill(0, CODE, CODE + 64);
  // the frame of a #GP
  ram.fill(0, 0x6f00, 0x7000);
  return ram;
}
