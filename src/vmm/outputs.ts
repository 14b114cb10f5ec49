// The consoles of a VM: what devices print goes to events and streams.
import { StreamConsole } from "../backends/stream.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { Emitter } from "./events.ts";
import { OutputBuffer } from "./output-buffer.ts";
import type { VmEvents } from "./status.ts";

/** Where bytes from the guest go: an event and a stream for each console. */
export interface Outputs {
  readonly serial: readonly OutputBuffer[];
  readonly debugcon: OutputBuffer;
  readonly parallel: OutputBuffer;
  flush(): void;
  close(): void;
}

export function makeOutputs(config: CheckedConfig, events: Emitter<VmEvents>): Outputs {
  const serial = Array.from(
    { length: config.serialPorts },
    (_, port) => new OutputBuffer(new StreamConsole(), (bytes) => events.emit("serial", { port, bytes })),
  );
  const debugcon = new OutputBuffer(new StreamConsole(), (bytes) => events.emit("debugcon", { bytes }));
  const parallel = new OutputBuffer(new StreamConsole(), (bytes) => events.emit("parallel", { bytes }));
  const all = [...serial, debugcon, parallel];
  return {
    serial,
    debugcon,
    parallel,
    flush: () => {
      for (const output of all) output.flush();
    },
    close: () => {
      for (const output of all) output.console.close();
    },
  };
}
