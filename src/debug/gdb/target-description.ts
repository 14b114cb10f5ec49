// The registers as gdb numbers them, and the XML that tells it so (gdb manual, appendix G; features of i386).
import { FPU_R, FPU_R_STRIDE } from "../../../spec/layout.ts";
import type { Vcpu } from "../../vcpu/vcpu.ts";
import { findRegister, type Register } from "../registers.ts";

export interface GdbRegister {
  readonly name: string;
  readonly bits: number;
  readonly type: string;
  readonly group?: string;
  read(vcpu: Vcpu): bigint;
  write(vcpu: Vcpu, value: bigint): void;
}

interface Feature {
  readonly name: string;
  readonly types: string;
  readonly registers: readonly GdbRegister[];
}

function own(name: string): Register {
  const register = findRegister(name);
  if (!register) throw new RangeError(`no register ${name}`);
  return register;
}

/** Our register under gdb's name and width (gdb's are mostly 32 bits wide). */
function as(name: string, type: string, source = name, bits = 32, group?: string): GdbRegister {
  const register = own(source);
  return {
    name,
    bits,
    type,
    ...(group ? { group } : {}),
    read: (v) => register.read(v),
    write: (v, value) => register.write(v, value),
  };
}

const TAG_VALID = 0;
const TAG_ZERO = 1;
const TAG_SPECIAL = 2;
const TAG_EMPTY = 3;

/** The full x87 tag word from the abridged one: two bits a physical register, by its content (SDM 1 8.1.7). */
export function fullTagWord(vcpu: Vcpu): number {
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    let tag = TAG_EMPTY;
    if (vcpu.ftw & (1 << i)) {
      const at = FPU_R + i * FPU_R_STRIDE;
      const significand = vcpu.getU64(at);
      const exponent = vcpu.getU32(at + 8) & 0x7fff;
      if (exponent === 0) tag = significand === 0n ? TAG_ZERO : TAG_SPECIAL;
      else tag = exponent === 0x7fff || !(significand >> 63n) ? TAG_SPECIAL : TAG_VALID;
    }
    tags |= tag << (i * 2);
  }
  return tags;
}

function abridgedTagWord(full: number): number {
  let tags = 0;
  for (let i = 0; i < 8; i++) if (((full >>> (i * 2)) & 3) !== TAG_EMPTY) tags |= 1 << i;
  return tags;
}

const CORE_TYPES = `
<flags id="i386_eflags" size="4">
${flagFields({ CF: 0, "": 1, PF: 2, AF: 4, ZF: 6, SF: 7, TF: 8, IF: 9, DF: 10, OF: 11, NT: 14, RF: 16, VM: 17, AC: 18, VIF: 19, VIP: 20, ID: 21 })}
</flags>`;
const SSE_TYPES = `
<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
<flags id="i386_mxcsr" size="4">
${flagFields({ IE: 0, DE: 1, ZE: 2, OE: 3, UE: 4, PE: 5, DAZ: 6, IM: 7, DM: 8, ZM: 9, OM: 10, UM: 11, PM: 12, FZ: 15 })}
</flags>`;
const SYSTEM_TYPES = `
<flags id="cr0_bits" size="4">
${flagFields({ PE: 0, MP: 1, EM: 2, TS: 3, ET: 4, NE: 5, WP: 16, AM: 18, NW: 29, CD: 30, PG: 31 })}
</flags>
<flags id="cr4_bits" size="4">
${flagFields({ VME: 0, PVI: 1, TSD: 2, DE: 3, PSE: 4, PAE: 5, MCE: 6, PGE: 7, PCE: 8, OSFXSR: 9, OSXMMEXCPT: 10, UMIP: 11, SMEP: 20, SMAP: 21 })}
</flags>`;

function flagFields(bits: Readonly<Record<string, number>>): string {
  return Object.entries(bits)
    .map(([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`)
    .join("");
}

const numbered = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

const FEATURES: readonly Feature[] = [
  {
    name: "org.gnu.gdb.i386.core",
    types: CORE_TYPES,
    registers: [
      ...["eax", "ecx", "edx", "ebx"].map((name) => as(name, "int32")),
      as("esp", "data_ptr"),
      as("ebp", "data_ptr"),
      as("esi", "int32"),
      as("edi", "int32"),
      as("eip", "code_ptr"),
      as("eflags", "i386_eflags"),
      ...["cs", "ss", "ds", "es", "fs", "gs"].map((name) => as(name, "int32")),
      ...numbered(8, (i) => as(`st${i}`, "i387_ext", `st${i}`, 80)),
      as("fctrl", "int", "fcw", 32, "float"),
      as("fstat", "int", "fsw", 32, "float"),
      {
        name: "ftag",
        bits: 32,
        type: "int",
        group: "float",
        read: (vcpu) => BigInt(fullTagWord(vcpu)),
        write: (vcpu, value) => {
          vcpu.ftw = abridgedTagWord(Number(value & 0xffffn));
        },
      },
      as("fiseg", "int", "fcs", 32, "float"),
      as("fioff", "int", "fip", 32, "float"),
      as("foseg", "int", "fds", 32, "float"),
      as("fooff", "int", "fdp", 32, "float"),
      as("fop", "int", "fop", 32, "float"),
    ],
  },
  {
    name: "org.gnu.gdb.i386.sse",
    types: SSE_TYPES,
    registers: [
      ...numbered(8, (i) => as(`xmm${i}`, "vec128", `xmm${i}`, 128)),
      as("mxcsr", "i386_mxcsr", "mxcsr", 32, "vector"),
    ],
  },
  {
    name: "org.paravane.i386.system",
    types: SYSTEM_TYPES,
    registers: [
      as("cr0", "cr0_bits", "cr0", 32, "system"),
      as("cr2", "data_ptr", "cr2", 32, "system"),
      as("cr3", "data_ptr", "cr3", 32, "system"),
      as("cr4", "cr4_bits", "cr4", 32, "system"),
      ...["cs", "ss", "ds", "es", "fs", "gs"].map((name) =>
        as(`${name}_base`, "data_ptr", `${name}.base`, 32, "system"),
      ),
      as("gdtr_base", "data_ptr", "gdtr.base", 32, "system"),
      as("gdtr_limit", "int32", "gdtr.limit", 32, "system"),
      as("idtr_base", "data_ptr", "idtr.base", 32, "system"),
      as("idtr_limit", "int32", "idtr.limit", 32, "system"),
      as("ldtr", "int32", "ldtr", 32, "system"),
      as("tr", "int32", "tr", 32, "system"),
      ...[0, 1, 2, 3, 6, 7].map((i) => as(`dr${i}`, "data_ptr", `dr${i}`, 32, "system")),
      as("efer", "int64", "efer", 64, "system"),
    ],
  },
];

/** In gdb's numbering. */
export const GDB_REGISTERS: readonly GdbRegister[] = FEATURES.flatMap((feature) => feature.registers);
/** The `g` packet holds the core and SSE registers; the system ones are fetched one by one. */
export const G_PACKET_COUNT = (FEATURES[0]?.registers.length ?? 0) + (FEATURES[1]?.registers.length ?? 0);

export const TARGET_XML = `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>i386</architecture>
${FEATURES.map(featureXml).join("\n")}
</target>`;

function featureXml(feature: Feature): string {
  const registers = feature.registers.map(
    ({ name, bits, type, group }) =>
      `<reg name="${name}" bitsize="${bits}" type="${type}"${group ? ` group="${group}"` : ""}/>`,
  );
  return `<feature name="${feature.name}">${feature.types}\n${registers.join("\n")}\n</feature>`;
}
