// What the hypervisor needs from the JavaScript runtime it runs in. The only place where runtimes differ.
import type { NetworkHost } from "../backends/network/network-host.ts";
import type { FrameSocket } from "../backends/network/relay.ts";
import type { SnapshotStore } from "../snapshot/store.ts";
import type { BlockBackend } from "../vmm/block.ts";
import type { DiskSource } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";

/** Wakes a sleeper early. */
export interface Sleep {
  /** Resolves when the time has passed or `wake` was called. */
  readonly done: Promise<void>;
  wake(): void;
}

/** A disk image, and the drive that it goes into. */
export interface DiskRequest extends DiskSource {
  readonly media: "disk" | "cdrom";
  readonly floppy: boolean;
  readonly readOnly?: boolean;
}

/** Shared memory can be run by any thread; plain memory belongs to the one that made it. */
export type MemoryKind = "plain" | "shared";

/** Unpacks raw DEFLATE. Throws for a damaged stream and for one that gives more than `sizeBytes`. */
export type InflateNow = (bytes: Uint8Array, sizeBytes: number) => Uint8Array;

export interface Platform {
  readonly name: "node" | "web";
  /** Monotonic host time in nanoseconds from an origin that all threads of the host share. */
  monotonicNs(): number;
  /** Milliseconds since 1970, with a fraction where the host has it. */
  wallMs(): number;
  /** Lets timers, input and promises of others run; resumes as soon as they have. */
  yieldToEventLoop(): Promise<void>;
  sleep(milliseconds: number): Sleep;
  /** Stops this thread for `ns`, exact to some 50 us; undefined where that would freeze a page or a terminal. */
  readonly blockThread?: (ns: number) => void;
  /** Fills with random bytes of cryptographic quality. */
  entropy(into: Uint8Array): void;
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
  /** Raw DEFLATE (RFC 1951), off this thread where the platform can. */
  deflate(bytes: Uint8Array): Promise<Uint8Array>;
  /** Rejects for a damaged stream and for one that gives more than `sizeBytes`. */
  inflate(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array>;
  /** What does the same at once, on this thread; a page loads it when somebody asks. */
  loadInflateNow(): Promise<InflateNow>;
  /** Undefined where there are no folders. */
  readonly snapshotFolder?: (folder: string) => SnapshotStore;
  /** Threads of the host's processor. */
  readonly processors: number;
  /** Memory that this process may use, bytes: the machine's, or what a container leaves of it. */
  readonly memoryBytes: number;
  /** Starts a worker for a pCPU; undefined where there are none. */
  readonly startPcpuWorker?: (setup: unknown) => WorkerThread;
  /** Memory of VMs on workers. Plain where threads of this page may share none: there is one worker then, and nobody moves. */
  readonly workerMemory: MemoryKind;
  /** Sockets and files for networks; undefined where there are none. */
  readonly networkHost?: () => Promise<NetworkHost>;
  /** Opens a disk image of the host. Throws VmError: "not-found", "bad-image", "bad-config" or "host". */
  openDisk(source: DiskRequest): Promise<BlockBackend>;
  /** The compiled core that belongs to this version, for the kind of memory that it will import. Throws VmError("host"). */
  loadCore(memory: MemoryKind): Promise<WebAssembly.Module>;
}

/** A thread that runs one pCPU; src/host/protocol.ts says what goes over it. */
export interface WorkerThread {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the thread ended without being asked to. */
  onLost(listener: (reason: Error) => void): void;
  terminate(): Promise<void>;
}

/** The platform of the running process or page. */
export async function loadPlatform(): Promise<Platform> {
  const runtime = (globalThis as { process?: { versions?: { node?: string } } }).process;
  try {
    if (runtime?.versions?.node !== undefined) return (await import("./node/index.ts")).nodePlatform();
    return (await import("./web/index.ts")).webPlatform();
  } catch (cause) {
    throw new VmError(
      "host",
      "This JavaScript runtime cannot host a VM: its platform layer failed to load.",
      {},
      { cause },
    );
  }
}

/** A sleep on setTimeout, which both platforms have. */
export function timeoutSleep(milliseconds: number): Sleep {
  let finish = (): void => {};
  const done = new Promise<void>((resolve) => {
    const id = setTimeout(resolve, milliseconds);
    finish = () => {
      clearTimeout(id);
      resolve();
    };
  });
  return { done, wake: () => finish() };
}

/** A WebSocket, which pages have and Node from version 22. Throws VmError("host"). */
export function openWebSocket(url: string): FrameSocket {
  const { WebSocket } = globalThis as { WebSocket?: new (url: string) => FrameSocket };
  if (WebSocket === undefined)
    throw new VmError(
      "host",
      "This runtime has no WebSocket for a relay: a browser has, and Node from version 22.",
      {},
    );
  return new WebSocket(url);
}

/** SHA-256 by Web Crypto, which both platforms have. */
export async function webCryptoSha256(bytes: Uint8Array): Promise<Uint8Array> {
  // Web Crypto refuses shared memory and views of more than 2 GiB: the caller hashes pieces, we copy them.
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()));
}
