// One instruction as text, in Intel's syntax, from the same opcode table that the decoder is made of.
import type { OpcodeRow } from "../../spec/opcodes/row.ts";
import { allRows } from "../../spec/opcodes/table.ts";

export interface Disassembled {
  readonly text: string;
  /** Bytes, prefixes included. */
  readonly length: number;
}

const INSTRUCTION_MAX = 15;
const REG8 = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
const REG16 = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const REG32 = REG16.map((name) => `e${name}`);
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"];
const BASE16 = ["bx+si", "bx+di", "bp+si", "bp+di", "si", "di", "bp", "bx"];
const SEGMENT_PREFIX: Readonly<Record<number, string>> = {
  38: "es",
  46: "cs",
  54: "ss",
  62: "ds",
  100: "fs",
  101: "gs",
};
/** Operand-size letters -> what a memory operand of that size is called. */
const SIZE_NAMES: Readonly<Record<string, string>> = {
  b: "byte",
  w: "word",
  d: "dword",
  q: "qword",
  t: "tbyte",
  dq: "xmmword",
  ps: "xmmword",
  pd: "xmmword",
  ss: "dword",
  sd: "qword",
  pi: "qword",
};
/** Other names that the 32-bit form goes by. */
const NAMES32: Readonly<Record<string, string>> = { cbw: "cwde", cwd: "cdq" };
const MODRM_LETTERS = new Set([..."EGMNPQRSUVWCD"]);
const LITERALS = new Set(["1", "AL", "AX", "CL", "DX", "ES", "CS", "SS", "DS", "FS", "GS", "ST0", "STi"]);
const STRING = /^[XY][bv]$/;

/** Opcode bytes in hexadecimal -> rows. */
const INDEX: ReadonlyMap<string, readonly OpcodeRow[]> = (() => {
  const index = new Map<string, OpcodeRow[]>();
  const add = (key: string, row: OpcodeRow): void => void index.set(key, [...(index.get(key) ?? []), row]);
  for (const row of allRows) {
    const bytes = row.code.replace("+", "").split(" ");
    if (!row.code.endsWith("+")) add(bytes.join(""), row);
    else {
      const last = Number.parseInt(bytes.at(-1) ?? "", 16);
      for (let i = 0; i < 8; i++) add([...bytes.slice(0, -1), hexByte(last + i)].join(""), row);
    }
  }
  return index;
})();

function hexByte(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, "0");
}

function usesModrm(row: OpcodeRow): boolean {
  if (row.ext !== undefined || row.mod !== undefined || row.rm !== undefined) return true;
  return row.operands.split(",").some((operand) => !LITERALS.has(operand) && MODRM_LETTERS.has(operand[0] ?? ""));
}

/**
 * `bytes` start at the instruction; `address` is EIP, for branch targets; `is32` is CS.D. What is no instruction (or
 * is cut off) is one byte of data.
 */
export function disassemble(bytes: Uint8Array, address: number, is32 = true): Disassembled {
  try {
    return new Decoder(bytes.subarray(0, INSTRUCTION_MAX), address, is32).decode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { text: `db 0x${hexByte(bytes[0] ?? 0).toLowerCase()}`, length: 1 };
  }
}

