// Takes snapshots of one VM: stands it still for as long as it takes to copy what changed, and writes while it runs on.
import type { Platform } from "../platform/platform.ts";
import { VmError } from "../vmm/error.ts";
import type { Machine } from "../vmm/machine.ts";
import { type MachineState, saveMachine } from "../vmm/machine-state.ts";
import { SnapshotChain } from "./chain.ts";
import { splitConfig } from "./config.ts";
import { type FrozenDrive, freezeDisks, requireSavable } from "./disks.ts";
import { hasPage, refuse } from "./format.ts";
import { type CapturedChunk, GuestPages, sameSizes } from "./guest-pages.ts";
import type { ParentReference } from "./manifest.ts";
import type { SnapshotStore } from "./store.ts";
import { writeSnapshot } from "./writer.ts";

export interface SnapshotOptions {
  readonly store: SnapshotStore;
  readonly name: string;
  /** A snapshot in the same store: only what differs from it is written. */
  readonly parent?: string;
  /**
   * Logs what the guest writes from here on, so that the next snapshot with this one as its parent need not compare all of
   * memory. Default: true with a parent, else false.
   */
  readonly track?: boolean;
  /** False: larger, and faster to restore where memory is full of what hardly compresses. Default true. */
  readonly compress?: boolean;
}

export interface SnapshotInfo {
  readonly name: string;
  /** SHA-256 that names exactly this snapshot, hex. */
  readonly id: string;
  readonly sizeBytes: number;
  /** Guest memory in it; zero pages not counted. */
  readonly memoryBytes: number;
  readonly parent: string | undefined;
  /** Host milliseconds that the guest stood still. */
  readonly pausedMs: number;
}

interface Captured {
  readonly chunks: readonly CapturedChunk[];
  readonly machine: MachineState;
  readonly disks: readonly FrozenDrive[];
  readonly createdAt: string;
  readonly pausedMs: number;
}

export class SnapshotTaker {
  /** Id of the snapshot since which the dirty log has everything; undefined when it has not. */
  #loggedSince: string | undefined;
  #busy = false;

  constructor(
    private readonly machine: Machine,
    private readonly platform: Platform,
    /** Calls `work` with the vCPU between two instructions and the clock standing. */
    private readonly atRest: (work: () => void) => Promise<void>,
  ) {}

  /** The VM is what the snapshot `id` is; from now on its writes are logged. */
  trackFrom(id: string): void {
    this.machine.dirtyLog.start();
    this.#loggedSince = id;
  }

  async take(options: SnapshotOptions): Promise<SnapshotInfo> {
    if (this.#busy) throw new VmError("bad-state", "A snapshot of this VM is being taken already; wait for it.");
    this.#busy = true;
    try {
      return await this.#take(options);
    } finally {
      this.#busy = false;
    }
  }

  async #take(options: SnapshotOptions): Promise<SnapshotInfo> {
    const { store, name, compress = true } = options;
    const track = options.track ?? options.parent !== undefined;
    requireSavable(this.machine);
    const config = await splitConfig(this.machine.config, this.platform.sha256);
    const base = options.parent === undefined ? undefined : await this.#openParent(store, name, options.parent);
    const captured = await this.#capture(base, track);
    const { chunks, machine, disks, createdAt, pausedMs } = captured;
    try {
      const { id, sizeBytes } = await writeSnapshot(
        await store.create(name),
        {
          manifest: {
            createdAt,
            parent: base?.reference ?? null,
            ramBytes: this.machine.map.ramBytes,
            vramBytes: this.machine.map.vramBytes,
            romBytes: this.machine.map.romBytes,
            config: config.config,
            external: config.external,
            machine,
          },
          images: config.images,
          disks,
          ...(base && { known: base.images }),
          chunks,
          compress,
        },
        this.platform,
      );
      if (track) this.#loggedSince = id;
      const memoryBytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
      return { name, id, sizeBytes, memoryBytes, parent: options.parent, pausedMs };
    } catch (error) {
      // The log began with a snapshot that does not exist.
      if (track) this.machine.dirtyLog.stop();
      throw error;
    } finally {
      for (const disk of disks) disk.close();
    }
  }

  async #openParent(store: SnapshotStore, name: string, parent: string): Promise<Base> {
    if (parent === name) refuse("parent", `is the snapshot itself: ${name}`);
    const { map, dirtyLog } = this.machine;
    const chain = await SnapshotChain.open(store, parent, this.platform);
    try {
      const { id, manifest } = chain.top;
      if (!sameSizes(manifest, map)) {
        refuse("parent", `${parent} has ${manifest.ramBytes} bytes of memory, this VM ${map.ramBytes}`);
      }
      const reference = { id, name: parent };
      const images = chain.imageDigests();
      if (dirtyLog.on && this.#loggedSince === id) return { reference, images, memory: undefined };
      const memory = GuestPages.scratch(map);
      await chain.readMemory(memory);
      return { reference, images, memory };
    } finally {
      await chain.close();
    }
  }

  async #capture(base: Base | undefined, track: boolean): Promise<Captured> {
    const { dirtyLog, memory, map, absent } = this.machine;
    const pages = GuestPages.ofMachine(memory, map);
    // A page that the guest has not been given yet is not among those that it has changed.
    if (base === undefined || base.memory !== undefined) await absent.finish();
    let captured: Captured | undefined;
    await this.atRest(() => {
      const start = this.platform.monotonicNs();
      // Devices first: saving one may have it catch up and write to memory.
      const machine = saveMachine(this.machine);
      const chunks = capture(pages, base, () => dirtyLog.read());
      if (track) {
        dirtyLog.start();
        this.#loggedSince = undefined;
      }
      const disks = freezeDisks(this.machine);
      const createdAt = new Date(this.platform.wallMs()).toISOString();
      captured = { chunks, machine, disks, createdAt, pausedMs: (this.platform.monotonicNs() - start) / 1e6 };
    });
    return captured as unknown as Captured;
  }
}

interface Base {
  readonly reference: ParentReference;
  /** Digests of boot images that the parents have. */
  readonly images: ReadonlySet<string>;
  /** What the memory was; undefined when the dirty log knows what has changed since. */
  readonly memory: GuestPages | undefined;
}

function capture(pages: GuestPages, base: Base | undefined, dirty: () => Uint8Array): CapturedChunk[] {
  if (base === undefined) return pages.captureAll();
  const before = base.memory;
  if (before !== undefined) return pages.captureChanged((page) => !pages.isSame(page, before));
  const bitmap = dirty();
  // The guest cannot write to ROM.
  return pages.captureChanged((page) => page < pages.writableCount && hasPage(bitmap, page));
}
