// Debian's kernel on our networks, with what its own TCP, DHCP client and programs make of them; servers and clients are of
// this process.
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { getServers, setServers } from "node:dns";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer, type Server as TcpServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Host, type HostedVm, type Vm } from "../../src/index.ts";
import type { NicConfig } from "../../src/vmm/device-config.ts";
import { ensureImage, expectPassed, type GuestRun, linuxBoot, runLinux } from "./linux-guest.ts";

const MINUTES = 60_000;
const LARGE = Buffer.alloc(2_000_003, "0123456789abcdefghijklm");
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
const portOf = (server: { address(): AddressInfo | string | null }): number => (server.address() as AddressInfo).port;

let http: Server;
let sums: TcpServer;
const names = createSocket("udp4");
const serversBefore = getServers();

beforeAll(async () => {
  await ensureImage("linux");
  http = createHttpServer((request, response) => {
    response.end(request.url === "/large" ? LARGE : `${digest(LARGE)}\n`);
  });
  // Reads to the end, then answers: the guest closes its half first.
  sums = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    socket.on("data", (data) => hash.update(data));
    socket.on("end", () => socket.end(`${hash.digest("hex").slice(0, 16)}\n`));
    socket.on("error", () => {});
  });
  await Promise.all([http, sums].map((server) => new Promise<void>((done) => server.listen(0, "127.0.0.1", done))));
  names.on("message", (query, from) => {
    const answers = query.includes("server") && query.at(-3) === 1;
    const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 2];
    const reply = Buffer.from([...query, ...(answers ? record : [])]);
    reply.set([0x81, 0x80, 0, 1, 0, answers ? 1 : 0], 2);
    names.send(reply, from.port, from.address);
  });
  await new Promise<void>((done) => names.bind(0, "127.0.0.1", done));
  setServers([`127.0.0.1:${names.address().port}`]);
}, 5 * MINUTES);

afterAll(() => {
  setServers(serversBefore);
  http?.close();
  sums?.close();
  names.close();
});

/** A port that was free just now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const port = portOf(server);
  await new Promise((done) => server.close(done));
  return port;
}

/** What the guest's listener says to `data`, through a port of this host. */
function askGuest(port: number, data: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString();
    });
    socket.on("end", () => {
      socket.end();
      resolve(answer.trim());
    });
    socket.on("error", reject);
    socket.end(data);
  });
}

function onceLine(vm: Vm, line: string): Promise<void> {
  let seen = "";
  return new Promise((resolve) =>
    vm.on("serial", ({ bytes }) => {
      seen += Buffer.from(bytes).toString("latin1");
      if (seen.includes(line)) resolve();
    }),
  );
}

async function onUserNetwork(model: NicConfig["model"]): Promise<{ run: GuestRun; answer: string }> {
  const forwarded = await freePort();
  let answer = "";
  const run = await runLinux({
    image: "linux",
    script: "network.sh",
    append: `quiet paravane.host=${portOf(http)} paravane.sum=${portOf(sums)}`,
    config: {
      clock: "real",
      timeoutMs: 4 * MINUTES,
      nics: [
        {
          id: "net",
          model,
          backend: {
            kind: "user",
            hostname: "guest",
            forwards: [{ protocol: "tcp", hostPort: forwarded, guestPort: 2000 }],
          },
        },
      ],
    },
    during: async (vm) => {
      await Promise.race([onceLine(vm, "network: listening"), vm.exited]);
      answer = await askGuest(forwarded, LARGE);
    },
  });
  return { run, answer };
}

describe("a user network", () => {
  it(
    "gives Linux an address, names and streams in both directions, through virtio-net",
    async () => {
      const { run, answer } = await onUserNetwork("virtio");
      expectPassed(run, 12);
      expect(answer).toBe(digest(LARGE));
      expect(run.statistics.devices["virtio-net0"]).toMatchObject({ faults: 0, malformed: 0 });
    },
    5 * MINUTES,
  );
});

describe("an RTL8139", () => {
  it.each([
    ["rtl8139", "8139cp"],
    ["rtl8139d", "8139too"],
  ] as const)(
    "carries Linux's streams both ways (%s under %s)",
    async (model, driver) => {
      const run = await runLinux({
        image: "linux",
        script: "network-card.sh",
        append: `quiet paravane.host=${portOf(http)} paravane.sum=${portOf(sums)} paravane.driver=${driver}`,
        config: { clock: "real", timeoutMs: 4 * MINUTES, nics: [{ id: "net", model, backend: { kind: "user" } }] },
      });
      expectPassed(run, 7);
      expect(run.statistics.devices["rtl8139-0"]).toMatchObject({ malformed: 0 });
    },
    5 * MINUTES,
  );
});

describe("the networks of a host", () => {
  it(
    "carry streams between guests on different pCPUs, over a slow link that loses frames, while one of them moves",
    async () => {
      await using host = await Host.create({ pcpus: 2, balance: false });
      await host.networks.add({ name: "left" });
      const link = { latencyMs: 1, bitsPerSecond: 100_000_000, loss: 0.01 };
      await host.networks.add({ name: "right", links: [{ to: "left", ...link }] });
      const make = async (role: string, network: string, pcpu: number): Promise<HostedVm> => {
        const { memoryBytes, boot } = await linuxBoot({
          image: "linux",
          script: "virtio-peer.sh",
          append: `quiet paravane.net=off paravane.peer=${role}`,
        });
        const vm = await host.createVm({
          name: role,
          memoryBytes: memoryBytes ?? 0,
          boot,
          pcpu,
          nics: [{ id: "net", model: "virtio", backend: { kind: "switch", name: network } }],
        });
        await vm.start();
        return vm;
      };
      const server = await make("server", "left", 0);
      const client = await make("client", "right", 1);
      const ended = Promise.all([server, client].map(toItsEnd));
      // Not before there is something to move away from.
      while (host.networks.list[0]?.addresses !== 2) await new Promise((done) => setTimeout(done, 100));
      await host.move(server, 1);
      const [fromServer, fromClient] = await ended;
      expectPassed(fromServer as GuestRun, 1);
      expectPassed(fromClient as GuestRun, 2);
    },
    5 * MINUTES,
  );
});

async function toItsEnd(vm: HostedVm): Promise<GuestRun> {
  let console = "";
  vm.on("serial", ({ bytes }) => {
    console += Buffer.from(bytes).toString("latin1");
  });
  const status = await Promise.race([
    vm.ended(),
    new Promise<never>((_, fail) => setTimeout(() => fail(new Error(`no end: ${console.slice(-2000)}`)), 4 * MINUTES)),
  ]);
  return { status, console: console.replaceAll("\r", ""), statistics: await vm.statistics() };
}
