// The host's end of the protocol: calls that return promises, events, and the news that a pCPU is gone.
import type { MemoryKind, Platform, WorkerThread } from "../platform/platform.ts";
import { VmError } from "../vmm/error.ts";
import {
  type CallMessage,
  type FramesMessage,
  type PcpuCalls,
  type PcpuMessage,
  type PcpuMethod,
  type PcpuSetup,
  type ReportedEvent,
  unpackError,
  type VmNumber,
} from "./protocol.ts";

export interface LinkEvents {
  event(vm: VmNumber, name: ReportedEvent, event: unknown): void;
  frames(message: FramesMessage): void;
  /** The thread ended without being asked to; every call that waited is rejected, no other will be answered. */
  lost(reason: Error): void;
}

interface Waiting {
  resolve(value: never): void;
  reject(error: VmError): void;
}

export class PcpuLink {
  /** What memory the VMs on it have. */
  readonly memory: MemoryKind;
  readonly #waiting = new Map<number, Waiting>();
  readonly #post: (message: CallMessage | FramesMessage) => void;
  readonly #thread: WorkerThread | undefined;
  #nextId = 1;
  /** It has said something: its program runs. */
  answered = false;
  #lost: VmError | undefined;

  constructor(
    readonly index: number,
    platform: Platform,
    setup: PcpuSetup,
    inProcess: boolean,
    private readonly events: LinkEvents,
  ) {
    const thread = inProcess ? undefined : platform.startPcpuWorker?.(setup);
    this.#thread = thread;
    if (thread !== undefined) {
      this.memory = platform.workerMemory;
      this.#post = (message) => thread.post(message);
      thread.onMessage((message) => this.#receive(message as PcpuMessage));
      thread.onLost((reason) => this.#lose(reason));
    } else {
      this.memory = "plain";
      // As between threads, nobody is answered before the call has returned. A page whose machines run in workers loads none of it.
      const agent = import("./pcpu-agent.ts").then(
        ({ PcpuAgent }) =>
          new PcpuAgent(platform, "plain", setup, (message) => queueMicrotask(() => this.#receive(message))),
      );
      agent.catch((reason: Error) => this.#lose(reason));
      this.#post = (message) => void agent.then((there) => there.receive(message)).catch(() => {});
    }
  }

  call<K extends PcpuMethod>(method: K, ...args: Parameters<PcpuCalls[K]>): Promise<Awaited<ReturnType<PcpuCalls[K]>>> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#post({ kind: "call", id, method, args });
    });
  }

  /** Frames for a guest on it. */
  sendFrames(message: FramesMessage): void {
    if (this.#lost === undefined) this.#post(message);
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
    this.#fail(new VmError("bad-state", "The host has been closed."));
  }

  #receive(message: PcpuMessage): void {
    this.answered = true;
    if (message.kind === "event") {
      this.events.event(message.vm, message.name, message.event);
      return;
    }
    if (message.kind === "frames") {
      this.events.frames(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "result") waiting?.resolve(message.value as never);
    else waiting?.reject(unpackError(message.error));
  }

  #lose(reason: Error): void {
    this.#fail(
      new VmError("internal", `pCPU ${this.index} failed: ${reason.message}.`, { pcpu: this.index }, { cause: reason }),
    );
    this.events.lost(reason);
  }

  #fail(error: VmError): void {
    this.#lost = error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
