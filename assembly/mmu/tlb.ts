// TLB maintenance: filling, and the flushes of SDM 3A 4.10.4. A journal of filled entries makes a flush cost what the
// fills since the last one cost, and lets global entries stay.
import {
  COUNT_TLB_FLUSH, CTRL_PAGING, JOURNAL_GLOBAL, JOURNAL_LARGE, JUMP_CACHE, JUMP_CACHE_ENTRIES, PAGING_SHADOW, TLB_EXEC, TLB_JOURNAL, TLB_JOURNAL_COUNT, TLB_JOURNAL_MAX, TLB_LARGE_COUNT,
  TLB_NO_TAG, TLB_NULL, TLB_READ, TLB_SIZE, TLB_SUPER, TLB_SUPER_AC, TLB_USER, TLB_WRITE,
} from "../../spec/layout";
import { flushBaseCache } from "../cpu/fault";
import { Mem } from "./access";
import { loadShadowRoots } from "./shadow";

/** Forgets what was derived from TLB entries: where indirect transfers went, and the pages of base registers. */
export function flushDerived(vcpu: i32): void {
  memory.fill(vcpu + JUMP_CACHE, 0, JUMP_CACHE_ENTRIES << 3);
  flushBaseCache(vcpu);
}

export function initTlbs(vcpu: i32): void {
  memory.fill(TLB_NULL, 1, TLB_SIZE);
  flushTlbAll(vcpu);
}

function clearEntry(e: i32): void {
  store<u32>(e, TLB_NO_TAG, TLB_READ);
  store<u32>(e, TLB_NO_TAG, TLB_WRITE);
  store<u32>(e, TLB_NO_TAG, TLB_EXEC);
}

/** Drops everything, global entries too (CR0.PG, CR4 paging bits, PAE, A20). */
export function flushTlbAll(vcpu: i32): void {
  flushDerived(vcpu);
  memory.fill(load<i32>(vcpu, TLB_USER), 1, TLB_SIZE);
  memory.fill(load<i32>(vcpu, TLB_SUPER), 1, TLB_SIZE);
  memory.fill(load<i32>(vcpu, TLB_SUPER_AC), 1, TLB_SIZE);
  store<u32>(vcpu, 0, TLB_JOURNAL_COUNT);
  store<u32>(vcpu, 0, TLB_LARGE_COUNT);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_TLB_FLUSH) + 1, COUNT_TLB_FLUSH);
  // how the guest's tables are read may have changed
  if (load<u32>(vcpu, CTRL_PAGING) == PAGING_SHADOW) loadShadowRoots(vcpu);
}

/** Drops all but global entries (MOV CR3). */
export function flushTlb(vcpu: i32): void {
  flushDerived(vcpu);
  const n = load<i32>(vcpu, TLB_JOURNAL_COUNT);
  let kept = 0;
  let large: u32 = 0;
  for (let i = 0; i < n; i++) {
    const j = load<u32>(vcpu + TLB_JOURNAL + (i << 2));
    if (j & JOURNAL_GLOBAL) {
      store<u32>(vcpu + TLB_JOURNAL + (kept << 2), j);
      kept++;
      if (j & JOURNAL_LARGE) large++;
    } else {
      clearEntry(<i32>(j & ~15));
    }
  }
  store<u32>(vcpu, kept, TLB_JOURNAL_COUNT);
  store<u32>(vcpu, large, TLB_LARGE_COUNT);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_TLB_FLUSH) + 1, COUNT_TLB_FLUSH);
}

/** Drops what the table at `tlb` has of a page. */
function dropPage(tlb: i32, page: u32): void {
  const e = Mem.entry(tlb, page);
  if (load<u32>(e, TLB_READ) == page || load<u32>(e, TLB_WRITE) == page || load<u32>(e, TLB_EXEC) == page) clearEntry(e);
}

/** INVLPG: the page's entries, global or not; where it may be part of a large page, every entry of large pages. */
export function invalidatePage(vcpu: i32, lin: u32): void {
  flushDerived(vcpu);
  const page = lin & ~0xfff;
  dropPage(load<i32>(vcpu, TLB_USER), page);
  dropPage(load<i32>(vcpu, TLB_SUPER), page);
  dropPage(load<i32>(vcpu, TLB_SUPER_AC), page);
  if (load<u32>(vcpu, TLB_LARGE_COUNT) == 0) return;
  const n = load<i32>(vcpu, TLB_JOURNAL_COUNT);
  for (let i = 0; i < n; i++) {
    const j = load<u32>(vcpu + TLB_JOURNAL + (i << 2));
    if (!(j & JOURNAL_LARGE)) continue;
    const e = <i32>(j & ~15);
    let tag = load<u32>(e, TLB_READ);
    if (tag & 0xfff) tag = load<u32>(e, TLB_EXEC);
    if (tag & 0xfff) tag = load<u32>(e, TLB_WRITE);
    if (!(tag & 0xfff) && (tag ^ lin) >> 22 == 0) clearEntry(e);
  }
}

/**
 * Fills the entry of `lin` in the table at `tlb`. `rights` is a set of FILL_*: the tags to set beside those that the same page already has.
 */
export const FILL_READ: u32 = 1;
export const FILL_WRITE: u32 = 2;
export const FILL_EXEC: u32 = 4;

export function fillTlb(vcpu: i32, tlb: i32, lin: u32, host: u32, rights: u32, journal: u32): void {
  if (load<i32>(vcpu, TLB_JOURNAL_COUNT) >= TLB_JOURNAL_MAX) flushTlbAll(vcpu);
  const e = Mem.entry(tlb, lin);
  const page = lin & ~0xfff;
  store<u32>(e, rights & FILL_READ ? page : TLB_NO_TAG, TLB_READ);
  store<u32>(e, rights & FILL_WRITE ? page : TLB_NO_TAG, TLB_WRITE);
  store<u32>(e, rights & FILL_EXEC ? page : TLB_NO_TAG, TLB_EXEC);
  store<u32>(e, (host & ~0xfff) - page, 12);
  const n = load<i32>(vcpu, TLB_JOURNAL_COUNT);
  store<u32>(vcpu + TLB_JOURNAL + (n << 2), <u32>e | journal);
  store<u32>(vcpu, n + 1, TLB_JOURNAL_COUNT);
  if (journal & JOURNAL_LARGE) store<u32>(vcpu, load<u32>(vcpu, TLB_LARGE_COUNT) + 1, TLB_LARGE_COUNT);
}

