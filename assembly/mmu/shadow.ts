// Shadow paging: the MMU walks tables that the hypervisor keeps, never the guest's. An entry of theirs exists only while the
// guest's own entry allows it and has its accessed bit; it allows writes only when the dirty bit is set, too. So the
// guest's tables look as if the MMU had walked them: what it does not find exits, and is made from them on the way.
// SDM 3C 32.3 describes the scheme (virtual TLB) for VMX.
//
// Rights are kept as the guest's entries have them, level by level, and combined by the walk. CR0.WP, SMEP, SMAP and the
// privilege of the access are judged then, so no change of theirs concerns the tables.
import {
  CR0, CR3, CR4, EFER, EXIT_ADDR, EXIT_DATA, EXIT_NR, EXIT_SIZE, PAGE_TABLE, PDPTE, REPLAY_COUNT, SHADOW_ROOTS, TASK_COMMITTED, WALK_FLAGS, WALK_GPA,
} from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { CR0_PG, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE } from "../../spec/registers";
import { exitBefore } from "../cpu/fault";
import { replayTake } from "../cpu/replay";
import { hostAddress, pageFlagAddress, readPhysical32, readPhysical64 } from "./physical";
import {
  findTable, makeTable, ROLE_DIRECTORY, ROLE_KEY, ROLE_NXE, ROLE_PAE, ROLE_PGE, ROLE_PSE, SHADOW_BEYOND, SHADOW_PRESENT, tableAt, tableUsed,
  tableWriteTrapped,
} from "./shadow-pool";
import {
  ACCESS_WRITE, accessAllowed, BEYOND_MEMORY, walk, WALK_DIRTY, WALK_GLOBAL, WALK_LARGE, WALK_NX, WALK_USER, WALK_WRITABLE,
} from "./walk";

const PTE_P: u32 = 1;
const PTE_W: u32 = 2;
const PTE_U: u32 = 4;
const PTE_D: u32 = 64;
const PTE_PS: u32 = 128;
const PTE_G: u32 = 256;
/** Address bits 32 to 35 in an entry of a 4 MiB page. */
const PSE36_FRAME: u32 = 0x1e000;

function isPae(vcpu: i32): bool {
  return (load<u32>(vcpu, CR4) & CR4_PAE) != 0;
}

/** Key of the guest's table at `gpa`. One that lies in no memory reads as all ones, wherever it is. */
function keyOf(vcpu: i32, gpa: u32, directory: bool): u32 {
  const host = hostAddress(gpa & 0xfffff000);
  const cr4 = load<u32>(vcpu, CR4);
  let key: u32 = (host == 0 ? 0xfffff000 : host & 0xfffff000) | ROLE_KEY;
  if (directory) key |= ROLE_DIRECTORY;
  if (cr4 & CR4_PAE) key |= ROLE_PAE;
  else if (cr4 & CR4_PSE) key |= ROLE_PSE;
  if (cr4 & CR4_PGE) key |= ROLE_PGE;
  if (load<u32>(vcpu, EFER) & EFER_NXE) key |= ROLE_NXE;
  return key;
}

function tableFor(vcpu: i32, gpa: u32, directory: bool, keep: i32): u32 {
  const key = keyOf(vcpu, gpa, directory);
  const found = findTable(key);
  return found >= 0 ? <u32>found : makeTable(vcpu, key, keep);
}

function rootAddress(vcpu: i32, n: u32): i32 {
  return vcpu + SHADOW_ROOTS + <i32>(n << 2);
}

/** CR3, or what decides how tables are read, was loaded: finds or makes the shadows of the directories. */
export function loadShadowRoots(vcpu: i32): void {
  for (let n: u32 = 0; n < 4; n++) store<u32>(rootAddress(vcpu, n), 0);
  if (!(load<u32>(vcpu, CR0) & CR0_PG)) return;
  if (!isPae(vcpu)) {
    store<u32>(rootAddress(vcpu, 0), tableFor(vcpu, load<u32>(vcpu, CR3), true, -1) + 1);
    return;
  }
  for (let n: u32 = 0; n < 4; n++) {
    const entry = load<u64>(vcpu + <i32>(n << 3), PDPTE);
    // a directory beyond 4 GiB lies in no memory
    if (entry & 1) store<u32>(rootAddress(vcpu, n), tableFor(vcpu, entry >> 32 ? 0xfffff000 : <u32>entry, true, -1) + 1);
  }
}

