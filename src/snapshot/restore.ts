// Makes a machine of a snapshot. The caller gets one that is whole, or an error and nothing.
import type { Platform } from "../platform/platform.ts";
import type { CheckedConfig } from "../vmm/check-config.ts";
import type { VmConfig } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import type { Machine } from "../vmm/machine.ts";
import { loadMachine } from "../vmm/machine-state.ts";
import { type Piece, SnapshotChain } from "./chain.ts";
import { imagesOf, joinConfig, ofConfig } from "./config.ts";
import { fillOverlays, withWholeDisks } from "./disks.ts";
import { PAGE_BYTES, refuse } from "./format.ts";
import { GuestPages, sameSizes } from "./guest-pages.ts";
import { LazyMemory } from "./lazy-memory.ts";
import type { SnapshotStore } from "./store.ts";

export interface SnapshotName {
  readonly store: SnapshotStore;
  readonly name: string;
}

export interface RestoreOptions {
  /**
   * What may differ from the saved VM: its name, what ends a run, and objects of the host that a snapshot cannot keep
   * (disks, networks). Anything else must be as it was, and is refused by name.
   */
  readonly config?: Partial<VmConfig>;
  /**
   * Guest time goes on from the snapshot ("resume"), or jumps forward to the host's present ("now"). Default: as the
   * configuration's clockSync says when the VM starts; unless that was given, it goes on from the snapshot.
   */
  readonly clock?: "resume" | "now";
  /**
   * "new": another generation ID, and whatever else must differ between copies, so that the guest's random numbers and
   * identifiers part. "same": the same machine, moved; bit for bit what was saved. Default "new".
   */
  readonly identity?: "new" | "same";
  /**
   * Unpacks memory when the guest needs it and, little by little, on the side: it runs sooner. The whole file has been checked
   * before; it stays open for as long. Without `background` what the guest never needs is never unpacked. With
   * `asynchronous` a guest that KVM's asynchronous page faults were offered (CPU feature kvm-asyncpf-int) may run something else
   * while a page of one of its programs is read and unpacked on other threads; for slow stores. Default true.
   */
  readonly lazy?: boolean | { readonly background: boolean; readonly asynchronous?: boolean };
  /** Logs writes from here on, so that a snapshot with this one as its parent is quick. Default false. */
  readonly track?: boolean;
}

/** An opened snapshot, and the configuration of the machine that it wants. */
export interface OpenedSnapshot {
  readonly config: CheckedConfig;
  readonly id: string;
  /** Takes a machine that was just made for `config` and puts the saved one into it. Throws VmError("bad-snapshot"). */
  fill(make: () => Promise<Machine>): Promise<Machine>;
  close(): Promise<void>;
}

