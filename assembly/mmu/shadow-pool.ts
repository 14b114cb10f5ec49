// Where shadow page tables lie: a pool outside guest RAM, found by the guest table that each one shadows. It is bounded; when it
// is full an eighth of it is given up, oldest first with a second chance for those that were filled since.
//
//   header | one META a table | hash | tables of 1024 u32
//
// A table of the guest that has a shadow is write-protected by its page's flag PAGE_TABLE: no TLB entry lets the guest write
// there. The flag is the page's, so it holds for every mapping, also for those by large pages.
import {
  COUNT_SHADOW_DROPPED, COUNT_SHADOW_TABLE, PAGE_TABLE, SHADOW_ROOTS, VCPU_BASE, VCPU_STRIDE, VM_BASE, VM_PAGE_FLAGS, VM_SHADOW_BASE,
  VM_SHADOW_END, VM_VCPU_COUNT,
} from "../../spec/layout";
import { dropWriteTags } from "./code-pages";
import { WALK_LARGE } from "./walk";

// header
const POOL_COUNT: i32 = 0; // u32 tables there is room for
const POOL_FREE: i32 = 4; // u32 first free table, index plus 1
const POOL_HAND: i32 = 8; // u32 where the search for tables to give up goes on
const POOL_TABLES: i32 = 12; // u32 Wasm address of the first table
const HEADER_SIZE: i32 = 4096;

// META of one table
const META_STRIDE: i32 = 16;
const META_KEY: i32 = 0; // u32 page of the guest's table, ROLE_* in the lowest bits; 0 = free
const META_NEXT: i32 = 4; // u32 next of its bucket or of the free ones, index plus 1
const META_USED: i32 = 8; // u32 1 = filled since the hand last passed
const META_WRITES: i32 = 12; // u32 trapped writes since it was last filled

const HASH_BITS: u32 = 12;
const HASH_SIZE: i32 = 4 << HASH_BITS;
const TABLE_SIZE: i32 = 4096;

/** What a key's lowest bits say: how the guest's entries are read. */
export const ROLE_KEY: u32 = 0x800; // no key is 0
export const ROLE_DIRECTORY: u32 = 1;
export const ROLE_PAE: u32 = 2;
export const ROLE_PSE: u32 = 4;
export const ROLE_PGE: u32 = 8;
export const ROLE_NXE: u32 = 16;

/** An entry is 0 or has this bit; the others of its lowest twelve are WALK_*. A directory's entry names a table by its index. */
export const SHADOW_PRESENT: u32 = 64;
/** A large page beyond 4 GiB, where no memory is. */
export const SHADOW_BEYOND: u32 = 128;

/** Trapped writes without a use between them after which a table is no longer shadowed: it is being filled or cleared. */
const WRITES_MAX: u32 = 128;

function pool(): i32 {
  return load<i32>(VM_BASE, VM_SHADOW_BASE);
}

function metaAt(index: u32): i32 {
  return pool() + HEADER_SIZE + <i32>index * META_STRIDE;
}

function bucketOf(page: u32): i32 {
  const count = load<i32>(pool(), POOL_COUNT);
  return pool() + HEADER_SIZE + count * META_STRIDE + <i32>(((page >> 12) & ((1 << HASH_BITS) - 1)) << 2);
}

/** Wasm address of a table's entries. */
export function tableAt(index: u32): i32 {
  return load<i32>(pool(), POOL_TABLES) + <i32>index * TABLE_SIZE;
}

/** The pool empty, and no table of the guest protected for it. */
export function resetPool(): void {
  const base = pool();
  if (base == 0) return;
  const old = load<u32>(base, POOL_COUNT);
  for (let i: u32 = 0; i < old; i++) unprotect(load<u32>(metaAt(i), META_KEY));
  const room = load<i32>(VM_BASE, VM_SHADOW_END) - base - HEADER_SIZE - HASH_SIZE - TABLE_SIZE;
  const count = room / (META_STRIDE + TABLE_SIZE);
  store<u32>(base, count, POOL_COUNT);
  store<u32>(base, 0, POOL_HAND);
  store<u32>(base, 1, POOL_FREE);
  const metas = base + HEADER_SIZE;
  memory.fill(metas, 0, count * META_STRIDE + HASH_SIZE);
  for (let i = 0; i + 1 < count; i++) store<u32>(metas + i * META_STRIDE, i + 2, META_NEXT);
  store<i32>(base, (metas + count * META_STRIDE + HASH_SIZE + TABLE_SIZE - 1) & ~(TABLE_SIZE - 1), POOL_TABLES);
  const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let v = 0; v < vcpus; v++) memory.fill(VCPU_BASE + v * VCPU_STRIDE + SHADOW_ROOTS, 0, 16);
}

/** Index of the table for a key, or -1. */
export function findTable(key: u32): i32 {
  let next = load<u32>(bucketOf(key));
  while (next != 0) {
    const meta = metaAt(next - 1);
    if (load<u32>(meta, META_KEY) == key) return <i32>next - 1;
    next = load<u32>(meta, META_NEXT);
  }
  return -1;
}

/** The table was filled: it is in use. */
export function tableUsed(index: u32): void {
  const meta = metaAt(index);
  store<u32>(meta, 1, META_USED);
  store<u32>(meta, 0, META_WRITES);
}

function flagOf(key: u32): i32 {
  return load<i32>(VM_BASE, VM_PAGE_FLAGS) + <i32>(key >> 12);
}

/** A key's page is memory: the tables of memory that is not there share the last page, which nobody can write. */
const NO_PAGE: u32 = 0xfffff;

