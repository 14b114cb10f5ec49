// Makes assembly/cpu/interpreter.gen.ts: the one hot switch. Its cases repeat a handful of patterns (register, memory,
// immediate forms of each operation), written once here; the semantics are the shared functions of assembly/isa/alu.ts.
// Nothing in a fast path is a call. `--check` fails when a regeneration would change the file.
import { FUSED, PAIRS } from "../spec/opcodes/fused.ts";
import { ALU } from "../spec/opcodes/integer.ts";
import { writeGenerated } from "./generated.ts";

const G = "vcpu + <i32>load<u8>(r, REC_REG)";
const E = "vcpu + <i32>load<u8>(r, REC_BASE)";
const IMM = "load<u32>(r, REC_IMM)";
const NEXT = "r += REC_STRIDE; continue;";
/** EIP behind the instruction at \`r\`. */
const EIP_NEXT = "load<u32>(vcpu, BLOCK_EIP) + <u32>load<u8>(r, REC_END)";
/** The TLB misses: whoever called the hot loop executes the instruction in its general form. */
const SLOW = "store<u32>(vcpu, r, CUR_REC); return HOT_SLOW;";

/**
 * Address of the memory operand in `a`, and in `c` where the base register's last page is kept. Specialised operations
 * have 32-bit addresses in flat segments, or in FS and GS without a limit.
 */
const ea = `
        const base = <i32>load<u8>(r, REC_BASE);
        const c = vcpu + (base << 1);
        let a = load<u32>(vcpu + base) + load<u32>(r, REC_DISP);
        const k = <u32>load<u8>(r, REC_EA);
        if (k != 0) {
          a += load<u32>(vcpu + <i32>load<u8>(r, REC_INDEX)) << (k & 3);
          if (k & EA_BASED) a += load<u32>(vcpu + <i32>((k & EA_SEG) << 3), SEG + SEG_BASE);
        }`;
/** The same for base + displacement, and for that plus an index. */
const plain = `
        const base = <i32>load<u8>(r, REC_BASE);
        const c = vcpu + (base << 1);
        const a = load<u32>(vcpu + base) + load<u32>(r, REC_DISP);`;
const indexed = `
        const base = <i32>load<u8>(r, REC_BASE);
        const c = vcpu + (base << 1);
        const a = load<u32>(vcpu + base) + load<u32>(r, REC_DISP) + (load<u32>(vcpu + <i32>load<u8>(r, REC_INDEX)) << (<u32>load<u8>(r, REC_EA) & 3));`;
/** The same for an address that an expression gives and that goes with one register. */
const through = (register: string, address: string): string => `
        const a = ${address};
        const c = vcpu + (${register} << 1);`;

/**
 * Makes sure that \`c\` holds the page of \`size\` bytes at \`a\`, for reading or writing by \`tag\`: where the base register's last
 * page is another one, from the TLB. The first comparison keeps the low bits of the address: only an aligned access cannot leave
 * its page, and a cached page is also compared with addresses just below it, which the hash keeps apart in the TLB.
 */
const inPage = (size: number, tag: string): string => `
        if ((a & ~0x${(0x1000 - size).toString(16)}) != load<u32>(c, BASE_CACHE + ${tag})) {
          const page = ${size === 1 ? "a" : `(a + ${size - 1})`} & ~0xfff;
          const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), a);
          if (page != load<u32>(e, ${tag})) { ${SLOW} }
          store<u32>(c, load<u32>(e, TLB_READ), BASE_CACHE + TLB_READ);
          store<u32>(c, load<u32>(e, TLB_WRITE), BASE_CACHE + TLB_WRITE);
          store<u32>(c, load<u32>(e, TLB_DELTA), BASE_CACHE + TLB_DELTA);
        }`;
const HOST = "<i32>(a + load<u32>(c, BASE_CACHE + TLB_DELTA))";
/** Loads type \`t\` at \`a\` into \`v\`. */
const read = (t: string, size: number): string => `${inPage(size, "TLB_READ")}
        const v = <u32>load<${t}>(${HOST});`;
