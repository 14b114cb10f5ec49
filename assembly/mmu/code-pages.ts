// Self-modifying code. A page that holds decoded blocks has no write tag in any TLB, so every write to it comes here.
// A bit for each 64-byte granule says where instructions are: data beside code costs a slow write and nothing more.
import {
  BLOCK_ADDR, BLOCK_COUNT, BLOCK_LINK_NEXT, BLOCK_LINK_TAKEN, BLOCK_NEXT_HASH, BLOCK_NEXT_PAGE, BLOCK_RECORDS, COUNT_SMC, COUNT_ARENA_FLUSH, FLUSH_GEN, JUMP_CACHE, JUMP_CACHE_ENTRIES,
  PAGE_CODE, REC_OP, REC_STRIDE, TLB_DELTA, TLB_JOURNAL, TLB_JOURNAL_COUNT, TLB_NO_TAG, TLB_WRITE, VCPU_BASE, VCPU_STRIDE, VM_ARENA_BASE, VM_ARENA_GONE, VM_ARENA_NEXT,
  VM_BASE, VM_BLOCK_MAP, VM_CODE_BITS, VM_PAGE_BLOCKS, VM_PAGE_FLAGS, VM_VCPU_COUNT, BLOCK_MAP_ENTRIES, BLOCK_MODE,
} from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { flushBaseCache } from "../cpu/fault";

/** Bucket of the block map for a Wasm address. */
export function blockBucket(addr: u32): i32 {
  return load<i32>(VM_BASE, VM_BLOCK_MAP) + <i32>(((addr ^ (addr >> 15)) & (BLOCK_MAP_ENTRIES - 1)) << 2);
}

function granules(offset: u32, size: u32): u64 {
  const first = offset >> 6;
  const last = (offset + size - 1) >> 6;
  return (<u64>0xffffffffffffffff >> (63 - (last - first))) << first;
}

/** Enters a block into its page: marks the granules, and takes write tags away when the page becomes a code page. */
export function addBlockToPage(block: i32, addr: u32, sizeBytes: u32): void {
  const page = addr >> 12;
  const head = load<i32>(VM_BASE, VM_PAGE_BLOCKS) + <i32>(page << 2);
  store<u32>(block, load<u32>(head), BLOCK_NEXT_PAGE);
  store<u32>(head, block);
  const bits = load<i32>(VM_BASE, VM_CODE_BITS) + <i32>(page << 3);
  if (sizeBytes) store<u64>(bits, load<u64>(bits) | granules(addr & 0xfff, sizeBytes));
  const flags = load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>page;
  if (!(<u32>load<u8>(flags) & PAGE_CODE)) {
    store<u8>(flags, <u32>load<u8>(flags) | PAGE_CODE);
    dropWriteTags(page);
  }
}

/** Removes the write tag of every TLB entry that maps the Wasm page. */
export function dropWriteTags(page: u32): void {
  const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let v = 0; v < vcpus; v++) {
    const vcpu = VCPU_BASE + v * VCPU_STRIDE;
    flushBaseCache(vcpu);
    const n = load<i32>(vcpu, TLB_JOURNAL_COUNT);
    for (let i = 0; i < n; i++) {
      const e = load<i32>(vcpu + TLB_JOURNAL + (i << 2)) & ~15;
      const tag = load<u32>(e, TLB_WRITE);
      if (!(tag & 0xfff) && (tag + load<u32>(e, TLB_DELTA)) >> 12 == page) store<u32>(e, TLB_NO_TAG, TLB_WRITE);
    }
  }
}

function unlinkFromMap(block: i32): void {
  let p = blockBucket(load<u32>(block, BLOCK_ADDR));
  while (true) {
    const b = load<i32>(p);
    if (b == 0) return;
    if (b == block) {
      store<u32>(p, load<u32>(block, BLOCK_NEXT_HASH));
      return;
    }
    p = b + BLOCK_NEXT_HASH;
  }
}