function protect(key: u32): void {
  if (key >> 12 == NO_PAGE) return;
  const flag = flagOf(key);
  const flags = <u32>load<u8>(flag);
  if (flags & PAGE_TABLE) return;
  store<u8>(flag, flags | PAGE_TABLE);
  dropWriteTags(key >> 12);
}

function unprotect(key: u32): void {
  if (key == 0 || key >> 12 == NO_PAGE) return;
  const flag = flagOf(key);
  store<u8>(flag, <u32>load<u8>(flag) & ~PAGE_TABLE);
}

/** An empty table for a key. `keep` is the index of one that must stay, or -1. */
export function makeTable(vcpu: i32, key: u32, keep: i32): u32 {
  const base = pool();
  if (load<u32>(base, POOL_FREE) == 0) makeRoom(vcpu, keep);
  const index = load<u32>(base, POOL_FREE) - 1;
  const meta = metaAt(index);
  store<u32>(base, load<u32>(meta, META_NEXT), POOL_FREE);
  const bucket = bucketOf(key);
  store<u32>(meta, key, META_KEY);
  store<u32>(meta, load<u32>(bucket), META_NEXT);
  store<u32>(bucket, index + 1);
  tableUsed(index);
  memory.fill(tableAt(index), 0, TABLE_SIZE);
  protect(key);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_SHADOW_TABLE) + 1, COUNT_SHADOW_TABLE);
  return index;
}

function isRoot(index: u32): bool {
  const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
  for (let v = 0; v < vcpus; v++) {
    const roots = VCPU_BASE + v * VCPU_STRIDE + SHADOW_ROOTS;
    for (let i = 0; i < 4; i++) if (load<u32>(roots + (i << 2)) == index + 1) return true;
  }
  return false;
}

/** Takes a table out; directories may still name it until `sweep`. */
function free(vcpu: i32, index: u32): void {
  const meta = metaAt(index);
  const key = load<u32>(meta, META_KEY);
  let at = bucketOf(key);
  while (load<u32>(at) != index + 1) at = metaAt(load<u32>(at) - 1) + META_NEXT;
  store<u32>(at, load<u32>(meta, META_NEXT));
  // the page may be shadowed in another role, too
  let shared = false;
  for (let next = load<u32>(bucketOf(key)); next != 0; next = load<u32>(metaAt(next - 1), META_NEXT)) {
    if ((load<u32>(metaAt(next - 1), META_KEY) ^ key) >> 12 == 0) shared = true;
  }
  if (!shared) unprotect(key);
  store<u32>(meta, 0, META_KEY);
  store<u32>(meta, load<u32>(pool(), POOL_FREE), META_NEXT);
  store<u32>(pool(), index + 1, POOL_FREE);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_SHADOW_DROPPED) + 1, COUNT_SHADOW_DROPPED);
}

/** Makes directories forget tables that are gone. */
function sweep(): void {
  const count = load<u32>(pool(), POOL_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    if (!(load<u32>(metaAt(i), META_KEY) & ROLE_DIRECTORY)) continue;
    const table = tableAt(i);
    for (let at = table; at < table + TABLE_SIZE; at += 4) {
      const entry = load<u32>(at);
      if (entry & SHADOW_PRESENT && !(entry & WALK_LARGE) && load<u32>(metaAt(entry >> 12), META_KEY) == 0) store<u32>(at, 0);
    }
  }
}

function makeRoom(vcpu: i32, keep: i32): void {
  const base = pool();
  const count = load<u32>(base, POOL_COUNT);
  let hand = load<u32>(base, POOL_HAND);
  let wanted = max<u32>(count >> 3, 1);
  // twice round: the first time takes the second chances away
  for (let looked: u32 = 0; looked < count << 1 && wanted > 0; looked++) {
    const meta = metaAt(hand);
    if (load<u32>(meta, META_KEY) != 0 && <i32>hand != keep && !isRoot(hand)) {
      if (load<u32>(meta, META_USED) == 0) {
        free(vcpu, hand);
        wanted--;
      } else store<u32>(meta, 0, META_USED);
    }
    hand = hand + 1 == count ? 0 : hand + 1;
  }
  store<u32>(base, hand, POOL_HAND);
  sweep();
}

/** Bytes of a protected page change: what is derived from entries there is forgotten. */
export function forgetEntries(host: u32, size: u32): void {
  if (pool() == 0) return;
  const offset = host & 0xfff;
  let next = load<u32>(bucketOf(host));
  while (next != 0) {
    const meta = metaAt(next - 1);
    const key = load<u32>(meta, META_KEY);
    if ((key ^ host) >> 12 == 0) {
      const shift: u32 = key & ROLE_PAE ? 3 : 2;
      const table = tableAt(next - 1);
      for (let i = offset >> shift; i <= (offset + size - 1) >> shift; i++) store<u32>(table + <i32>(i << 2), 0);
    }
    next = load<u32>(meta, META_NEXT);
  }
}

/** A write of the guest to a protected page was trapped. One that is only written to is shadowed no longer, unless it is in use. */
export function tableWriteTrapped(vcpu: i32, host: u32): void {
  let next = load<u32>(bucketOf(host));
  let dropped = false;
  while (next != 0) {
    const index = next - 1;
    const meta = metaAt(index);
    next = load<u32>(meta, META_NEXT);
    if ((load<u32>(meta, META_KEY) ^ host) >> 12 != 0) continue;
    const writes = load<u32>(meta, META_WRITES) + 1;
    store<u32>(meta, writes, META_WRITES);
    if (writes >= WRITES_MAX && !isRoot(index)) {
      free(vcpu, index);
      dropped = true;
    }
  }
  if (dropped) sweep();
}
