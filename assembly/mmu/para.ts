// Para paging: the guest's own tables, registered, read-only to it, and changed by hypercalls that check every entry.
// docs/HYPERCALLS.md is the interface, table-refs.ts the account of which page is used as what.
import {
  COUNT_TABLE_UPDATE, CR0, CR3, CR4, CTRL_PAGING, PAGING_PARA, PIN_LEVELS, PINS_BASE, PINS_SIZE, VCPU_BASE, VCPU_STRIDE, VM_BASE, VM_TABLE_REFS,
  VM_TABLE_WORK, VM_VCPU_COUNT,
} from "../../spec/layout";
import { HC_EBUSY, HC_EFAULT, HC_EINVAL, HC_ENODEV, HC_ENOMEM, HC_ENOSYS, HC_MMU_BATCH_MAX, HC_MMU_PINS_MAX } from "../../spec/hypercalls";
import { CR0_PG } from "../../spec/registers";
import { loadPdptes } from "../cpu/paging";
import { beforeWrite, ramAt } from "./physical";
import {
  acquireDirectory, acquireEntry, acquireRootEntry, addRef, AS_DIRECTORY, AS_ROOT, AS_TABLE, checkLeaf, clearRefs, countOf, dropRef, paeTables, refsOf,
  releaseDirectory, releaseEntry, releaseRootEntry,
} from "./table-refs";
import { flushTlbAll } from "./tlb";

/** Entries that one hypercall looks at before it stops early. */
const WORK_MAX: u32 = 0x100000;
const PTE_P: u64 = 1;

function pinCount(): u32 {
  return load<u32>(PINS_BASE);
}

function pinAddress(n: u32): i32 {
  return PINS_BASE + 4 + <i32>(n << 2);
}

/** Index of a root in the list, or -1. */
function findPin(root: u32): i32 {
  const count = min<u32>(pinCount(), HC_MMU_PINS_MAX);
  for (let n: u32 = 0; n < count; n++) if ((load<u32>(pinAddress(n)) & ~PIN_LEVELS) == root) return <i32>n;
  return -1;
}

/** The part of a CR3 value that says where the root lies. */
function rootOf(cr3: u32): u32 {
  return cr3 & (paeTables() ? 0xffffffe0 : 0xfffff000);
}

/** True when CR3 may be loaded so: any value before the first root is registered, registered ones afterwards. */
export function rootAllowed(vcpu: i32, cr3: u32): bool {
  return pinCount() == 0 || findPin(rootOf(cr3)) >= 0;
}

/** True when CR0 and CR4 may not change how tables are read: some are registered. */
export function tablesHeld(vcpu: i32): bool {
  return load<u32>(vcpu, CTRL_PAGING) == PAGING_PARA && pinCount() != 0;
}

/** Uses of a root itself. 0 or an error. */
function acquireRoot(root: u32): i32 {
  const host = ramAt(root, paeTables() ? 32 : 4096);
  if (host == 0) return -HC_EFAULT;
  if (!paeTables()) return acquireDirectory(host);
  if (!addRef(host, AS_ROOT)) return -HC_ENOMEM;
  for (let i = 0; i < 4; i++) {
    const error = acquireRootEntry(load<u64>(<i32>host + (i << 3)));
    if (error == 0) continue;
    for (let k = 0; k < i; k++) releaseRootEntry(load<u64>(<i32>host + (k << 3)));
    dropRef(host, AS_ROOT);
    return error;
  }
  return 0;
}

function releaseRoot(root: u32): void {
  const host = ramAt(root, paeTables() ? 32 : 4096);
  if (host == 0) return;
  if (!paeTables()) return releaseDirectory(host);
  dropRef(host, AS_ROOT);
  for (let i = 0; i < 4; i++) releaseRootEntry(load<u64>(<i32>host + (i << 3)));
}

function isPaged(vcpu: i32): bool {
  return (load<u32>(vcpu, CR0) & CR0_PG) != 0;
}

/** HC_MMU_PIN */
export function pinRoot(vcpu: i32, root: u32, levels: u32): i32 {
  if (load<u32>(vcpu, CTRL_PAGING) != PAGING_PARA) return -HC_ENOSYS;
  if (levels != (paeTables() ? 3 : 2) || root != rootOf(root)) return -HC_EINVAL;
  const count = pinCount();
  if (count == 0 && isPaged(vcpu) && root != rootOf(load<u32>(vcpu, CR3))) return -HC_EINVAL;
  if (findPin(root) >= 0) return -HC_EBUSY;
  if (count >= <u32>HC_MMU_PINS_MAX) return -HC_ENOMEM;
  store<u32>(VM_BASE, 0, VM_TABLE_WORK);
  const error = acquireRoot(root);
  if (error != 0) return error;
  store<u32>(pinAddress(count), root | levels);
  store<u32>(PINS_BASE, count + 1);
  return 0;
}

