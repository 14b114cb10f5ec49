// Listens for gdb on a loopback port. One gdb at a time; the guest waits while none has said how to go on.
import { createServer, type Socket } from "node:net";
import { VmError } from "../../vmm/error.ts";
import { Debugger } from "../debugger.ts";
import type { DebugTarget } from "../target.ts";
import { encodePacket, PacketReader } from "./packet.ts";
import { GdbSession } from "./session.ts";

export interface GdbServer extends AsyncDisposable {
  /** The port that was taken (of interest when 0 was asked for). */
  readonly port: number;
}

export interface GdbServerOptions {
  /** 0 = any free one. */
  readonly port: number;
  /** A gdb has gone (detached, killed, or lost). */
  readonly onDetach?: () => void;
}

const LAST_ANSWER_MS = 500;

/** Throws VmError("host") when the port cannot be had. Only this machine can connect. */
export async function serveGdb(target: DebugTarget, options: GdbServerOptions): Promise<GdbServer> {
  const debug = new Debugger(target);
  let attached: Socket | undefined;
  let session: GdbSession | undefined;
  const server = createServer((socket) => {
    if (attached) {
      socket.destroy();
      return;
    }
    attached = socket;
    socket.setNoDelay(true);
    const reader = new PacketReader();
    let acknowledging = true;
    const current = new GdbSession(debug, {
      send: (text) => void socket.write(encodePacket(text)),
      stopAcknowledging: () => {
        acknowledging = false;
      },
      close: () => socket.end(),
    });
    session = current;
    socket.on("data", (bytes) => {
      for (const incoming of reader.push(bytes)) {
        if (incoming.kind === "interrupt") current.interrupt();
        else {
          if (acknowledging) socket.write(incoming.kind === "packet" ? "+" : "-");
          if (incoming.kind === "packet") current.handle(incoming.data);
        }
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      attached = undefined;
      options.onDetach?.();
      // Nobody is left to say how to go on: the guest runs free.
      debug.clear();
      if (target.state === "created") target.start();
      else if (target.state === "paused") target.resume();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "EADDRINUSE" ? "something else has it" : cause.message;
      reject(
        new VmError(
          "host",
          `gdb: cannot listen on 127.0.0.1:${options.port}: ${why}; give another port`,
          { port: options.port },
          { cause },
        ),
      );
    });
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      // The answer to gdb's last packet may be that the guest has ended; it must leave before the connection does.
      await Promise.race([session?.settled(), new Promise((resolve) => setTimeout(resolve, LAST_ANSWER_MS).unref())]);
      attached?.end();
      setTimeout(() => attached?.destroy(), LAST_ANSWER_MS).unref();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
