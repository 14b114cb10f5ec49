// Stand-ins for a machine and a process, so that the command line can be driven without either.
import { PassThrough, Writable } from "node:stream";
import type { CliIo, Machine } from "../../src/cli/machine.ts";
import type { TextFrame } from "../../src/display/frame.ts";
import { type Screen, screenOf } from "../../src/display/screen.ts";
import type { SnapshotInfo, SnapshotOptions } from "../../src/snapshot/take.ts";
import type { VmConfig } from "../../src/vmm/config.ts";
import type { ExitStatus, VmEvents, VmState, VmStatistics } from "../../src/vmm/status.ts";

const STATISTICS: VmStatistics = {
  instructions: 1_234_567,
  guestSeconds: 1.5,
  hostSeconds: 2,
  vcpuSeconds: 1.25,
  idleSeconds: 0.5,
  mips: 0.99,
  exits: { PortOut: 10, Hlt: 3, Budget: 0 },
  exitTotal: 13,
  core: {},
  unknownPorts: { "0x2e8": 2 },
  unknownMmio: 0,
  unknownMsrs: {},
  resets: 0,
  absentPages: { left: 0, demanded: 0, fetched: 0 },
  devices: {},
};

/** A machine whose guest is the test's `script`. */
export class FakeMachine implements Machine {
  readonly name: string;
  state: VmState = "created";
  readonly exited: Promise<ExitStatus>;
  readonly received: { port: number; text: string }[] = [];
  readonly done: string[] = [];
  #resolve: (status: ExitStatus) => void = () => {};
  readonly #listeners = new Map<string, Set<(event: never) => void>>();

  constructor(
    readonly config: VmConfig,
    private readonly script: (machine: FakeMachine) => void | Promise<void>,
  ) {
    this.name = config.name ?? "fake";
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  start(): void {
    this.done.push("start");
    this.state = "running";
    void this.script(this);
  }
  async stop(reason?: unknown): Promise<ExitStatus> {
    this.end({ kind: "killed", reason });
    return await this.exited;
  }
  async pause(): Promise<void> {
    this.done.push("pause");
    this.state = "paused";
  }
  async snapshot({ name }: SnapshotOptions): Promise<SnapshotInfo> {
    this.done.push(`snapshot ${name}`);
    return { name, id: "0", sizeBytes: 1 << 20, memoryBytes: 0, parent: undefined, pausedMs: 0 };
  }
  async reset(): Promise<void> {
    this.done.push("reset");
  }
  pressPowerButton(): void {
    this.done.push("power");
  }
  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  }
  serial(port = 0): { write(bytes: Uint8Array | string): void } {
    return {
      write: (bytes) =>
        void this.received.push({ port, text: typeof bytes === "string" ? bytes : Buffer.from(bytes).toString() }),
    };
  }
  statistics(): VmStatistics {
    return STATISTICS;
  }
  readonly keyboard = {
    type: (text: string): number => {
      this.done.push(`type ${text}`);
      return text.length;
    },
    send: (combination: string): void => void this.done.push(`keys ${combination}`),
    waiting: 0,
  };
  /** What the screen shows; `show` changes it. */
  lines: string[] = [];
  screen(): Screen {
    return textScreen(this.lines);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.done.push("dispose");
  }

  // ---- for the script
  emit<K extends keyof VmEvents>(event: K, value: VmEvents[K]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (event: VmEvents[K]) => void)(value);
  }
  print(text: string, port = 0): void {
    this.emit("serial", { port, bytes: Buffer.from(text) });
  }
  show(...lines: string[]): void {
    this.lines = lines;
    this.emit("screen", { screen: this.screen() });
  }
  end(status: ExitStatus): void {
    this.state = "stopped";
    this.#resolve(status);
  }
  listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}

export interface FakeIo extends CliIo {
  readonly input: PassThrough;
  readonly outText: () => string;
  readonly errText: () => string;
  machine: FakeMachine | undefined;
}

/** Streams of memory; `script` is what the guest does once it is started. */
export function fakeIo(
  script: (machine: FakeMachine) => void | Promise<void> = (machine) => machine.end({ kind: "power-off" }),
): FakeIo {
  const input = new PassThrough();
  const out = collector();
  const err = collector();
  const io: FakeIo = {
    stdin: input as unknown as NodeJS.ReadStream,
    stdout: out.stream as unknown as NodeJS.WriteStream,
    stderr: err.stream as unknown as NodeJS.WriteStream,
    createVm: async (config) => {
      io.machine = new FakeMachine(config, script);
      return io.machine;
    },
    restoreVm: async ({ name }, { config }) => {
      io.machine = new FakeMachine({ ...(config as VmConfig), name }, script);
      return io.machine;
    },
    input,
    outText: out.text,
    errText: err.text,
    machine: undefined,
  };
  return io;
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

/** A text screen of 80 by 25. */
export function textScreen(lines: readonly string[]): Screen {
  const [columns, rows] = [80, 25];
  const cells = Uint16Array.from(
    { length: columns * rows },
    (_, i) => 0x0700 | (lines[Math.floor(i / columns)] ?? "").padEnd(columns).charCodeAt(i % columns),
  );
  const font = new Uint8Array(8192);
  const frame: TextFrame = {
    kind: "text",
    columns,
    rows,
    cells,
    cursor: { column: 0, row: 0, firstLine: 14, lastLine: 15 },
    blink: false,
    cellWidth: 8,
    cellHeight: 16,
    joinLines: false,
    fonts: [font, font],
    palette: Uint32Array.from({ length: 16 }, (_, i) => 0xff000000 + i * 0x0f0f0f),
  };
  return screenOf(frame);
}