/** Stores \`value\` at \`a\`. */
const write = (t: string, size: number, value: string): string => `${inPage(size, "TLB_WRITE")}
        store<${t}>(${HOST}, <${t}>(${value}));`;

const cases: string[] = [];
const bodies = new Map<string, string>();
const put = (name: string, body: string): void => {
  bodies.set(name, body);
  cases.push(`      case Op.${name}: {${body.startsWith("\n") ? "" : "\n        "}${body}\n      }`);
};
const types = [
  { t: "u32", s: "32", size: 4 },
  { t: "u8", s: "8", size: 1 },
] as const;

for (const name of ALU) {
  const f = name.toLowerCase();
  const keeps = name !== "CMP";
  const fn = name === "CMP" ? "sub" : f;
  for (const { t, s, size } of types) {
    const op = (x: string, y: string): string => `Alu.${fn}<${t}>(vcpu, ${x}, ${y})`;
    const toReg = (expr: string): string => (keeps ? `store<${t}>(${G}, <${t}>${expr});` : `${expr};`);
    const g = `<u32>load<${t}>(${G})`;
    const imm = size === 4 ? IMM : `<u32>load<u8>(r, REC_IMM)`;
    put(`H_${name}_RR${s}`, `${toReg(op(g, `<u32>load<${t}>(${E})`))} ${NEXT}`);
    put(`H_${name}_RM${s}`, `${ea}${read(t, size)}\n        ${toReg(op(g, "v"))} ${NEXT}`);
    put(`H_${name}_RI${s}`, `${toReg(op(g, imm))} ${NEXT}`);
    for (const [form, operand] of [
      [`MR${s}`, g],
      [`MI${s}`, imm],
    ] as const) {
      if (!keeps) {
        put(`H_${name}_${form}`, `${ea}${read(t, size)}\n        ${op("v", operand)}; ${NEXT}`);
        continue;
      }
      put(
        `H_${name}_${form}`,
        `${ea}${inPage(size, "TLB_WRITE")}
        const h = ${HOST};
        store<${t}>(h, <${t}>${op(`<u32>load<${t}>(h)`, operand)});
        ${NEXT}`,
      );
    }
  }
}