class Decoder {
  #at = 0;
  #operand32: boolean;
  #address32: boolean;
  #has66 = false;
  #repeat = 0;
  #lock = false;
  #segment: string | undefined;
  #modrm = 0;
  #opcode = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly address: number,
    is32: boolean,
  ) {
    this.#operand32 = is32;
    this.#address32 = is32;
  }

  decode(): Disassembled {
    this.#prefixes();
    let key = this.#opcodeByte();
    if (key === "0F") key += this.#opcodeByte();
    if (key === "0F38" || key === "0F3A") key += this.#opcodeByte();
    const row = this.#select(INDEX.get(key) ?? []);
    if (!row) throw new RangeError("no such instruction");
    if (usesModrm(row)) {
      this.#modrm = this.#peek();
      this.#at++;
    }
    // The size prefix that selects an instruction is none any more.
    if (row.prefix === "66" && !row.operands.includes("v")) this.#operand32 = true;
    const operands = row.operands === "" ? [] : row.operands.split(",");
    // A string instruction's operands are all implied by its name.
    const implied = operands.some((operand) => STRING.test(operand));
    const memory = this.#memoryOperand(row);
    const shown = implied ? [] : operands.map((operand) => this.#operand(operand, memory));
    const name = this.#mnemonic(row, operands);
    return { text: shown.length > 0 ? `${name} ${shown.join(", ")}` : name, length: this.#at };
  }

  #prefixes(): void {
    for (;;) {
      const byte = this.#peek();
      const segment = SEGMENT_PREFIX[byte];
      if (segment !== undefined) this.#segment = segment;
      else if (byte === 0x66) {
        if (!this.#has66) this.#operand32 = !this.#operand32;
        this.#has66 = true;
      } else if (byte === 0x67) this.#address32 = !this.#address32;
      else if (byte === 0xf0) this.#lock = true;
      else if (byte === 0xf2 || byte === 0xf3) this.#repeat = byte;
      else return;
      this.#at++;
    }
  }

  #opcodeByte(): string {
    this.#opcode = this.#peek();
    this.#at++;
    return hexByte(this.#opcode);
  }

  /** The row that mandatory prefix, mod, reg and rm agree with. */
  #select(rows: readonly OpcodeRow[]): OpcodeRow | undefined {
    const modrm = this.bytes[this.#at] ?? 0;
    const fits = rows.filter(
      (row) =>
        (row.ext === undefined || row.ext === ((modrm >>> 3) & 7)) &&
        (row.mod === undefined || (row.mod === "reg") === modrm >= 0xc0) &&
        (row.rm === undefined || row.rm === (modrm & 7)),
    );
    const wanted: (string | undefined)[] = [];
    if (this.#repeat === 0xf3) wanted.push("F3");
    if (this.#repeat === 0xf2) wanted.push("F2");
    if (this.#has66) wanted.push("66");
    for (const prefix of [...wanted, "none", undefined]) {
      const found = fits.filter((row) => row.prefix === prefix);
      // A row for one rm says more than one for all.
      if (found.length > 0) return found.find((row) => row.rm !== undefined) ?? found[0];
    }
    return undefined;
  }

  #mnemonic(row: OpcodeRow, operands: readonly string[]): string {
    let name = row.mnemonic;
    if (this.#operand32) name = NAMES32[name] ?? name;
    if (name === "jcxz" && this.#address32) name = "jecxz";
    const isString = operands.some((operand) => STRING.test(operand));
    if (isString && operands.some((operand) => /^[XY]v$/.test(operand))) name += this.#operand32 ? "d" : "w";
    if (isString && this.#repeat !== 0) {
      const compares = /^(cmps|scas)/.test(name);
      name = `${this.#repeat === 0xf2 ? "repne" : compares ? "repe" : "rep"} ${name}`;
    }
    return this.#lock ? `lock ${name}` : name;
  }

  #operand(operand: string, memory: string | undefined): string {
    if (operand === "STi") return `st${this.#modrm & 7}`;
    if (LITERALS.has(operand)) return operand.toLowerCase();
    const wide = this.#operand32 ? REG32 : REG16;
    if (operand === "sIb") return immediate((this.#immediate(1) << 24) >> 24, this.#operand32 ? 4 : 2);
    if (/^e[A-Z]{2}$/.test(operand)) return this.#operand32 ? operand.toLowerCase() : operand.slice(1).toLowerCase();
    const [letter = "", size] = [operand[0], operand.slice(1)];
    const reg = (this.#modrm >>> 3) & 7;
    const rm = this.#modrm & 7;
    const sized = (index: number): string =>
      (size === "b" ? REG8 : size === "w" ? REG16 : size === "d" ? REG32 : wide)[index] ?? "";
    const pointer = (): string => `${this.#sizeName(size)}${memory ?? ""}`;
    switch (letter) {
      case "E":
        return memory === undefined ? sized(rm) : pointer();
      case "M":
        return pointer();
      case "G":
        return sized(reg);
      case "R":
        return REG32[rm] ?? "";
      case "Z":
        return sized(this.#opcode & 7);
      case "S":
        if (reg > 5) throw new RangeError("no such segment register");
        return SEGMENTS[reg] ?? "";
      case "C":
        return `cr${reg}`;
      case "D":
        return `dr${reg}`;
      case "P":
        return `mm${reg}`;
      case "N":
        return `mm${rm}`;
      case "Q":
        return memory === undefined ? `mm${rm}` : pointer();
      case "V":
        return `xmm${reg}`;
      case "U":
        return `xmm${rm}`;
      case "W":
        return memory === undefined ? `xmm${rm}` : pointer();
      case "I": {
        const bytes = size === "b" ? 1 : size === "w" ? 2 : this.#operand32 ? 4 : 2;
        return immediate(this.#immediate(bytes), bytes);
      }
      case "J": {
        const bytes = size === "b" ? 1 : this.#operand32 ? 4 : 2;
        const raw = this.#immediate(bytes);
        const offset = bytes === 4 ? raw : (raw << (32 - bytes * 8)) >> (32 - bytes * 8);
        const target = this.address + this.#at + offset;
        return `0x${(this.#operand32 ? target >>> 0 : target & 0xffff).toString(16)}`;
      }
      case "A": {
        const offset = this.#immediate(this.#operand32 ? 4 : 2);
        return `0x${this.#immediate(2).toString(16)}:0x${offset.toString(16)}`;
      }
      case "O":
        return `${this.#segment ? `${this.#segment}:` : ""}[0x${this.#immediate(this.#address32 ? 4 : 2).toString(16)}]`;
      default:
        throw new RangeError(`operand ${operand}`);
    }
  }

  #sizeName(size: string): string {
    if (size === "v") return this.#operand32 ? "dword " : "word ";
    if (size === "p") return this.#operand32 ? "fword " : "dword ";
    const name = SIZE_NAMES[size];
    return name === undefined ? "" : `${name} `;
  }

  /** The memory operand of ModRM (its displacement is consumed), undefined in a register form. */
  #memoryOperand(row: OpcodeRow): string | undefined {
    // MOV to and from control and debug registers ignores mod: always a register.
    if (!usesModrm(row) || this.#modrm >= 0xc0 || row.operands.includes("Rd")) return undefined;
    const inside = this.#address32 ? this.#address32Form() : this.#address16Form();
    return `${this.#segment ? `${this.#segment}:` : ""}[${inside}]`;
  }

  #address16Form(): string {
    const mod = this.#modrm >>> 6;
    const rm = this.#modrm & 7;
    if (mod === 0 && rm === 6) return `0x${this.#immediate(2).toString(16)}`;
    return `${BASE16[rm]}${this.#displacement(mod, 2)}`;
  }

  #address32Form(): string {
    const mod = this.#modrm >>> 6;
    const rm = this.#modrm & 7;
    if (mod === 0 && rm === 5) return `0x${this.#immediate(4).toString(16)}`;
    if (rm !== 4) return `${REG32[rm]}${this.#displacement(mod, 4)}`;
    const sib = this.#immediate(1);
    const base = sib & 7;
    const index = (sib >>> 3) & 7;
    const scaled = index === 4 ? "" : `${REG32[index]}*${1 << (sib >>> 6)}`;
    if (base === 5 && mod === 0) {
      const displacement = `0x${this.#immediate(4).toString(16)}`;
      return scaled === "" ? displacement : `${scaled}+${displacement}`;
    }
    return `${REG32[base]}${scaled === "" ? "" : `+${scaled}`}${this.#displacement(mod, 4)}`;
  }

  #displacement(mod: number, size: number): string {
    if (mod === 0) return "";
    const bytes = mod === 1 ? 1 : size;
    const raw = this.#immediate(bytes);
    const value = bytes === 4 ? raw | 0 : (raw << (32 - bytes * 8)) >> (32 - bytes * 8);
    return value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;
  }

  /** Little endian, unsigned. */
  #immediate(size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) {
      value += this.#peek() * 2 ** (8 * i);
      this.#at++;
    }
    return value;
  }

  #peek(): number {
    const byte = this.bytes[this.#at];
    if (byte === undefined) throw new RangeError("cut off");
    return byte;
  }
}

function immediate(value: number, bytes: number): string {
  const unsigned = bytes === 4 ? value >>> 0 : value & (2 ** (bytes * 8) - 1);
  return `0x${unsigned.toString(16)}`;
}
