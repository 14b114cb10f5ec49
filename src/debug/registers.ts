// Every register that a debugger can name, as one table: read, write, width. Values are bigints, unsigned, whatever
// the width, so that one type serves AL and XMM0.
import {
  APIC_BASE,
  ATTR_UNUSABLE,
  CR2,
  DEBUGCTL,
  EFER,
  FPU_FCS,
  FPU_FDP,
  FPU_FDS,
  FPU_FIP,
  FPU_FOP,
  MISC_ENABLE,
  PAT,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TSC_AUX,
} from "../../spec/layout.ts";
import { GPR_NAMES, SEGMENT_NAMES, type Vcpu } from "../vcpu/vcpu.ts";

export type RegisterGroup = "general" | "segment" | "control" | "table" | "debug" | "msr" | "fpu" | "sse";

export interface Register {
  readonly name: string;
  readonly group: RegisterGroup;
  readonly bits: number;
  read(vcpu: Vcpu): bigint;
  /** Takes the low `bits` of the value. Derived state (CPL, decode mode, TLB) follows. */
  write(vcpu: Vcpu, value: bigint): void;
}

const u32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

function word(
  name: string,
  group: RegisterGroup,
  bits: number,
  read: (v: Vcpu) => number,
  write: (v: Vcpu, value: number) => void,
): Register {
  return {
    name,
    group,
    bits,
    read: (vcpu) => BigInt.asUintN(bits, BigInt(read(vcpu))),
    write: (vcpu, value) => write(vcpu, u32(BigInt.asUintN(bits, value))),
  };
}

/** A field of the vCPU block with nothing derived from it. */
function field(name: string, group: RegisterGroup, bits: 16 | 32 | 64, offset: number): Register {
  if (bits === 64) {
    return {
      name,
      group,
      bits,
      read: (vcpu) => vcpu.getU64(offset),
      write: (vcpu, value) => {
        vcpu.setU64(offset, BigInt.asUintN(64, value));
        vcpu.sync();
      },
    };
  }
  const size = bits / 8;
  return {
    name,
    group,
    bits,
    read: (vcpu) => bytesToBigInt(vcpu.bytes(offset, size)),
    write: (vcpu, value) => vcpu.bytes(offset, size).set(bigIntToBytes(value, size)),
  };
}

/** Part of a general register: AX, AH, AL. */
function part(name: string, index: number, bits: number, shift: number): Register {
  const mask = ((1 << bits) - 1) << shift;
  return word(
    name,
    "general",
    bits,
    (v) => (v.gpr(index) & mask) >>> shift,
    (v, value) => v.setGpr(index, (v.gpr(index) & ~mask) | (value << shift)),
  );
}

function segmentRegisters(name: (typeof SEGMENT_NAMES)[number]): Register[] {
  const set = (v: Vcpu, change: object): void => v.setSegment(name, { ...v.segment(name), ...change });
  return [
    // A selector written by a debugger is only the visible part, as gdb's users expect; base and the rest stay.
    word(
      name,
      "segment",
      16,
      (v) => v.segment(name).selector,
      (v, selector) => set(v, { selector }),
    ),
    word(
      `${name}.base`,
      "segment",
      32,
      (v) => v.segment(name).base,
      (v, base) => set(v, { base }),
    ),
    word(
      `${name}.limit`,
      "segment",
      32,
      (v) => v.segment(name).limit,
      (v, limit) => set(v, { limit }),
    ),
    word(
      `${name}.attr`,
      "segment",
      17,
      (v) => v.segment(name).attr,
      (v, attr) => set(v, { attr: attr & (ATTR_UNUSABLE | 0xffff) }),
    ),
  ];
}

function tableRegisters(name: "gdtr" | "idtr"): Register[] {
  const set = (v: Vcpu, change: object): void => {
    v[name] = { ...v[name], ...change };
  };
  return [
    word(
      `${name}.base`,
      "table",
      32,
      (v) => v[name].base,
      (v, base) => set(v, { base }),
    ),
    word(
      `${name}.limit`,
      "table",
      16,
      (v) => v[name].limit,
      (v, limit) => set(v, { limit }),
    ),
  ];
}