for (const { t, s, size } of types) {
  const imm = size === 4 ? IMM : `<u32>load<u8>(r, REC_IMM)`;
  const g = `<u32>load<${t}>(${G})`;
  put(`H_TEST_RR${s}`, `Alu.and<${t}>(vcpu, ${g}, <u32>load<${t}>(${E})); ${NEXT}`);
  put(`H_TEST_RI${s}`, `Alu.and<${t}>(vcpu, ${g}, ${imm}); ${NEXT}`);
  put(`H_TEST_MR${s}`, `${ea}${read(t, size)}\n        Alu.and<${t}>(vcpu, v, ${g}); ${NEXT}`);
  put(`H_TEST_MI${s}`, `${ea}${read(t, size)}\n        Alu.and<${t}>(vcpu, v, ${imm}); ${NEXT}`);
  put(`H_MOV_RR${s}`, `store<${t}>(${G}, load<${t}>(${E})); ${NEXT}`);
  put(`H_MOV_RI${s}`, `store<${t}>(${G}, load<${t}>(r, REC_IMM)); ${NEXT}`);
  put(`H_MOV_RM${s}`, `${ea}${read(t, size)}\n        store<${t}>(${G}, <${t}>v); ${NEXT}`);
  put(`H_MOV_MR${s}`, `${ea}${write(t, size, g)}\n        ${NEXT}`);
  if (size === 4) {
    // the commonest operations of compiled code, without a look at the operand's form
    put("H_MOV_RB32", `${plain}${read("u32", 4)}\n        store<u32>(${G}, v); ${NEXT}`);
    put("H_MOV_RX32", `${indexed}${read(t, size)}\n        store<${t}>(${G}, <${t}>v); ${NEXT}`);
    put("H_MOV_XR32", `${indexed}${write(t, size, g)}\n        ${NEXT}`);
    put("H_MOV_BR32", `${plain}${write("u32", 4, g)}\n        ${NEXT}`);
  }
  put(`H_MOV_MI${s}`, `${ea}${write(t, size, imm)}\n        ${NEXT}`);
}
put("H_MOV_RM16", `${ea}${read("u16", 2)}\n        store<u16>(${G}, <u16>v); ${NEXT}`);
put("H_MOV_MR16", `${ea}${write("u16", 2, `<u32>load<u16>(${G})`)}\n        ${NEXT}`);
put(
  "H_LEA",
  `let a = load<u32>(${E}) + load<u32>(r, REC_DISP);
        const k = <u32>load<u8>(r, REC_EA);
        if (k & EA_INDEX) a += load<u32>(vcpu + <i32>load<u8>(r, REC_INDEX)) << (k & 3);
        store<u32>(${G}, a); ${NEXT}`,
);
for (const [x, cast] of [
  ["MOVZX", "u"],
  ["MOVSX", "i"],
] as const) {
  for (const [bits, size] of [
    [8, 1],
    [16, 2],
  ] as const) {
    const t = `${cast}${bits}`;
    put(`H_${x}_R${bits}`, `store<i32>(${G}, <i32>load<${t}>(${E})); ${NEXT}`);
    put(`H_${x}_M${bits}`, `${ea}${read(`u${bits}`, size)}\n        store<i32>(${G}, <i32>(<${t}>v)); ${NEXT}`);
  }
}
for (const name of ["INC", "DEC"] as const) {
  const f = name.toLowerCase();
  put(`H_${name}_R32`, `store<u32>(${E}, Alu.${f}<u32>(vcpu, load<u32>(${E}))); ${NEXT}`);
  put(
    `H_${name}_M32`,
    `${ea}${inPage(4, "TLB_WRITE")}
        const h = ${HOST};
        store<u32>(h, Alu.${f}<u32>(vcpu, load<u32>(h)));
        ${NEXT}`,
  );
}
put("H_NEG_R32", `store<u32>(${E}, Alu.neg<u32>(vcpu, load<u32>(${E}))); ${NEXT}`);
put("H_NOT_R32", `store<u32>(${E}, ~load<u32>(${E})); ${NEXT}`);
for (const [name, fn] of [
  ["SHL", "shl"],
  ["SHR", "shr"],
  ["SAR", "sar"],
  ["ROL", "rol"],
  ["ROR", "ror"],
] as const) {
  put(`H_${name}_RI32`, `store<u32>(${E}, Alu.${fn}<u32>(vcpu, load<u32>(${E}), ${IMM} & 31)); ${NEXT}`);
}
for (const [name, fn] of [
  ["SHL", "shl"],
  ["SHR", "shr"],
  ["SAR", "sar"],
] as const) {
  put(
    `H_${name}_RC32`,
    `const n = load<u32>(vcpu, ECX) & 31;
        if (n != 0) store<u32>(${E}, Alu.${fn}<u32>(vcpu, load<u32>(${E}), n));
        ${NEXT}`,
  );
}
const imul = (x: string, y: string): string => `const p = <i64>(<i32>(${x})) * <i64>(<i32>(${y}));
        store<u32>(${G}, <u32>p);
        mulFlags<u32>(vcpu, <u32>p, p != <i64>(<i32>p)); ${NEXT}`;
