// A relay: pages that connect to it by WebSocket are on one switch, and with a gateway in this host's network.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { hostNetworkClock } from "../../backends/network/clock.ts";
import { openUserNetwork } from "../../backends/network/open.ts";
import { FRAME_BYTES_LEAST, FRAME_BYTES_MOST } from "../../backends/network/relay.ts";
import { VirtualNetwork } from "../../backends/network/virtual-network.ts";
import type { UserNetworkSettings } from "../../vmm/network.ts";
import { nodePlatform } from "./index.ts";
import { acceptWebSocket, refuseUpgrade, type ServerWebSocket } from "./web-socket.ts";

const SWITCH = "relay";
const CLIENTS_MAX = 64;
const BACKLOG_BYTES = 1 << 20;

export interface RelayOptions {
  /** Gateway to the host's network, with DHCP. Default: none, pages reach each other alone. */
  readonly gateway?: UserNetworkSettings;
}

export interface Relay extends Disposable {
  /** Takes the upgrade of a connection to the relay; one of another page's origin is refused. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
  readonly clients: number;
}

/** Throws VmError: "bad-config" names the gateway's field, "host" a forwarded port that is taken. */
export async function openRelay({ gateway }: RelayOptions = {}): Promise<Relay> {
  const platform = nodePlatform();
  const clock = hostNetworkClock(platform.monotonicNs);
  const network = new VirtualNetwork({ clock });
  network.addSwitch(SWITCH);
  const opened = gateway && (await openUserNetwork(gateway, platform, clock));
  if (opened !== undefined) network.attach(SWITCH, opened);
  const clients = new Set<ServerWebSocket>();
  const join = (request: IncomingMessage, socket: Duplex, head: Uint8Array): void => {
    const port = network.connect(SWITCH);
    const client = acceptWebSocket(request, socket, head, {
      messageBytesMost: FRAME_BYTES_MOST,
      backlogBytes: BACKLOG_BYTES,
      onMessage: (frame) => {
        if (frame.length >= FRAME_BYTES_LEAST) port.send(frame);
      },
      onClose: () => {
        port[Symbol.dispose]();
        if (client !== undefined) clients.delete(client);
      },
    });
    if (client === undefined) return port[Symbol.dispose]();
    clients.add(client);
    port.onReceive((frame) => void client.send(frame));
  };
  return {
    get clients() {
      return clients.size;
    },
    upgrade: (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      if (!ownOrigin(request)) refuseUpgrade(socket, "403 Forbidden");
      else if (clients.size >= CLIENTS_MAX) refuseUpgrade(socket, "503 Service Unavailable");
      else join(request, socket, head);
    },
    [Symbol.dispose]: () => {
      for (const client of clients) client.close();
      opened?.[Symbol.dispose]();
      network[Symbol.dispose]();
    },
  };
}

/** Browsers say whose page it is; any page may open a WebSocket to anywhere, so it is for the server to refuse. */
function ownOrigin({ headers }: IncomingMessage): boolean {
  try {
    return headers.origin === undefined || new URL(headers.origin).host === headers.host;
  } catch {
    return false;
  }
}