function buildTable(): Register[] {
  const table: Register[] = [];
  GPR_NAMES.forEach((name, index) => {
    table.push(
      word(
        name,
        "general",
        32,
        (v) => v.gpr(index),
        (v, value) => v.setGpr(index, value),
      ),
    );
  });
  table.push(
    word(
      "eip",
      "general",
      32,
      (v) => v.eip,
      (v, value) => {
        v.eip = value;
      },
    ),
    word(
      "eflags",
      "general",
      32,
      (v) => v.eflags,
      (v, value) => {
        v.eflags = value;
      },
    ),
  );
  GPR_NAMES.forEach((name, index) => {
    table.push(part(name.slice(1), index, 16, 0));
    // The byte registers in encoding order: AL CL DL BL, then AH CH DH BH.
    if (index < 4) table.push(part(`${name[1]}l`, index, 8, 0), part(`${name[1]}h`, index, 8, 8));
  });
  for (const name of SEGMENT_NAMES) table.push(...segmentRegisters(name));
  table.push(...tableRegisters("gdtr"), ...tableRegisters("idtr"));
  for (const name of ["cr0", "cr3", "cr4"] as const) {
    table.push(
      word(
        name,
        "control",
        32,
        (v) => v[name],
        (v, value) => {
          v[name] = value;
        },
      ),
    );
  }
  table.push(field("cr2", "control", 32, CR2));
  for (const index of [0, 1, 2, 3, 6, 7]) {
    table.push(
      word(
        `dr${index}`,
        "debug",
        32,
        (v) => v.dr(index),
        (v, value) => v.setDr(index, value),
      ),
    );
  }
  const msrs: [string, number][] = [
    ["efer", EFER],
    ["sysenter_cs", SYSENTER_CS],
    ["sysenter_esp", SYSENTER_ESP],
    ["sysenter_eip", SYSENTER_EIP],
    ["pat", PAT],
    ["apic_base", APIC_BASE],
    ["tsc_aux", TSC_AUX],
    ["misc_enable", MISC_ENABLE],
    ["debugctl", DEBUGCTL],
  ];
  for (const [name, offset] of msrs) table.push(field(name, "msr", 64, offset));
  for (let i = 0; i < 8; i++) {
    table.push({
      name: `st${i}`,
      group: "fpu",
      bits: 80,
      read: (vcpu) => bytesToBigInt(vcpu.st(i)),
      write: (vcpu, value) => vcpu.setSt(i, bigIntToBytes(value, 10)),
    });
  }
  for (const name of ["fcw", "fsw"] as const) {
    table.push(
      word(
        name,
        "fpu",
        16,
        (v) => v[name],
        (v, value) => {
          v[name] = value;
        },
      ),
    );
  }
  table.push(
    word(
      "ftw",
      "fpu",
      8,
      (v) => v.ftw,
      (v, value) => {
        v.ftw = value;
      },
    ),
    field("fop", "fpu", 16, FPU_FOP),
    field("fip", "fpu", 32, FPU_FIP),
    field("fcs", "fpu", 16, FPU_FCS),
    field("fdp", "fpu", 32, FPU_FDP),
    field("fds", "fpu", 16, FPU_FDS),
  );
  for (let i = 0; i < 8; i++) {
    table.push({
      name: `xmm${i}`,
      group: "sse",
      bits: 128,
      read: (vcpu) => bytesToBigInt(vcpu.xmm(i)),
      write: (vcpu, value) => vcpu.setXmm(i, bigIntToBytes(value, 16)),
    });
  }
  table.push(
    word(
      "mxcsr",
      "sse",
      32,
      (v) => v.mxcsr,
      (v, value) => {
        v.mxcsr = value;
      },
    ),
  );
  return table;
}

export const REGISTERS: readonly Register[] = buildTable();
const BY_NAME: ReadonlyMap<string, Register> = new Map(REGISTERS.map((register) => [register.name, register]));

/** By name, any case. */
export function findRegister(name: string): Register | undefined {
  return BY_NAME.get(name.toLowerCase());
}

/** Little endian, unsigned. */
export function bytesToBigInt(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return value;
}

export function bigIntToBytes(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