put("H_IMUL_RR32", imul(`load<u32>(${G})`, `load<u32>(${E})`));
put("H_IMUL_RM32", `${ea}${read("u32", 4)}\n        ${imul(`load<u32>(${G})`, "v")}`);
put("H_IMUL_RRI32", imul(`load<u32>(${E})`, IMM));
put(
  "H_MUL_R32",
  `const p = <u64>load<u32>(vcpu, EAX) * <u64>load<u32>(${E});
        store<u32>(vcpu, <u32>p, EAX);
        store<u32>(vcpu, <u32>(p >> 32), EDX);
        mulFlags<u32>(vcpu, <u32>p, (p >> 32) != 0); ${NEXT}`,
);
put(
  "H_XCHG_RR32",
  `const x = load<u32>(${G});
        store<u32>(${G}, load<u32>(${E}));
        store<u32>(${E}, x); ${NEXT}`,
);
put("H_CDQ", `store<i32>(vcpu, load<i32>(vcpu, EAX) >> 31, EDX); ${NEXT}`);
put("H_NOP", NEXT);

// stack: flat 32-bit SS
const push = (value: string): string => `${through("ESP", "load<u32>(vcpu, ESP) - 4")}${write("u32", 4, value)}
        store<u32>(vcpu, a, ESP);`;
const popFrom = (register: string): string => `${through(register, `load<u32>(vcpu, ${register})`)}${read("u32", 4)}`;
put("H_PUSH_R32", `${push(`load<u32>(${G})`)} ${NEXT}`);
put("H_PUSH_I32", `${push(IMM)} ${NEXT}`);
put(
  "H_PUSH_M32",
  `let pushed: u32;
        {
        ${ea}${read("u32", 4)}
        pushed = v;
        }
        {
        ${push("pushed")}
        } ${NEXT}`,
);
put(
  "H_POP_R32",
  `${popFrom("ESP")}
        store<u32>(vcpu, a + 4, ESP);
        store<u32>(${G}, v); ${NEXT}`,
);
put(
  "H_LEAVE",
  `${popFrom("EBP")}
        store<u32>(vcpu, a + 4, ESP);
        store<u32>(vcpu, v, EBP); ${NEXT}`,
);

// control transfers of flat code: set `eip` and `nb` (the next block when it is linked, else 0) and leave the switch
const TAKEN = `link = load<i32>(vcpu, CUR_BLOCK) + BLOCK_LINK_TAKEN; nb = load<i32>(link); eip = ${EIP_NEXT} + ${IMM};`;
const FALLS = `link = load<i32>(vcpu, CUR_BLOCK) + BLOCK_LINK_NEXT; nb = load<i32>(link); eip = ${EIP_NEXT};`;
put("H_JMP", `${TAKEN} break;`);
put("H_CALL", `${push(EIP_NEXT)} ${TAKEN} break;`);
put("H_JMP_R", `eip = load<u32>(${E}); nb = 0; break;`);
put("H_JMP_M", `${ea}${read("u32", 4)}\n        eip = v; nb = 0; break;`);
put(
  "H_CALL_R",
  `const target = load<u32>(${E});
        ${push(EIP_NEXT)} eip = target; nb = 0; break;`,
);
put(
  "H_CALL_M",
  `let pushed: u32;
        {
        ${ea}${read("u32", 4)}
        pushed = v;
        }
        {
        ${push(EIP_NEXT)}
        } eip = pushed; nb = 0; break;`,
);
const ret = (extra: string): string => `${popFrom("ESP")}
        store<u32>(vcpu, a + 4${extra}, ESP);
        eip = v; nb = 0; break;`;
put("H_RET", ret(""));
put("H_RET_I", ret(` + ${IMM}`));