function directoryIndex(pae: bool, lin: u32): u32 {
  return pae ? (lin >> 21) & 0x1ff : lin >> 22;
}

/** What the walk of the shadows came to. */
const FOUND: u32 = 0;
const MISSING: u32 = 1;
const CLEAN: u32 = 2; // all is there for the access but the dirty bit

/** Walks the shadow tables. With FOUND the result is in WALK_GPA and WALK_FLAGS. */
function walkShadow(vcpu: i32, lin: u32, access: u32, user: bool): u32 {
  const pae = isPae(vcpu);
  const root = load<u32>(rootAddress(vcpu, pae ? lin >> 30 : 0));
  if (root == 0) return MISSING;
  const upper = load<u32>(tableAt(root - 1) + <i32>(directoryIndex(pae, lin) << 2));
  if (!(upper & SHADOW_PRESENT)) return MISSING;
  let rights: u32;
  let gpa: u32;
  if (upper & WALK_LARGE) {
    rights = upper & 63;
    gpa = upper & SHADOW_BEYOND ? BEYOND_MEMORY | (lin & 0xfff) : (upper & 0xfffff000) | (lin & (pae ? 0x1fffff : 0x3fffff));
  } else {
    const entry = load<u32>(tableAt(upper >> 12) + <i32>((pae ? (lin >> 12) & 0x1ff : (lin >> 12) & 0x3ff) << 2));
    if (!(entry & SHADOW_PRESENT)) return MISSING;
    rights = (upper & entry & (WALK_USER | WALK_WRITABLE)) | ((upper | entry) & WALK_NX) | (entry & (WALK_DIRTY | WALK_GLOBAL));
    gpa = (entry & 0xfffff000) | (lin & 0xfff);
  }
  if (!accessAllowed(vcpu, rights, access, user)) return MISSING;
  if (access == ACCESS_WRITE && !(rights & WALK_DIRTY)) return CLEAN;
  store<u32>(vcpu, gpa, WALK_GPA);
  store<u32>(vcpu, rights, WALK_FLAGS);
  return FOUND;
}

/** Rights of a guest entry: U and W, NX of the upper half. */
function rightsOf(low: u32, high: u32): u32 {
  return SHADOW_PRESENT | (low & PTE_U ? WALK_USER : 0) | (low & PTE_W ? WALK_WRITABLE : 0) | (high >> 31 ? WALK_NX : 0);
}

/** Rights of a guest entry that maps a page. */
function leafRights(vcpu: i32, low: u32, high: u32): u32 {
  let rights = rightsOf(low, high);
  if (low & PTE_D) rights |= WALK_DIRTY;
  if (low & PTE_G && load<u32>(vcpu, CR4) & CR4_PGE) rights |= WALK_GLOBAL;
  return rights;
}

