// Decoded blocks: straight runs of records that end at a control transfer, a page border or an instruction that
// changes what decoding depends on. Keyed by Wasm address and decode mode. A block never leaves its page; an instruction
// that crosses a page border is decoded anew each time, into the scratch block.
import {
  BLOCK_ADDR, BLOCK_BYTES, BLOCK_COUNT, BLOCK_LINK_NEXT, BLOCK_LINK_TAKEN, BLOCK_MODE, BLOCK_NEXT_HASH, BLOCK_RECORDS, BLOCK_ZERO, COUNT_BLOCK_DECODE, EXIT_ADDR, MODE,
  MODE_FLAT_CODE, REC_IMM, REC_END, REC_OP, REC_STRIDE, SCRATCH_BLOCK, SCRATCH_BYTES, SEG, SEG_BASE, SEG_CS, SEG_LIMIT, SEG_STRIDE,
  TLB_CURRENT, TLB_DELTA, TLB_EXEC, VM_ARENA_AGAIN, VM_ARENA_DEBT, VM_ARENA_END, VM_ARENA_FLUSHED_AT, VM_ARENA_GONE, VM_ARENA_LIMIT, VM_BLOCK_MAP, VM_ARENA_NEXT, VM_BASE, WALK_GPA, EVENT, EVENT_RECHECK, FAULT, RETIRED,
} from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { Op } from "../../spec/op.gen";
import { Vector } from "../../spec/vectors";
import { decode, DECODE_END } from "../isa/decode";
import { fuse } from "../isa/fuse.gen";
import { Mem } from "../mmu/access";
import { addBlockToPage, blockBucket, flushBlocks, killBlock } from "../mmu/code-pages";
import { hostForFetch } from "../mmu/slow";
import { exitBefore, faulted, raise } from "./fault";

/** Longest block, in instructions. */
const MAX_BLOCK = 64;
const MAX_LENGTH: u32 = 15;
/**
 * What decoding blocks again may cost. Each is a debt of REDECODE_COST instructions, of which a REDECODE_SHARE'th of those
 * retired is paid back. The arena grows when it comes to ARENA_DEBT: a boot, most of whose code runs once, does not get there.
 */
const REDECODE_COST: u64 = 64;
const REDECODE_SHARE: u64 = 64;
const ARENA_DEBT: u64 = 16_000_000;
/** What remains of it when the arena has grown: where that was not enough it soon grows again. */
const ARENA_DEBT_GROWN: u64 = 14_000_000;
const ARENA_STEP: u32 = 256 * 1024;
const LARGEST_BLOCK: i32 = BLOCK_RECORDS + (MAX_BLOCK + 1) * REC_STRIDE;
/** The vCPU block's fields below this are written all the time. */
const HOT_FIELDS: i32 = 0x100;
/** Longest block, in bytes: REC_END is one byte. */
const MAX_BYTES: u32 = 255;
/** Blocks in one bucket of the map. Code that is not laid out to collide stays below a few. */
const MAX_CHAIN: i32 = 16;

/** REC_IMM of the record that ends a block: EIP is in the vCPU block (the last instruction set it). */
export const END_ELSEWHERE: u32 = 0;
/** The next instruction follows. */
export const END_FALLS: u32 = 1;
/** It follows in flat code, so that its block may be linked. */
export const END_LINKABLE: u32 = 2;

function csAddress(vcpu: i32): i32 {
  return vcpu + SEG + SEG_CS * SEG_STRIDE;
}

/** Wasm address of the instruction at `eip`; 0 with a fault or an exit recorded. */
function fetchAddress(vcpu: i32, lin: u32): u32 {
  const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
  if (load<u32>(e, TLB_EXEC) == (lin & ~0xfff)) return lin + load<u32>(e, TLB_DELTA);
  const host = hostForFetch(vcpu, lin);
  if (host == 0 && !faulted(vcpu)) {
    store<u64>(vcpu, <u64>load<u32>(vcpu, WALK_GPA), EXIT_ADDR);
    exitBefore(vcpu, Exit.MmioFetch);
  }
  return host;
}

/** Bytes from `eip` to the CS limit, at most `most`; 0 when `eip` is beyond it. */
function bytesToLimit(vcpu: i32, eip: u32, mode: u32, most: u32): u32 {
  if (mode & MODE_FLAT_CODE) return most;
  const limit = load<u32>(csAddress(vcpu), SEG_LIMIT);
  if (eip > limit) return 0;
  const left = limit - eip;
  return left < most ? left + 1 : most;
}

/** `falls` says that execution always goes on behind the block, so that the following block may be linked. */
function endRecord(rec: i32, falls: bool, mode: u32, bytes: u32): void {
  store<u64>(rec, 0);
  store<u64>(rec, 0, 8);
  store<u8>(rec, bytes, REC_END);
  store<u32>(rec, falls ? (mode & MODE_FLAT_CODE ? END_LINKABLE : END_FALLS) : END_ELSEWHERE, REC_IMM);
  store<u16>(rec, Op.BLOCK_END, REC_OP);
}