const CC = ["O", "NO", "B", "NB", "Z", "NZ", "BE", "NBE", "S", "NS", "P", "NP", "L", "NL", "LE", "NLE"] as const;
const TEST: Record<string, string> = {
  O: "Flags.of(vcpu) != 0",
  B: "Flags.cf(vcpu) != 0",
  Z: "Flags.zf(vcpu)",
  BE: "(Flags.cf(vcpu) | <u32>Flags.zf(vcpu)) != 0",
  S: "Flags.sf(vcpu) != 0",
  P: "Flags.pf(vcpu) != 0",
  L: "Flags.sf(vcpu) != Flags.of(vcpu)",
  LE: "((Flags.sf(vcpu) ^ Flags.of(vcpu)) | <u32>Flags.zf(vcpu)) != 0",
};
CC.forEach((cc, i) => {
  const base = CC[i & ~1] as string;
  const test = i & 1 ? `!(${TEST[base]})` : TEST[base];
  put(`H_J${cc}`, `if (${test}) { ${TAKEN} } else { ${FALLS} } break;`);
});
put("H_SET_R8", `store<u8>(${G}, <u8>conditionBit(vcpu, ${IMM} & 15)); ${NEXT}`);
put("H_CMOV_RR32", `if (conditionBit(vcpu, ${IMM} & 15)) store<u32>(${G}, load<u32>(${E})); ${NEXT}`);

// A comparison and the conditional jump behind it in one dispatch: the comparison's record comes first, the jump's
// second. Flags are stored as ever; the condition is taken from the operands.
const fusedTest: Record<string, (a: string, b: string) => string> = {
  B: (a, b) => `${a} < ${b}`,
  NB: (a, b) => `${a} >= ${b}`,
  Z: (a, b) => `${a} == ${b}`,
  NZ: (a, b) => `${a} != ${b}`,
  BE: (a, b) => `${a} <= ${b}`,
  NBE: (a, b) => `${a} > ${b}`,
  L: (a, b) => `<i32>${a} < <i32>${b}`,
  NL: (a, b) => `<i32>${a} >= <i32>${b}`,
  LE: (a, b) => `<i32>${a} <= <i32>${b}`,
  NLE: (a, b) => `<i32>${a} > <i32>${b}`,
};
const testTest: Record<string, string> = {
  Z: "x == 0",
  NZ: "x != 0",
  S: "<i32>x < 0",
  NS: "<i32>x >= 0",
  LE: "<i32>x <= 0",
  NLE: "<i32>x > 0",
};
const jump = (test: string): string => `r += REC_STRIDE; if (${test}) { ${TAKEN} } else { ${FALLS} } break;`;
const sources: Record<string, { load: string; flags: string; t: string }> = {
  CMP_RR32: {
    load: `const a = load<u32>(${G}); const b = load<u32>(${E});`,
    flags: "Alu.sub<u32>(vcpu, a, b);",
    t: "cmp",
  },
  CMP_RI32: { load: `const a = load<u32>(${G}); const b = ${IMM};`, flags: "Alu.sub<u32>(vcpu, a, b);", t: "cmp" },
  CMP_RI8: {
    load: `const a = <u32>load<u8>(${G}); const b = <u32>load<u8>(r, REC_IMM);`,
    flags: "Alu.sub<u8>(vcpu, a, b);",
    t: "cmp",
  },
  CMP_RM32: {
    load: `${ea}${read("u32", 4)}\n        const x = load<u32>(${G});`,
    flags: "Alu.sub<u32>(vcpu, x, v);",
    t: "cmpx",
  },
  CMP_MI32: {
    load: `${ea}${read("u32", 4)}\n        const x = ${IMM};`,
    flags: "Alu.sub<u32>(vcpu, v, x);",
    t: "cmpvx",
  },
  TEST_RR32: { load: `const x = load<u32>(${G}) & load<u32>(${E});`, flags: "Flags.logic<u32>(vcpu, x);", t: "test" },
  TEST_RI8: {
    load: `const x = <u32>load<u8>(${G}) & <u32>load<u8>(r, REC_IMM);`,
    flags: "Flags.logic<u8>(vcpu, x);",
    t: "test",
  },
  TEST_MI8: {
    load: `${ea}${read("u8", 1)}\n        const x = v & <u32>load<u8>(r, REC_IMM);`,
    flags: "Flags.logic<u8>(vcpu, x);",
    t: "test",
  },
  ADD_RI32: {
    load: `const x = load<u32>(${G}) + ${IMM};`,
    flags: `Alu.add<u32>(vcpu, load<u32>(${G}), ${IMM}); store<u32>(${G}, x);`,
    t: "test",
  },
  SUB_RI32: {
    load: `const x = load<u32>(${G}) - ${IMM};`,
    flags: `Alu.sub<u32>(vcpu, load<u32>(${G}), ${IMM}); store<u32>(${G}, x);`,
    t: "test",
  },
  DEC_R32: {
    load: `const x = load<u32>(${E}) - 1;`,
    flags: `Alu.dec<u32>(vcpu, load<u32>(${E})); store<u32>(${E}, x);`,
    t: "test",
  },
};
for (const { first, conditions } of FUSED) {
  const s = sources[first];
  if (s === undefined) throw new Error(`no fused source ${first}`);
  for (const cc of conditions) {
    const operands: Record<string, [string, string]> = { cmp: ["a", "b"], cmpx: ["x", "v"], cmpvx: ["v", "x"] };
    const pair = operands[s.t];
    const test =
      pair === undefined ? (testTest[cc] as string) : (fusedTest[cc] as (a: string, b: string) => string)(...pair);
    put(`H_${first}_J${cc}`, `${s.load} ${s.flags} ${jump(test)}`);
  }
}
// Two plain operations in one dispatch: the first's body without its dispatch, then the second's.
for (const [first, second] of PAIRS) {
  const one = bodies.get(`H_${first}`);
  const two = bodies.get(`H_${second}`);
  if (one === undefined || two === undefined || !one.endsWith(NEXT))
    throw new Error(`cannot pair ${first} and ${second}`);
  const plain = one.slice(0, -NEXT.length);
  put(
    `H2_${first}_${second}`,
    `{\n        ${plain}\n        }\n        r += REC_STRIDE;\n        {\n        ${two}\n        }`,
  );
}
// the commonest conditions: carry and zero, and their opposites
for (const [name, bit] of [
  ["C", "(load<u32>(vcpu, FLAG_AUX) >> 31)"],
  ["Z", "<u32>(load<u32>(vcpu, FLAG_RES) == 0)"],
] as const) {
  const test = `(${bit} ^ (${IMM} & 1))`;
  put(`H_SET${name}_R8`, `store<u8>(${G}, <u8>${test}); ${NEXT}`);
  put(`H_CMOV${name}_RR32`, `if (${test} != 0) store<u32>(${G}, load<u32>(${E})); ${NEXT}`);
  put(
    `H_CMOV${name}_RM32`,
    `{${ea}${read("u32", 4)}
        if (${test} != 0) store<u32>(${G}, v);
        } ${NEXT}`,
  );
}
put(
  "H_CMOV_RM32",
  `{${ea}${read("u32", 4)}
        if (conditionBit(vcpu, ${IMM} & 15)) store<u32>(${G}, v);
        } ${NEXT}`,
);

