// Each kind of virtio device with something behind it, and what the host may do to it meanwhile.
import { MemoryBackend } from "../../../src/backends/memory.ts";
import { VirtioBalloon } from "../../../src/devices/virtio/balloon.ts";
import { VirtioBlk } from "../../../src/devices/virtio/blk.ts";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import type { VirtioDevice } from "../../../src/devices/virtio/device.ts";
import { VirtioInput } from "../../../src/devices/virtio/input.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VirtioP9 } from "../../../src/devices/virtio/p9.ts";
import { VirtioRng } from "../../../src/devices/virtio/rng.ts";
import { VirtioVsock } from "../../../src/devices/virtio/vsock.ts";
import { NodeFileTree } from "../../../src/platform/node/file-tree.ts";
import type { VsockStream } from "../../../src/vmm/vsock.ts";
import type { TestClock, TestMemory } from "../../devices/bench-machine.ts";
import { MemoryDisk } from "../../devices/virtio/memory-disk.ts";
import type { Random } from "./case.ts";

export const KINDS = ["rng", "blk", "balloon", "console", "net", "p9", "vsock", "input"] as const;
export type Kind = (typeof KINDS)[number];

export interface MadeDevice {
  readonly device: VirtioDevice;
  poke(r: Random): void;
}

const limits = { operations: { size: 50, refillMs: 5 } };

export function makeDevice(kind: Kind, memory: TestMemory, clock: TestClock, share: string): MadeDevice {
  switch (kind) {
    case "rng":
      return { device: new VirtioRng("rng", memory, (into) => into.fill(0x5a)), poke: () => {} };
    case "blk": {
      const disk = new MemoryDisk(new Uint8Array(64 * 1024));
      disk.log.push = () => 0;
      const device = new VirtioBlk("blk", memory, { backend: disk, clock, serial: "fuzz", limits });
      return {
        device,
        poke: (r) => {
          disk.fails = r.chance(4);
          if (r.chance(4)) device.resized();
        },
      };
    }
    case "balloon": {
      const device = new VirtioBalloon("balloon", memory, { clock, statisticsIntervalMs: 1 });
      return {
        device,
        poke: (r) => {
          device.setTarget(r.below(1 << 19));
          void device.requestStatistics();
        },
      };
    }
    case "console": {
      const backends = [new MemoryBackend(4096), new MemoryBackend(4096)] as const;
      const device = new VirtioConsole("console", memory, clock, [
        { backend: backends[0], kind: "console" },
        { backend: backends[1], kind: "stream", name: "fuzz" },
      ]);
      return {
        device,
        poke: (r) => {
          backends[r.below(2)]?.send(new Uint8Array(r.below(3000)));
          device.resize(r.below(3), r.u32(), r.u32());
        },
      };
    }
    case "net": {
      let receive: (frame: Uint8Array) => void = () => {};
      const backend = {
        // An echo: what is sent comes back at once.
        send: (frame: Uint8Array) => receive(frame),
        onReceive: (listener: (frame: Uint8Array) => void) => {
          receive = listener;
          return { dispose: () => {} };
        },
      };
      const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
      const device = new VirtioNet("net", memory, {
        backend,
        clock,
        mac,
        receiveLimits: limits,
        transmitLimits: limits,
      });
      return {
        device,
        poke: (r) => {
          receive(new Uint8Array(r.below(3000)));
          device.setLink(!r.chance(4));
          if (r.chance(4)) device.announce();
        },
      };
    }
    case "p9": {
      const tree = new NodeFileTree(share);
      const device = new VirtioP9("p9", memory, { tag: "fuzz", tree, wallMs: () => clock.wallMs() });
      const dispose = device.dispose.bind(device);
      device.dispose = () => {
        dispose();
        tree[Symbol.dispose]();
      };
      return { device, poke: () => {} };
    }
    case "vsock": {
      const streams: VsockStream[] = [];
      const events = { data: () => {}, end: () => {} };
      const backend = {
        connect: (stream: VsockStream) => {
          if (streams.length > 50) streams.shift();
          streams.push(stream);
          return stream.hostPort % 3 === 0 ? undefined : events;
        },
      };
      const device = new VirtioVsock("vsock", memory, { guestCid: 3, backend });
      return {
        device,
        poke: (r) => {
          const stream = r.chance(2) ? device.connect(r.below(5), events) : streams[r.below(streams.length)];
          if (stream === undefined) return;
          const act = r.below(6);
          if (act === 0) stream.end();
          else if (act === 1) stream.destroy();
          else if (act === 2) stream.pause();
          else if (act === 3) stream.resume();
          else stream.write(new Uint8Array(r.below(9000)));
        },
      };
    }
    case "input": {
      const device = new VirtioInput("input", memory, "tablet");
      return {
        device,
        poke: (r) => {
          device.key(r.u32() & 0xffff, r.chance(2));
          device.point(r.u32(), r.u32());
          device.buttons(r.below(8));
          device.move(r.below(9), -r.below(9), 1);
        },
      };
    }
  }
}