/** HC_MMU_UNPIN */
export function unpinRoot(vcpu: i32, root: u32): i32 {
  if (load<u32>(vcpu, CTRL_PAGING) != PAGING_PARA) return -HC_ENOSYS;
  const n = findPin(root);
  if (n < 0) return -HC_ENODEV;
  if (isPaged(vcpu) && root == rootOf(load<u32>(vcpu, CR3))) return -HC_EBUSY;
  releaseRoot(root);
  const last = pinCount() - 1;
  store<u32>(pinAddress(n), load<u32>(pinAddress(last)));
  store<u32>(pinAddress(last), 0);
  store<u32>(PINS_BASE, last);
  return 0;
}

/** The root of a registered PAE table that the bytes at `host` are an entry of. */
function isRootEntry(gpa: u32): bool {
  return findPin(gpa & ~31) >= 0;
}

function put(host: u32, entry: u64, size: u32): void {
  if (size == 8) store<u64>(<i32>host, entry);
  else store<u32>(<i32>host, <u32>entry);
}

/** One item of a batch: 1 where an entry was present before, else 0; or an error, with nothing changed. */
function updateEntry(vcpu: i32, gpa: u64, value: u64, size: u32): i32 {
  if (gpa & <u64>(size - 1)) return -HC_EINVAL;
  const host = ramAt(gpa, size);
  if (host == 0) return -HC_EFAULT;
  if (refsOf(host) == 0) return -HC_EINVAL;
  const old = size == 8 ? load<u64>(<i32>host) : <u64>load<u32>(<i32>host);
  const asTable = countOf(host, AS_TABLE) != 0;
  const asDirectory = countOf(host, AS_DIRECTORY) != 0;
  const asRoot = countOf(host, AS_ROOT) != 0 && isRootEntry(<u32>gpa);
  // written first: a table may name itself, and is then checked as it will be
  beforeWrite(vcpu, host, size);
  put(host, value, size);
  let error = asTable ? checkLeaf(value) : 0;
  if (error == 0 && asDirectory) error = acquireEntry(value);
  if (error == 0 && asRoot) {
    error = acquireRootEntry(value);
    if (error != 0 && asDirectory) releaseEntry(value);
  }
  if (error != 0) {
    put(host, old, size);
    return error;
  }
  if (asDirectory) releaseEntry(old);
  if (asRoot) {
    releaseRootEntry(old);
    if (isPaged(vcpu) && rootOf(load<u32>(vcpu, CR3)) == (<u32>gpa & ~31)) loadPdptes(vcpu, load<u32>(vcpu, CR3));
  }
  store<u64>(vcpu, load<u64>(vcpu, COUNT_TABLE_UPDATE) + 1, COUNT_TABLE_UPDATE);
  return old & PTE_P ? 1 : 0;
}

/** HC_MMU_UPDATE: how many items were done, or the error of the first. */
export function updateTables(vcpu: i32, batch: u32, count: u32, size: u32): i32 {
  if (load<u32>(vcpu, CTRL_PAGING) != PAGING_PARA) return -HC_ENOSYS;
  if (count == 0 || count > <u32>HC_MMU_BATCH_MAX || size != (paeTables() ? 8 : 4) || batch & 3) return -HC_EINVAL;
  const items = <i32>ramAt(batch, count * size * 2);
  if (items == 0) return -HC_EFAULT;
  store<u32>(VM_BASE, 0, VM_TABLE_WORK);
  let done: u32 = 0;
  let result = 0;
  let stale = false;
  while (done < count && load<u32>(VM_BASE, VM_TABLE_WORK) < WORK_MAX) {
    const item = items + <i32>(done * size * 2);
    result = size == 8 ? updateEntry(vcpu, load<u64>(item), load<u64>(item, 8), 8) : updateEntry(vcpu, load<u32>(item), load<u32>(item, 4), 4);
    if (result < 0) break;
    if (result > 0) stale = true;
    done++;
  }
  if (stale) {
    const vcpus = load<i32>(VM_BASE, VM_VCPU_COUNT);
    for (let v = 0; v < vcpus; v++) flushTlbAll(VCPU_BASE + v * VCPU_STRIDE);
  }
  return done > 0 ? <i32>done : result;
}

/** Nothing is registered any more (power-on). */
export function resetPins(): void {
  memory.fill(PINS_BASE, 0, PINS_SIZE);
  if (load<u32>(VM_BASE, VM_TABLE_REFS) != 0) clearRefs();
}

/** The list, or the tables, were put there by the host: the account is made anew. A root that is not good any more is dropped. */
export function restorePins(vcpu: i32): void {
  if (load<u32>(vcpu, CTRL_PAGING) != PAGING_PARA) return;
  clearRefs();
  const count = min<u32>(pinCount(), HC_MMU_PINS_MAX);
  let kept: u32 = 0;
  for (let n: u32 = 0; n < count; n++) {
    const pin = load<u32>(pinAddress(n));
    if (acquireRoot(pin & ~PIN_LEVELS) != 0) continue;
    store<u32>(pinAddress(kept), pin);
    kept++;
  }
  for (let n = kept; n < count; n++) store<u32>(pinAddress(n), 0);
  store<u32>(PINS_BASE, kept);
}
