// The words of `watch` and `delete`: io, msr and exception with a number; read, write and access with a range of memory.
import type { MemoryWatch } from "../vmm/debug-controls.ts";
import { VmError } from "../vmm/error.ts";
import type { Debugger, WatchKind } from "./debugger.ts";
import { evaluate, evaluateAddress } from "./expression.ts";

const NUMBERED: Readonly<Record<string, WatchKind>> = {
  io: "ports",
  port: "ports",
  msr: "msrs",
  exception: "exceptions",
};
const MEMORY: Readonly<Record<string, MemoryWatch["access"]>> = { read: "read", write: "write", access: "any" };
const DEFAULT_BYTES = 4;

export const WATCH_ARGUMENTS = "io|msr|exception NUMBER, read|write|access ADDRESS [BYTES]";

export function isWatchWord(word: string): boolean {
  return word in NUMBERED || word in MEMORY;
}

export function addWatch(debug: Debugger, [word = "", ...rest]: readonly string[]): string {
  if (word in MEMORY) {
    const watch = memoryWatch(debug, word, rest);
    debug.watchMemory(watch);
    return `watching ${describe(watch)}`;
  }
  const kind = numbered(word);
  const number = watchedNumber(debug, word, rest);
  debug.watch(kind, number);
  return `watching ${word} 0x${number.toString(16)}`;
}

/** Whether there was one. */
export function removeWatch(debug: Debugger, [word = "", ...rest]: readonly string[]): boolean {
  if (word in MEMORY) return debug.unwatchMemory(memoryWatch(debug, word, rest));
  return debug.unwatch(numbered(word), watchedNumber(debug, word, rest));
}

export function listWatches(debug: Debugger): string[] {
  const rows = Object.entries(NUMBERED).flatMap(([word, kind]) =>
    word === "port" ? [] : debug.watches(kind).map((number) => `watch ${word} 0x${number.toString(16)}`),
  );
  return [...rows, ...debug.memoryWatches.map((watch) => `watch ${describe(watch)}`)];
}

function describe({ address, sizeBytes, access }: MemoryWatch): string {
  return `${access === "any" ? "access" : access} 0x${address.toString(16)} ${sizeBytes}`;
}

function numbered(word: string): WatchKind {
  const kind = NUMBERED[word];
  if (!kind) throw new VmError("bad-config", "watch knows io, msr, exception, read, write and access.");
  return kind;
}

function watchedNumber(debug: Debugger, word: string, rest: readonly string[]): number {
  if (rest.length === 0) throw new VmError("bad-config", `${word} needs a number: watch io 0x3f8.`);
  return Number(BigInt.asUintN(32, evaluate(debug, rest.join(""))));
}

function memoryWatch(debug: Debugger, word: string, [address, bytes]: readonly string[]): MemoryWatch {
  if (address === undefined) throw new VmError("bad-config", `${word} needs an address: watch write esp+8 4.`);
  return {
    address: evaluateAddress(debug, address),
    sizeBytes: bytes === undefined ? DEFAULT_BYTES : Number(evaluate(debug, bytes)),
    access: MEMORY[word] ?? "any",
  };
}