/** Throws VmError: "not-found", "bad-snapshot" naming what is wrong, "io". */
export async function openSnapshot(
  from: SnapshotName,
  options: RestoreOptions,
  platform: Platform,
): Promise<OpenedSnapshot> {
  checkOptions(options);
  const chain = await SnapshotChain.open(from.store, from.name, platform);
  const memory = new Memory(chain, options.lazy, platform);
  const close = async (): Promise<void> => {
    await memory.settle();
    if (!memory.taken) await chain.close();
  };
  try {
    const { manifest, id } = chain.top;
    const images = await chain.readImages(imagesOf(manifest));
    const given = options.config ?? {};
    // Who brings drives of their own wants those.
    const saved = given.drives === undefined ? await withWholeDisks(chain, manifest, manifest.disks) : manifest;
    const config = joinConfig(saved, images, given);
    return {
      config,
      id,
      fill: async (make) => {
        const machine = await make().catch((error: unknown) => {
          throw ofConfig(error);
        });
        try {
          await fill(machine, chain, memory, options, platform);
        } catch (error) {
          await machine.dispose();
          throw error;
        }
        return machine;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What of memory is checked while images are read and the machine is made, and brought into it later; and the rest. */
class Memory {
  readonly #now: readonly Piece[];
  readonly #later: Promise<LazyMemory>;
  /** The machine has it, and closes the chain. */
  taken = false;

  constructor(
    private readonly chain: SnapshotChain,
    private readonly lazy: RestoreOptions["lazy"],
    platform: Platform,
  ) {
    const ramPages = chain.top.manifest.ramBytes / PAGE_BYTES;
    const isLater = ({ runs }: Piece): boolean =>
      lazy !== false && runs.every(({ page, count }) => page + count <= ramPages);
    const pieces = chain.pieces();
    this.#now = pieces.filter((piece) => !isLater(piece));
    this.#later = LazyMemory.check(chain, pieces.filter(isLater), ramPages, platform);
    // Heard of in `into`, if that is ever called.
    this.#later.catch(() => {});
  }

  async into(machine: Machine): Promise<void> {
    await this.chain.readMemory(GuestPages.ofMachine(machine.memory, machine.map), this.#now);
    const later = await this.#later;
    this.taken = true;
    const { background, asynchronous = false } = typeof this.lazy === "object" ? this.lazy : { background: true };
    machine.absent.begin(later, { background, asynchronous });
  }

  /** Resolves when no more is read. */
  async settle(): Promise<void> {
    await this.#later.catch(() => {});
  }
}

async function fill(
  machine: Machine,
  chain: SnapshotChain,
  memory: Memory,
  options: RestoreOptions,
  platform: Platform,
): Promise<void> {
  const { map } = machine;
  const { manifest } = chain.top;
  if (!sameSizes(manifest, map)) {
    refuse("ramBytes", "vramBytes and romBytes are not those of the saved configuration");
  }
  await memory.into(machine);
  await fillOverlays(chain, manifest.disks, machine);
  try {
    loadMachine(machine, manifest.machine);
  } catch (error) {
    if (error instanceof VmError) throw error;
    refuse("machine", `cannot be taken up: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (machine.clock.kind === "real") machine.clockSync.settle(options.clock === "resume" ? "snapshot" : options.clock);
  else if (options.clock === "now") catchUp(machine, Date.parse(manifest.createdAt), platform);
  if (options.identity !== "same") for (const device of machine.board.devices) device.renewIdentity?.(platform.entropy);
}

/** A virtual clock. Never backwards: a host whose date is before the snapshot's goes on from the snapshot. */
function catchUp(machine: Machine, savedAtMs: number, platform: Platform): void {
  const behindNs = (platform.wallMs() - savedAtMs) * 1e6;
  if (behindNs <= 0) return;
  const { clock, core, vcpu } = machine;
  if (clock.kind === "virtual") core.advanceClock(vcpu.address, BigInt(Math.trunc(behindNs)));
  else clock.skip(behindNs);
  core.clockStopped(vcpu.address);
}

function checkOptions(options: RestoreOptions): void {
  const oneOf = (field: "clock" | "identity", accepted: readonly string[]): void => {
    const value = options[field];
    if (value === undefined || accepted.includes(value)) return;
    throw new VmError("bad-config", `${field} is ${JSON.stringify(value)}; accepted: ${accepted.join(", ")}.`, {
      field,
    });
  };
  oneOf("clock", ["resume", "now"]);
  oneOf("identity", ["new", "same"]);
  const { lazy } = options;
  const parts = typeof lazy === "object" && lazy !== null ? Object.entries(lazy) : undefined;
  const isKnown = ([name, value]: [string, unknown]): boolean =>
    (name === "background" || name === "asynchronous") && typeof value === "boolean";
  if (lazy === undefined || typeof lazy === "boolean" || parts?.every(isKnown)) return;
  throw new VmError(
    "bad-config",
    `lazy is ${JSON.stringify(lazy)}; accepted: true, false, or { background, asynchronous } of true and false.`,
    { field: "lazy" },
  );
}