/**
 * Decodes up to `max` instructions at Wasm address `host`, `room` bytes being there, into the block at `block`.
 * Returns the number of instructions; 0 when not even the first is complete.
 */
function decodeInto(vcpu: i32, block: i32, host: u32, room: u32, mode: u32, max: i32): i32 {
  let rec = block + BLOCK_RECORDS;
  let p = host;
  const end = <i32>(host + room);
  let n = 0;
  let falls = true;
  let alone = false;
  store<u64>(block, 0, BLOCK_ZERO);
  store<u64>(block, 0, BLOCK_ZERO + 8);
  while (n < max) {
    const r = decode(vcpu, rec, <i32>p, end, mode, false);
    if (r == 0) break;
    const next = p + <u32>(r & 0xff);
    if (next - host > MAX_BYTES) break;
    p = next;
    store<u8>(rec, p - host, REC_END);
    // a record is half of one pair at most
    alone = !(n > 0 && alone && fuse(rec - REC_STRIDE, rec));
    n++;
    rec += REC_STRIDE;
    if (r & DECODE_END) {
      falls = false;
      break;
    }
  }
  endRecord(rec, falls, mode, p - host);
  store<u32>(block, host, BLOCK_ADDR);
  store<u32>(block, mode, BLOCK_MODE);
  store<u32>(block, n, BLOCK_COUNT);
  store<u32>(block, p - host, BLOCK_BYTES);
  store<u32>(block, 0, BLOCK_LINK_TAKEN);
  store<u32>(block, 0, BLOCK_LINK_NEXT);
  return n;
}

/** The one instruction at `eip` that crosses a page border, decoded from bytes put together. */
function decodeCrossing(vcpu: i32, eip: u32, lin: u32, host: u32, mode: u32): i32 {
  const block = vcpu + SCRATCH_BLOCK;
  const first: u32 = 0x1000 - (lin & 0xfff);
  const allowed = bytesToLimit(vcpu, eip, mode, MAX_LENGTH);
  if (allowed <= first) {
    raise(vcpu, Vector.GP, 0);
    return 0;
  }
  const second = fetchAddress(vcpu, (lin & ~0xfff) + 0x1000);
  if (second == 0) return 0;
  const buffer = vcpu + SCRATCH_BYTES;
  for (let i: u32 = 0; i < allowed; i++) {
    store<u8>(buffer + <i32>i, i < first ? load<u8>(<i32>(host + i)) : load<u8>(<i32>(second + (i - first))));
  }
  const n = decodeInto(vcpu, block, <u32>buffer, allowed, mode, 1);
  if (n == 0) {
    raise(vcpu, Vector.GP, 0);
    return 0;
  }
  return block;
}

/**
 * A block for one use with the one instruction at CS:EIP: single steps, interrupt shadows, the end of a budget, code next to
 * the CS limit. One only, because no page knows of it: a write to the instructions behind it must be seen by them.
 * 0 with a fault or an exit recorded.
 */
export function scratchBlock(vcpu: i32, eip: u32): i32 {
  const mode = load<u32>(vcpu, MODE);
  const lin = eip + load<u32>(csAddress(vcpu), SEG_BASE);
  const room = bytesToLimit(vcpu, eip, mode, 0x1000 - (lin & 0xfff));
  if (room == 0) {
    raise(vcpu, Vector.GP, 0);
    return 0;
  }
  const host = fetchAddress(vcpu, lin);
  if (host == 0) return 0;
  const block = vcpu + SCRATCH_BLOCK;
  const n = decodeInto(vcpu, block, host, room, mode, 1);
  if (n == 0) return decodeCrossing(vcpu, eip, lin, host, mode);
  return block;
}

/**
 * Where the next block goes: not where its records would have the page offsets of the vCPU's registers and flags, so that
 * no load of a record can be taken for one of a store to a register that differs only above bit 11. A precaution; its
 * effect has not been measured by itself.
 */
function nextFree(): i32 {
  const next = load<i32>(VM_BASE, VM_ARENA_NEXT);
  const offset = next & 0xfff;
  if (offset >= HOT_FIELDS && offset + LARGEST_BLOCK <= 0x1000) return next;
  return offset < HOT_FIELDS ? (next & ~0xfff) + HOT_FIELDS : (next & ~0xfff) + 0x1000 + HOT_FIELDS;
}

/** Makes room in a bucket: a guest can choose addresses that share one, and every lookup there would walk them all. */
function shortenChain(bucket: i32): void {
  let last = load<i32>(bucket);
  if (last == 0) return;
  let length = 1;
  for (let b = load<i32>(last, BLOCK_NEXT_HASH); b != 0; b = load<i32>(b, BLOCK_NEXT_HASH)) {
    last = b;
    length++;
  }
  // the oldest: it is at the end
  if (length >= MAX_CHAIN) killBlock(last);
}

