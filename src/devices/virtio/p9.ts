// 9P transport (virtio 1.2, section 5.9): a message in, its reply out, over one queue.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import type { FileTree } from "../../vmm/file-tree.ts";
import { P9Server } from "../p9/server.ts";
import type { SavedState } from "../saved-state.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_9P = 9;
const REQUESTS = 0;
const F_MOUNT_TAG = 0;
const CONFIG_TAG_LENGTH = 0;
const CONFIG_TAG = 2;
/** Longer messages than were agreed on are none. */
const MESSAGE_BYTES_MAX = 520 * 1024;

export interface VirtioP9Options {
  /** What the guest mounts it by. */
  readonly tag: string;
  readonly tree: FileTree;
  readonly wallMs: () => number;
}

export class VirtioP9 extends VirtioDevice {
  readonly #server: P9Server;

  constructor(name: string, memory: DmaMemory, options: VirtioP9Options) {
    const tag = new TextEncoder().encode(options.tag);
    const identity = { name, type: TYPE_9P, queueSizes: [128], features: [F_MOUNT_TAG], configBytes: 2 + tag.length };
    super(identity, memory);
    this.config.setUint16(CONFIG_TAG_LENGTH, tag.length, true);
    for (const [i, byte] of tag.entries()) this.config.setUint8(CONFIG_TAG + i, byte);
    this.#server = new P9Server(options.tree, options.wallMs);
  }

  override kicked(): void {
    this.drain(REQUESTS, (chain) => {
      // A copy: the guest may change its buffers while the server reads them.
      const message = chain.readableBytes <= MESSAGE_BYTES_MAX ? chain.readCopy(MESSAGE_BYTES_MAX) : undefined;
      const reply = message && this.#server.handle(message, chain.writableBytes);
      if (reply === undefined) {
        this.needsReset("a 9P message that is none, or without room for a reply");
        return true;
      }
      chain.write(reply);
      this.complete(REQUESTS, chain);
      return true;
    });
  }

  protected override stopped(): void {
    this.#server.reset();
  }

  protected override saveDevice(): DeviceState {
    return { server: this.#server.save() };
  }
  protected override loadDevice(saved: SavedState): void {
    this.#server.load(this.name, saved.nested("server"));
  }
  protected override deviceMetrics(): Readonly<Record<string, number>> {
    return { ...this.#server.counts };
  }
  override dispose(): void {
    this.#server.reset();
  }
}
