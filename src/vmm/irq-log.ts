// What the interrupt controllers did since the last look, as trace events: the reader of spec/irq-trace.ts.
import {
  IRQ_SOURCE_KIND,
  IRQ_TRACE_A,
  IRQ_TRACE_B,
  IRQ_TRACE_BASE,
  IRQ_TRACE_C,
  IRQ_TRACE_KIND,
  IRQ_TRACE_MAX,
  IRQ_TRACE_STRIDE,
  IrqSource,
  IrqTrace,
} from "../../spec/irq-trace.ts";
import { VM_BASE, VM_IRQ_TRACE, VM_IRQ_TRACE_COUNT } from "../../spec/layout.ts";
import { GSI_COUNT } from "./irq.ts";
import type { DeliveryMode, InterruptOrigin, TraceEvent } from "./status.ts";

/** In the order of the local vector table's registers. */
const LOCAL_SOURCES = ["timer", "thermal", "performance", "lint0", "lint1", "error"] as const;
/** Delivery modes by number (SDM 3A 11.6.1). */
const MODES: readonly DeliveryMode[] = ["fixed", "lowest", "smi", "reserved", "nmi", "init", "startup", "extint"];

export class IrqLog {
  readonly #view: DataView;
  readonly #levels = new Uint8Array(GSI_COUNT);
  /** Who sent each vector to the local APIC last: what the processor takes from there names no source. */
  readonly #senders: (InterruptOrigin | undefined)[] = new Array(256).fill(undefined);

  constructor(
    memory: WebAssembly.Memory,
    private readonly emit: (event: TraceEvent) => void,
  ) {
    this.#view = new DataView(memory.buffer);
    this.#set(VM_IRQ_TRACE_COUNT, 0);
    this.#set(VM_IRQ_TRACE, 1);
  }

  /** Nobody traces interrupts, or no longer. */
  static stop(memory: WebAssembly.Memory): void {
    new DataView(memory.buffer).setUint32(VM_BASE + VM_IRQ_TRACE, 0, true);
  }

  /** Emits and forgets what is in the log. */
  drain(): void {
    const count = this.#view.getUint32(VM_BASE + VM_IRQ_TRACE_COUNT, true);
    if (count === 0) return;
    for (let n = 0; n < count && n < IRQ_TRACE_MAX; n++) this.#record(IRQ_TRACE_BASE + n * IRQ_TRACE_STRIDE);
    if (count > IRQ_TRACE_MAX) this.emit({ kind: "irq", event: "lost", count: count - IRQ_TRACE_MAX });
    this.#set(VM_IRQ_TRACE_COUNT, 0);
  }

  #record(at: number): void {
    const [a, b, c] = [IRQ_TRACE_A, IRQ_TRACE_B, IRQ_TRACE_C].map((offset) =>
      this.#view.getUint32(at + offset, true),
    ) as [number, number, number];
    switch (this.#view.getUint32(at + IRQ_TRACE_KIND, true)) {
      case IrqTrace.Line:
        if (this.#levels[a] === b) return;
        this.#levels[a] = b;
        this.emit({ kind: "irq", event: "line", gsi: a, level: b !== 0 });
        return;
      case IrqTrace.Send: {
        const origin = originOf(b);
        const mode = MODES[c] ?? "reserved";
        if (mode === "fixed" || mode === "lowest") this.#senders[a] = origin;
        this.emit({ kind: "irq", event: "send", vector: a, mode, ...origin });
        return;
      }
      case IrqTrace.Take: {
        const origin = b === IrqSource.Apic ? (this.#senders[a] ?? originOf(b)) : originOf(b);
        this.emit({ kind: "irq", event: "take", vector: a, eip: c, ...origin });
        return;
      }
      case IrqTrace.End:
        if (b === IrqSource.Pic) this.emit({ kind: "irq", event: "end", source: "8259", line: a });
        else this.emit({ kind: "irq", event: "end", source: "apic", vector: a });
        return;
    }
  }

  #set(field: number, value: number): void {
    this.#view.setUint32(VM_BASE + field, value, true);
  }
}

function originOf(source: number): InterruptOrigin {
  const number = source & 0xff;
  switch (source & IRQ_SOURCE_KIND) {
    case IrqSource.Pic:
      return { source: "8259", line: number };
    case IrqSource.Gsi:
      return { source: "gsi", line: number };
    case IrqSource.Msi:
      return { source: "msi" };
    case IrqSource.Ipi:
      return { source: "ipi" };
    case IrqSource.Local:
      return { source: LOCAL_SOURCES[number] ?? "apic" };
    case IrqSource.Nmi:
      return { source: "nmi" };
    default:
      return { source: "apic" };
  }
}