/**
 * The arena is full: true if it may grow in place of being emptied. Memory that it never reaches costs the host nothing, and
 * code that runs once, as most of a boot's, needs no room afterwards: it grows only where decoding again what was there before
 * costs too much of the guest's speed.
 */
function growArena(vcpu: i32): bool {
  const end = load<u32>(VM_BASE, VM_ARENA_END);
  const limit = load<u32>(VM_BASE, VM_ARENA_LIMIT);
  const retired = load<u64>(vcpu, RETIRED);
  const paid = (retired - load<u64>(VM_BASE, VM_ARENA_FLUSHED_AT)) / REDECODE_SHARE;
  const before = <u64>load<u32>(VM_BASE, VM_ARENA_DEBT);
  const again = <u64>load<u32>(VM_BASE, VM_ARENA_AGAIN) * REDECODE_COST;
  const debt = (paid < before ? before - paid : 0) + again;
  const grows = debt >= ARENA_DEBT && limit < end;
  store<u32>(VM_BASE, 0, VM_ARENA_AGAIN);
  store<u64>(VM_BASE, retired, VM_ARENA_FLUSHED_AT);
  store<u32>(VM_BASE, <u32>(grows ? ARENA_DEBT_GROWN : min(debt, ARENA_DEBT)), VM_ARENA_DEBT);
  if (grows) store<u32>(VM_BASE, min(end, limit + ARENA_STEP), VM_ARENA_LIMIT);
  return grows;
}

/** A block was decoded: was one in its bucket before the arena was emptied? */
function countAgain(bucket: i32): void {
  const index = (bucket - load<i32>(VM_BASE, VM_BLOCK_MAP)) >> 2;
  const byte = load<i32>(VM_BASE, VM_ARENA_GONE) + (index >> 3);
  const bits = <u32>load<u8>(byte);
  const bit: u32 = 1 << (index & 7);
  if (!(bits & bit)) return;
  store<u8>(byte, bits & ~bit);
  store<u32>(VM_BASE, load<u32>(VM_BASE, VM_ARENA_AGAIN) + 1, VM_ARENA_AGAIN);
}

function newBlock(vcpu: i32, eip: u32, lin: u32, host: u32, mode: u32): i32 {
  store<u64>(vcpu, load<u64>(vcpu, COUNT_BLOCK_DECODE) + 1, COUNT_BLOCK_DECODE);
  let block = nextFree();
  if (block + LARGEST_BLOCK > load<i32>(VM_BASE, VM_ARENA_LIMIT) && !growArena(vcpu)) {
    flushBlocks(vcpu);
    store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_RECHECK, EVENT);
    block = nextFree();
  }
  const room = bytesToLimit(vcpu, eip, mode, 0x1000 - (lin & 0xfff));
  if (room == 0) {
    raise(vcpu, Vector.GP, 0);
    return 0;
  }
  const n = decodeInto(vcpu, block, host, room, mode, MAX_BLOCK);
  if (n == 0) return decodeCrossing(vcpu, eip, lin, host, mode);
  store<u32>(VM_BASE, block + BLOCK_RECORDS + (n + 1) * REC_STRIDE, VM_ARENA_NEXT);
  const bucket = blockBucket(host);
  countAgain(bucket);
  shortenChain(bucket);
  store<u32>(block, load<u32>(bucket), BLOCK_NEXT_HASH);
  store<u32>(bucket, block);
  addBlockToPage(block, host, load<u32>(block, BLOCK_BYTES));
  return block;
}

/** The block at CS:EIP, found or decoded. 0 with a fault or an exit recorded. */
export function findBlock(vcpu: i32, eip: u32): i32 {
  const mode = load<u32>(vcpu, MODE);
  const lin = eip + load<u32>(csAddress(vcpu), SEG_BASE);
  const host = fetchAddress(vcpu, lin);
  if (host == 0) {
    // a CS limit violation comes before the page fault of the fetch
    if (bytesToLimit(vcpu, eip, mode, 1) == 0) {
      clearForLimit(vcpu);
    }
    return 0;
  }
  let b = load<i32>(blockBucket(host));
  while (b != 0) {
    if (load<u32>(b, BLOCK_ADDR) == host && load<u32>(b, BLOCK_MODE) == mode) {
      if (mode & MODE_FLAT_CODE) return b;
      const bytes = load<u32>(b, BLOCK_BYTES);
      if (bytesToLimit(vcpu, eip, mode, bytes) >= bytes) return b;
      return scratchBlock(vcpu, eip);
    }
    b = load<i32>(b, BLOCK_NEXT_HASH);
  }
  return newBlock(vcpu, eip, lin, host, mode);
}

function clearForLimit(vcpu: i32): void {
  store<u32>(vcpu, 0, FAULT);
  raise(vcpu, Vector.GP, 0);
}