const file = `// Generated by tools/gen-interpreter.ts: do not edit.
// The hot loop: executes decoded blocks until a fault, an event, or the end of the budget. See docs/ARCHITECTURE.md.
import {
  BASE_CACHE, BLOCK_COUNT, BLOCK_EIP, BLOCK_LINK_NEXT, BLOCK_LINK_TAKEN, BLOCK_MODE, BLOCK_RECORDS, BUDGET_END, CUR_BLOCK, CUR_REC, EA_BASED, EA_INDEX, EA_SEG, EAX, EBP, ECX, EDX,
  EIP, ESP, EVENT, FLAG_AUX, FLAG_RES, JUMP_CACHE, JUMP_CACHE_ENTRIES, MODE, NEXT_LINK, REC_BASE, REC_DISP, REC_EA, REC_IMM, REC_INDEX, REC_END, REC_OP, REC_REG, REC_STRIDE, RETIRED, SEG, SEG_BASE, TLB_CURRENT, TLB_DELTA,
  TLB_READ, TLB_WRITE,
} from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { Alu, mulFlags } from "../isa/alu";
import { Mem } from "../mmu/access";
import { END_FALLS, END_LINKABLE } from "./blocks";
import { conditionBit, Flags } from "./flags";

// Why the hot loop returned; CUR_REC is the record, EIP is where the next block starts.
/** An operation of another family: execute it, then go on behind it. */
export const HOT_RARE: i32 = 0;
/** A TLB miss: execute the instruction in its general form. */
export const HOT_SLOW: i32 = 1;
/** The next block is not known: find it, and keep it at NEXT_LINK. */
export const HOT_LOOKUP: i32 = 2;
/** An event or the end of the budget, between blocks: EIP and RETIRED are exact. */
export const HOT_BOUNDARY: i32 = 3;
/** The code at CUR_REC was overwritten; it has not been executed. */
export const HOT_STALE: i32 = 4;

/**
 * Executes records from \`at\` on. There is no call in this function: one would make the compiler keep the loop's values in
 * memory. The record is the only value that lives across instructions, for the same reason.
 */
export function runHot(vcpu: i32, at: i32): i32 {
  let r = at;
  while (true) {
    // the next block, 0 = look it up
    // where the address of the next block may be kept (0 = nowhere), and the EIP it starts at
    let nb: i32 = 0;
    let link: i32 = 0;
    let eip: u32 = 0;
    const op = <u32>load<u16>(r, REC_OP);
    switch (op) {
${cases.join("\n")}
      case Op.BLOCK_END: {
        const falls = load<u32>(r, REC_IMM);
        if (falls == END_LINKABLE) { ${FALLS} }
        else {
          nb = 0;
          eip = falls == END_FALLS ? ${EIP_NEXT} : load<u32>(vcpu, EIP);
        }
        break;
      }
      case Op.REDECODE: {
        store<u32>(vcpu, r, CUR_REC);
        return HOT_STALE;
      }
      default: {
        store<u32>(vcpu, r, CUR_REC);
        return HOT_RARE;
      }
    }
    let retired = load<u64>(vcpu, RETIRED) + <u64>load<u32>(load<i32>(vcpu, CUR_BLOCK), BLOCK_COUNT);
    const end = load<u64>(vcpu, BUDGET_END);
    // events and the budget come before the next fetch, which may fault
    if (load<u32>(vcpu, EVENT) != 0 || retired >= end) {
      store<u32>(vcpu, eip, EIP);
      store<u64>(vcpu, retired, RETIRED);
      store<u32>(vcpu, 0, CUR_BLOCK);
      return HOT_BOUNDARY;
    }
    if (nb == 0) {
      const j = vcpu + <i32>(((eip ^ (eip >> 10)) & (JUMP_CACHE_ENTRIES - 1)) << 3);
      if (load<u32>(j, JUMP_CACHE) == eip) {
        nb = load<i32>(j, JUMP_CACHE + 4);
        if (nb != 0 && load<u32>(nb, BLOCK_MODE) != load<u32>(vcpu, MODE)) nb = 0;
      }
      if (nb == 0) {
        store<u32>(vcpu, eip, EIP);
        store<u64>(vcpu, retired, RETIRED);
        store<u32>(vcpu, link, NEXT_LINK);
        return HOT_LOOKUP;
      }
    }
    if (retired + <u64>load<u32>(nb, BLOCK_COUNT) > end) {
      store<u32>(vcpu, eip, EIP);
      store<u64>(vcpu, retired, RETIRED);
      store<u32>(vcpu, 0, CUR_BLOCK);
      return HOT_BOUNDARY;
    }
    store<u64>(vcpu, retired, RETIRED);
    store<u32>(vcpu, nb, CUR_BLOCK);
    store<u32>(vcpu, eip, BLOCK_EIP);
    r = nb + BLOCK_RECORDS;
  }
}
`;

writeGenerated("assembly/cpu/interpreter.gen.ts", file);