/** Makes the shadow entries for `lin` of the guest's, which the walk has just found good and marked. */
function fillShadow(vcpu: i32, lin: u32): void {
  const pae = isPae(vcpu);
  const n: u32 = pae ? lin >> 30 : 0;
  if (load<u32>(rootAddress(vcpu, n)) == 0) loadShadowRoots(vcpu);
  const root = load<u32>(rootAddress(vcpu, n)) - 1;
  const index = directoryIndex(pae, lin);
  let low: u32;
  let high: u32 = 0;
  if (pae) {
    const entry = readPhysical64((<u32>load<u64>(vcpu + <i32>(n << 3), PDPTE) & 0xfffff000) | (index << 3));
    low = <u32>entry;
    high = <u32>(entry >> 32);
  } else low = readPhysical32((load<u32>(vcpu, CR3) & 0xfffff000) | (index << 2));
  const upper = tableAt(root) + <i32>(index << 2);
  tableUsed(root);
  const gpa = load<u32>(vcpu, WALK_GPA);
  const dirty = load<u32>(vcpu, WALK_FLAGS) & WALK_DIRTY;
  if (load<u32>(vcpu, WALK_FLAGS) & WALK_LARGE) {
    const size: u32 = pae ? 0x1fffff : 0x3fffff;
    const beyond = pae ? high & 0x7fffffff : low & PSE36_FRAME;
    store<u32>(upper, (beyond ? SHADOW_BEYOND : gpa & ~size) | leafRights(vcpu, low, high) | dirty | WALK_LARGE);
    return;
  }
  const beyond = high & 0x7fffffff;
  const table = tableFor(vcpu, beyond ? 0xfffff000 : low, false, <i32>root);
  store<u32>(upper, (table << 12) | rightsOf(low, high));
  const slot: u32 = pae ? (lin >> 12) & 0x1ff : (lin >> 12) & 0x3ff;
  high = 0;
  if (pae) {
    const entry = beyond ? <u64>0xffffffffffffffff : readPhysical64((low & 0xfffff000) | (slot << 3));
    low = <u32>entry;
    high = <u32>(entry >> 32);
  } else low = readPhysical32((low & 0xfffff000) | (slot << 2));
  tableUsed(table);
  store<u32>(tableAt(table) + <i32>(slot << 2), (gpa & 0xfffff000) | leafRights(vcpu, low, high) | dirty);
}

/**
 * The walk of an access under shadow paging; as `walk`. What the shadows lack is put into them and exits, so that the access is
 * made again; a fault of the guest's own exits, too, before it is raised: only the hypervisor can tell one from the other.
 */
export function shadowTranslate(vcpu: i32, lin: u32, access: u32, user: bool): bool {
  const found = walkShadow(vcpu, lin, access, user);
  if (found == FOUND) return true;
  if (load<u32>(vcpu, TASK_COMMITTED) != 0) {
    // in the second half of a task switch, which cannot be made again: the hypervisor is at work already
    if (!walk(vcpu, lin, access, user, false)) return false;
    fillShadow(vcpu, lin);
    return true;
  }
  if (!walk(vcpu, lin, access, user, true)) {
    if (replayTake(vcpu, Exit.PageFault, lin)) return walk(vcpu, lin, access, user, false);
    store<u64>(vcpu, lin, EXIT_ADDR);
    store<u32>(vcpu, lin, EXIT_NR);
    exitBefore(vcpu, Exit.PageFault);
    return false;
  }
  walk(vcpu, lin, access, user, false);
  fillShadow(vcpu, lin);
  store<u64>(vcpu, lin, EXIT_ADDR);
  exitBefore(vcpu, found == CLEAN ? Exit.ShadowDirty : Exit.ShadowFill);
  return false;
}

/**
 * Before `size` bytes at `host` are written by the guest under shadow paging: true when they lie in a protected table and the
 * hypervisor has not seen the write yet, which exits. Afterwards the guest makes it itself, and beforeWrite forgets what it changes.
 */
export function tableWriteExits(vcpu: i32, host: u32, gpa: u32, size: u32, value: u64): bool {
  if (load<u32>(vcpu, TASK_COMMITTED) != 0) return false;
  const guarded = (<u32>load<u8>(pageFlagAddress(host)) & PAGE_TABLE) != 0;
  if (!guarded && load<u32>(vcpu, REPLAY_COUNT) == 0) return false;
  if (replayTake(vcpu, Exit.PageTableWrite | (size << 8), gpa)) {
    if (guarded) tableWriteTrapped(vcpu, host);
    return false;
  }
  if (!guarded) return false;
  store<u64>(vcpu, gpa, EXIT_ADDR);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u64>(vcpu, value, EXIT_DATA);
  exitBefore(vcpu, Exit.PageTableWrite);
  return true;
}
