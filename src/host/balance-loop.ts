// Looks at all run queues again and again, and moves vCPUs as the balancer says.
import type { PcpuAccount } from "./pcpu.ts";
import { type BalancedQueue, Balancer, type Move } from "./sched/balance.ts";
import type { Ns } from "./sched/policy.ts";

/** Between two looks while somebody waits for a processor, and while nobody does. */
const BUSY_MS = 20;
const CALM_MS = 200;
/** A pCPU that was busy for less of the last interval takes work from another at once. */
const IDLE_PART = 0.2;

export interface BalancedHost {
  accounts(): Promise<readonly PcpuAccount[]>;
  apply(move: Move): Promise<void>;
  nowNs(): Ns;
  /** How many VMs there are. */
  vmCount(): number;
}

export class BalanceLoop {
  #balancer = new Balancer();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busyNs: readonly number[] = [];
  #lookedNs = 0;
  #closed = false;
  /** Moves made so far. */
  moves = 0;

  constructor(private readonly host: BalancedHost) {}

  /** Begins, or looks again soon. */
  start(): void {
    if (this.#timer === undefined && !this.#closed) this.#again(BUSY_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #again(milliseconds: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look(), milliseconds);
    // Balancing keeps no process alive.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  async #look(): Promise<void> {
    // One has nobody to give way to; a page's other workers need not start for it.
    if (this.host.vmCount() < 2) return this.#again(CALM_MS);
    let waiting = 0;
    try {
      const now = this.host.nowNs();
      const accounts = await this.host.accounts();
      const queues = accounts.map(queueOf);
      waiting = queues.reduce((sum, queue) => sum + queue.waiting, 0);
      const moves = this.#balancer.balance(now, queues);
      const idle = this.#idlePcpus(now, accounts);
      this.#busyNs = accounts.map(({ busyNs }) => busyNs);
      this.#lookedNs = now;
      if (moves.length === 0) {
        const taker = idle.find((pcpu) => queues[pcpu]?.waiting === 0);
        const move = taker === undefined ? undefined : this.#balancer.steal(taker, queues);
        if (move !== undefined) moves.push(move);
      }
      for (const move of moves) await this.host.apply(move);
      this.moves += moves.length;
    } catch {
      // A pCPU was lost, or a VM ended on the way: the next look sees what is left.
    }
    this.#again(waiting > 0 ? BUSY_MS : CALM_MS);
  }

  #idlePcpus(now: Ns, accounts: readonly PcpuAccount[]): number[] {
    const elapsed = now - this.#lookedNs;
    return accounts.flatMap(({ busyNs }, pcpu) => {
      const before = this.#busyNs[pcpu];
      return before !== undefined && busyNs - before < IDLE_PART * elapsed ? [pcpu] : [];
    });
  }
}

function queueOf(account: PcpuAccount): BalancedQueue {
  const vcpus = account.vcpus.map(({ vcpu, parameters, ranNs, stolenNs, waiting, movable }) => ({
    vcpu,
    weight: parameters.weight,
    capPercent: parameters.capPercent,
    ranNs,
    waitedNs: stolenNs,
    waiting,
    movable,
  }));
  return { waiting: vcpus.filter(({ waiting }) => waiting).length, vcpus };
}
