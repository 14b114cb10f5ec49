// Sockets of the host for user networks.
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import dns from "node:dns";
import { connect, createServer, type Socket } from "node:net";
import type {
  HostSockets,
  Listener,
  SocketFailure,
  TcpEvents,
  TcpStream,
  UdpEvents,
  UdpSocket,
} from "../../backends/network/user/host-sockets.ts";
import { VmError } from "../../vmm/error.ts";

const FAILURES: Readonly<Record<string, SocketFailure>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ETIMEDOUT: "timeout",
};

export const nodeSockets: HostSockets = {
  connectTcp: (host, port, events) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.on("connect", () => events.connected());
    return stream(socket, events);
  },

  listenTcp: (host, port, accept) =>
    new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
        const taken = accept((events) => {
          const opened = stream(socket, events);
          socket.resume();
          return opened;
        });
        if (!taken) socket.resetAndDestroy();
      });
      server.once("error", (error) => reject(cannotListen(host, port, error)));
      server.listen({ host, port }, () => {
        const bound = server.address();
        resolve({
          port: typeof bound === "object" && bound !== null ? bound.port : port,
          close: () => void server.close(),
        });
      });
    }),

  openUdp: (events) => {
    const socket = createSocket("udp4");
    socket.unref();
    return datagrams(socket, events);
  },

  bindUdp: (address, port, events) =>
    new Promise((resolve, reject) => {
      const socket = createSocket("udp4");
      socket.once("error", (error) => reject(cannotListen(address, port, error)));
      socket.bind({ address, port, exclusive: true }, () => {
        const bound: Listener = { port: socket.address().port, close: () => {} };
        resolve({ ...bound, ...datagrams(socket, events) });
      });
    }),

  // By the module: what it exports is another function after setServers.
  nameServers: () => dns.getServers().filter((server) => /^\d+\.\d+\.\d+\.\d+(:\d+)?$/.test(server)),
};

function stream(socket: Socket, events: TcpEvents): TcpStream {
  let failure: SocketFailure | undefined;
  socket.on("data", (bytes: Uint8Array) => events.data(bytes));
  socket.on("end", () => events.ended());
  socket.on("drain", () => events.drained());
  socket.on("error", (error: NodeJS.ErrnoException) => {
    failure = FAILURES[error.code ?? ""] ?? "failed";
  });
  socket.on("close", () => events.closed(failure));
  return {
    write: (bytes) => {
      if (!socket.destroyed && !socket.writableEnded) socket.write(bytes);
    },
    get waitingBytes() {
      return socket.writableLength;
    },
    end: () => {
      if (!socket.destroyed) socket.end();
    },
    reset: () => {
      if (!socket.destroyed) socket.resetAndDestroy();
    },
    setReading: (on) => {
      if (on) socket.resume();
      else socket.pause();
    },
  };
}

function datagrams(socket: DatagramSocket, events: UdpEvents): UdpSocket {
  let open = true;
  socket.on("message", (bytes, { address, port }) => events.data(bytes, address, port));
  socket.on("error", () => {
    // What could not be sent is lost; a socket that failed altogether says so by closing.
  });
  socket.on("close", () => {
    open = false;
    events.closed();
  });
  return {
    send: (bytes, address, port) => {
      if (open) socket.send(bytes, port, address, () => {});
    },
    close: () => {
      if (open) socket.close();
      open = false;
    },
  };
}

function cannotListen(address: string, port: number, cause: NodeJS.ErrnoException): VmError {
  const why =
    cause.code === "EADDRINUSE" ? "it is in use" : cause.code === "EACCES" ? "it needs rights" : cause.message;
  return new VmError(
    "host",
    `Port ${port} of ${address} cannot be forwarded: ${why}; choose another port.`,
    { address, port },
    { cause },
  );
}
