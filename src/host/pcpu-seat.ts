// Where a VM of a host lives: calls to its pCPU, which wait while it moves to another.
import type { PortableConfig } from "../vmm/config.ts";
import type { FrameBatch } from "./frame-pipe.ts";
import type { PcpuAccount } from "./pcpu.ts";
import type { PcpuLink } from "./pcpu-link.ts";
import type { PcpuCalls, VmNumber } from "./protocol.ts";
import type { SchedParameters } from "./sched/policy.ts";

/** Methods of a pCPU that begin with the number of the VM they are about. */
type VmMethod = {
  [K in keyof PcpuCalls]: Parameters<PcpuCalls[K]> extends [VmNumber, ...unknown[]] ? K : never;
}[keyof PcpuCalls];
type Rest<T extends unknown[]> = T extends [unknown, ...infer R] ? R : never;

export class PcpuSeat {
  /** Between two pCPUs: calls wait until it has arrived. */
  #moving: Promise<void> | undefined;

  constructor(
    private readonly number: VmNumber,
    private link: PcpuLink,
  ) {}

  /** Index of the pCPU. */
  get pcpu(): number {
    return this.link.index;
  }

  call<K extends VmMethod>(
    method: K,
    ...args: Rest<Parameters<PcpuCalls[K]>>
  ): Promise<Awaited<ReturnType<PcpuCalls[K]>>> {
    if (this.#moving !== undefined) return this.#moving.then(() => this.call(method, ...args));
    return this.link.call(method, ...([this.number, ...args] as unknown as Parameters<PcpuCalls[K]>));
  }

  /** Frames for the guest; lost while it moves. */
  sendFrames(nic: string, batch: FrameBatch): void {
    if (this.#moving === undefined) this.link.sendFrames({ kind: "frames", vm: this.number, nic, batch });
  }

  account(): Promise<PcpuAccount> {
    return this.link.call("account");
  }

  /** The pCPU is gone with everything on it; this one takes its place. */
  replace(link: PcpuLink): void {
    this.link = link;
  }

  /** Takes the machine (none: `alive` is false) to another pCPU. False when it has ended meanwhile, or is there already. */
  async move(to: PcpuLink, alive: boolean, config: PortableConfig, scheduling: SchedParameters): Promise<boolean> {
    if (to === this.link) return false;
    const from = this.link;
    let arrived = (): void => {};
    this.#moving = new Promise((resolve) => {
      arrived = resolve;
    });
    try {
      if (!alive) {
        // Nothing is left of it there but its number.
        await from.call("destroy", this.number);
        this.link = to;
        return true;
      }
      const moved = await from.call("detach", this.number);
      if (moved === undefined) return false;
      try {
        await to.call("attach", this.number, config, scheduling, moved);
      } catch (error) {
        await from.call("attach", this.number, config, scheduling, moved);
        throw error;
      }
      this.link = to;
      return true;
    } finally {
      this.#moving = undefined;
      arrived();
    }
  }
}
