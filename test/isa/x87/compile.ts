// Compiles the x87 family alone. The slow path of memory accesses is replaced: every page that a vector touches is in
// the TLB, so what is left of it is the page fault of a page that is not.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("../../../", import.meta.url));

const SLOW = `
import { raise } from "../cpu/fault";
import { CR2 } from "../../spec/layout";
import { Vector } from "../../spec/vectors";
function miss(vcpu: i32, lin: u32): void { store<u32>(vcpu, lin, CR2); raise(vcpu, Vector.PF, 0); }
export function slowRead(vcpu: i32, lin: u32, size: u32): u32 { miss(vcpu, lin); return 0; }
export function slowRead64(vcpu: i32, lin: u32): u64 { miss(vcpu, lin); return 0; }
export function slowWrite(vcpu: i32, lin: u32, size: u32, value: u32): void { miss(vcpu, lin); }
export function slowWrite64(vcpu: i32, lin: u32, value: u64): void { miss(vcpu, lin); }
export function slowReadForUpdate(vcpu: i32, lin: u32, size: u32): u64 { miss(vcpu, lin); return 0; }
export function sysReadSlow(vcpu: i32, lin: u32, size: u32): u64 { miss(vcpu, lin); return 0; }
export function sysWriteSlow(vcpu: i32, lin: u32, size: u32, value: u64): void { miss(vcpu, lin); }
`;

/** Wasm binary of the dispatcher, assembly/isa/x87/exec.ts. Throws with the compiler's messages when it does not compile. */
export async function compileX87(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      "assembly/isa/x87/exec.ts",
      "--config",
      "none",
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      "--memoryBase",
      "1024",
      "--enable",
      "simd",
      "--use",
      "abort=",
      "--outFile",
      "x87.wasm",
    ],
    {
      readFile: (name: string) => {
        if (name.endsWith("assembly/mmu/slow.ts")) return SLOW;
        try {
          return readFileSync(resolve(root, name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (_name: string, contents: Uint8Array | string) => {
        binary = contents as Uint8Array;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`x87 does not compile: ${error?.message}\n${stderr.toString()}`);
  return binary;
}