/** Makes every record of the block look itself up again, so that execution inside it notices at the next instruction. */
export function killBlock(block: i32): void {
  unlinkFromMap(block);
  const n = load<i32>(block, BLOCK_COUNT);
  for (let i = 0; i <= n; i++) {
    const rec = block + BLOCK_RECORDS + i * REC_STRIDE;
    store<u16>(rec, Op.REDECODE, REC_OP);
  }
  store<u32>(block, 0, BLOCK_LINK_TAKEN);
  store<u32>(block, 0, BLOCK_LINK_NEXT);
  store<u32>(block, 0xffffffff, BLOCK_MODE);
}

/** Invalidates all decoded code of a Wasm page. */
export function invalidateCodePage(vcpu: i32, page: u32): void {
  const head = load<i32>(VM_BASE, VM_PAGE_BLOCKS) + <i32>(page << 2);
  let b = load<i32>(head);
  store<u32>(head, 0);
  while (b != 0) {
    const next = load<i32>(b, BLOCK_NEXT_PAGE);
    killBlock(b);
    b = next;
  }
  store<u64>(load<i32>(VM_BASE, VM_CODE_BITS) + <i32>(page << 3), 0);
  const flags = load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>page;
  store<u8>(flags, <u32>load<u8>(flags) & ~PAGE_CODE);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_SMC) + 1, COUNT_SMC);
  store<u32>(vcpu, load<u32>(vcpu, FLUSH_GEN) + 1, FLUSH_GEN);
}

/** A write of `size` bytes (inside one page) to a page that holds code. */
export function codeWritten(vcpu: i32, host: u32, size: u32): void {
  const page = host >> 12;
  const bits = load<u64>(load<i32>(VM_BASE, VM_CODE_BITS) + <i32>(page << 3));
  if (bits & granules(host & 0xfff, size)) invalidateCodePage(vcpu, page);
}

/** So many times the arena is emptied before it is forgotten which blocks it had: a loop may be larger than the arena. */
const GONE_FLUSHES: u64 = 4;

/** Forgets every decoded block (arena full, snapshot restore). */
export function flushBlocks(vcpu: i32): void {
  const map = load<i32>(VM_BASE, VM_BLOCK_MAP);
  const forgets = load<u64>(vcpu, COUNT_ARENA_FLUSH) % GONE_FLUSHES == 0;
  for (let i = 0; i < BLOCK_MAP_ENTRIES; i++) {
    let b = load<i32>(map + (i << 2));
    const gone = load<i32>(VM_BASE, VM_ARENA_GONE) + (i >> 3);
    const bit: u32 = 1 << (i & 7);
    const bits = <u32>load<u8>(gone);
    const now = b != 0 ? bits | bit : forgets ? bits & ~bit : bits;
    if (now != bits) store<u8>(gone, now);
    while (b != 0) {
      const page = load<u32>(b, BLOCK_ADDR) >> 12;
      store<u32>(load<i32>(VM_BASE, VM_PAGE_BLOCKS) + <i32>(page << 2), 0);
      store<u64>(load<i32>(VM_BASE, VM_CODE_BITS) + <i32>(page << 3), 0);
      const flags = load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>page;
      store<u8>(flags, <u32>load<u8>(flags) & ~PAGE_CODE);
      b = load<i32>(b, BLOCK_NEXT_HASH);
    }
    store<u32>(map + (i << 2), 0);
  }
  store<u32>(VM_BASE, load<u32>(VM_BASE, VM_ARENA_BASE), VM_ARENA_NEXT);
  const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let i = 0; i < vcpus; i++) memory.fill(VCPU_BASE + i * VCPU_STRIDE + JUMP_CACHE, 0, JUMP_CACHE_ENTRIES << 3);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_ARENA_FLUSH) + 1, COUNT_ARENA_FLUSH);
  store<u32>(vcpu, load<u32>(vcpu, FLUSH_GEN) + 1, FLUSH_GEN);
}
