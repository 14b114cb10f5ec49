// Around the hot loop: what it does not execute itself, and the way from block to block. See docs/ARCHITECTURE.md.
import {
  BLOCK_ADDR, BLOCK_BYTES, BLOCK_COUNT, BLOCK_EIP, BLOCK_MODE, BLOCK_RECORDS, BUDGET_END, CUR_BLOCK, CUR_REC, DERIVED_BASE, EIP, EVENT, EVENT_AND_FAULT, FLUSH_GEN,
  GENERAL_RECORD, JUMP_CACHE, JUMP_CACHE_ENTRIES, MODE_FLAT_CODE, NEXT_LINK, REC_END, REC_OP, REC_STRIDE, RETIRED,
} from "../../spec/layout";
import { decode, DECODE_END } from "../isa/decode";
import { execRare } from "../isa/rare";
import { execX87 } from "../isa/x87/exec";
import { findBlock } from "./blocks";
import { HOT_BOUNDARY, HOT_LOOKUP, HOT_RARE, HOT_SLOW, runHot } from "./interpreter.gen";

/** Stopped between blocks: EIP and RETIRED are exact. */
export const STOP_BOUNDARY: i32 = 0;
/** Stopped inside a block at CUR_REC: a fault is recorded, or an event followed that instruction. */
export const STOP_INSIDE: i32 = 1;
/** Stopped at CUR_REC before it was executed (its code was overwritten). */
export const STOP_BEFORE: i32 = 2;

/** Operations below this are the hot loop's. */
const FIRST_RARE: u32 = 0x100;
const X87_FAMILY: u32 = 4;

function eipBehind(vcpu: i32, rec: i32): u32 {
  return load<u32>(vcpu, BLOCK_EIP) + <u32>load<u8>(rec, REC_END);
}

function enter(vcpu: i32, block: i32, eip: u32): i32 {
  store<u32>(vcpu, block, CUR_BLOCK);
  store<u32>(vcpu, eip, BLOCK_EIP);
  return block + BLOCK_RECORDS;
}

/** Executes the instruction of the record at CUR_REC in its general form. True when it ends its block. */
function executeGeneral(vcpu: i32, rec: i32): bool {
  const block = load<i32>(vcpu, CUR_BLOCK);
  const code = load<i32>(block, BLOCK_ADDR);
  const general = vcpu + GENERAL_RECORD;
  const start = code + <i32>load<u8>(rec - REC_STRIDE, REC_END);
  const result = decode(vcpu, general, start, code + load<i32>(block, BLOCK_BYTES), load<u32>(block, BLOCK_MODE), true);
  store<u8>(general, result & 0xff, REC_END);
  execRare(vcpu, general, <u32>load<u16>(general, REC_OP));
  return (result & DECODE_END) != 0;
}

/**
 * Finds the block at EIP after the current one, and keeps its address at NEXT_LINK when both are in the same page.
 * 0 with a fault or exit recorded.
 */
function nextBlock(vcpu: i32): i32 {
  const block = load<i32>(vcpu, CUR_BLOCK);
  const eip = load<u32>(vcpu, EIP);
  const link = load<i32>(vcpu, NEXT_LINK);
  store<u32>(vcpu, 0, CUR_BLOCK);
  const generation = load<u32>(vcpu, FLUSH_GEN);
  const next = findBlock(vcpu, eip);
  if (next < DERIVED_BASE) return next;
  // only cached blocks are kept, and only while neither can have been dropped
  if (link != 0 && block >= DERIVED_BASE && (load<u32>(vcpu, BLOCK_EIP) ^ eip) >> 12 == 0 && load<u32>(vcpu, FLUSH_GEN) == generation)
    store<u32>(link, next);
  if (load<u32>(next, BLOCK_MODE) & MODE_FLAT_CODE) {
    const j = vcpu + <i32>(((eip ^ (eip >> 10)) & (JUMP_CACHE_ENTRIES - 1)) << 3);
    store<u32>(j, eip, JUMP_CACHE);
    store<u32>(j, next, JUMP_CACHE + 4);
  }
  return next;
}

/** Runs from block `first`, whose instructions fit the budget. Returns STOP_*. */
export function runBlocks(vcpu: i32, first: i32): i32 {
  let rec = enter(vcpu, first, load<u32>(vcpu, EIP));
  while (true) {
    const why = runHot(vcpu, rec);
    rec = load<i32>(vcpu, CUR_REC);
    if (why == HOT_RARE) {
      let op = <u32>load<u16>(rec, REC_OP);
      do {
        store<u32>(vcpu, rec, CUR_REC);
        store<u32>(vcpu, eipBehind(vcpu, rec), EIP);
        // x87 code comes in long runs: it gets there without the detour
        if (op >> 8 == X87_FAMILY) execX87(vcpu, rec);
        else execRare(vcpu, rec, op);
        if (load<u64>(vcpu, EVENT_AND_FAULT) != 0) return STOP_INSIDE;
        rec += REC_STRIDE;
        op = <u32>load<u16>(rec, REC_OP);
      } while (op >= FIRST_RARE);
      continue;
    }
    if (why == HOT_SLOW) {
      store<u32>(vcpu, eipBehind(vcpu, rec), EIP);
      const ends = executeGeneral(vcpu, rec);
      if (load<u64>(vcpu, EVENT_AND_FAULT) != 0) return STOP_INSIDE;
      rec += REC_STRIDE;
      if (!ends) continue;
      const block = load<i32>(vcpu, CUR_BLOCK);
      store<u64>(vcpu, load<u64>(vcpu, RETIRED) + <u64>load<u32>(block, BLOCK_COUNT), RETIRED);
      store<u32>(vcpu, 0, NEXT_LINK);
    } else if (why == HOT_BOUNDARY) {
      return STOP_BOUNDARY;
    } else if (why != HOT_LOOKUP) {
      store<u32>(vcpu, load<u32>(vcpu, BLOCK_EIP) + <u32>load<u8>(rec - REC_STRIDE, REC_END), EIP);
      return STOP_BEFORE;
    }
    const end = load<u64>(vcpu, BUDGET_END);
    if (load<u64>(vcpu, RETIRED) >= end) {
      store<u32>(vcpu, 0, CUR_BLOCK);
      return STOP_BOUNDARY;
    }
    const next = nextBlock(vcpu);
    if (next == 0 || load<u32>(vcpu, EVENT) != 0 || load<u64>(vcpu, RETIRED) + <u64>load<u32>(next, BLOCK_COUNT) > end) return STOP_BOUNDARY;
    rec = enter(vcpu, next, load<u32>(vcpu, EIP));
  }
}
