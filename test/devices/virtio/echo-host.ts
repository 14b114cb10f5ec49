// A host on the other end of the cable that answers ARP and ICMP echo, whole or in fragments, and checks every checksum.

import type { NetworkBackend } from "../../../src/vmm/network.ts";
import { onesComplementSum } from "../../../src/vmm/network-bytes.ts";

const MAC = [0x02, 0, 0, 0, 0, 0x01];
const ADDRESS = [10, 0, 0, 1];

export class EchoHost implements NetworkBackend {
  frames = 0;
  echoes = 0;
  wrong: string[] = [];
  readonly #listeners = new Set<(frame: Uint8Array) => void>();
  /** Fragments by identification: offset and payload. */
  readonly #fragments = new Map<number, { at: number; data: Uint8Array; more: boolean }[]>();

  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  #reply(frame: Uint8Array): void {
    for (const listener of this.#listeners) listener(frame);
  }

  send(frame: Uint8Array): void {
    this.frames++;
    const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
    if (type === 0x0806 && frame[21] === 1 && ADDRESS.every((byte, i) => frame[38 + i] === byte)) this.#arp(frame);
    if (type === 0x0800) this.#ipv4(frame);
  }

  #arp(frame: Uint8Array): void {
    const reply = frame.slice(0, 42);
    reply.set(frame.subarray(6, 12), 0);
    reply.set(MAC, 6);
    reply[21] = 2;
    reply.set(frame.subarray(22, 32), 32);
    reply.set([...MAC, ...ADDRESS], 22);
    this.#reply(reply);
  }

  #ipv4(frame: Uint8Array): void {
    const header = 14 + ((frame[14] ?? 0) & 15) * 4;
    if (onesComplementSum(frame, 14, header) !== 0xffff) this.wrong.push("IPv4 header");
    if (frame[23] !== 1) return;
    const end = 14 + (((frame[16] ?? 0) << 8) | (frame[17] ?? 0));
    const id = ((frame[18] ?? 0) << 8) | (frame[19] ?? 0);
    const flags = ((frame[20] ?? 0) << 8) | (frame[21] ?? 0);
    const parts = this.#fragments.get(id) ?? [];
    this.#fragments.set(id, parts);
    parts.push({ at: (flags & 0x1fff) * 8, data: frame.slice(header, end), more: (flags & 0x2000) !== 0 });
    parts.sort((a, b) => a.at - b.at);
    const whole: number[] = [];
    for (const { at, data } of parts) if (at === whole.length) whole.push(...data);
    if (parts.at(-1)?.more || (parts.at(-1)?.at ?? 0) + (parts.at(-1)?.data.length ?? 0) !== whole.length) return;
    this.#fragments.delete(id);
    const message = Uint8Array.from(whole);
    if (onesComplementSum(message, 0, message.length) !== 0xffff) this.wrong.push("ICMP");
    if (message[0] !== 8) return;
    this.echoes++;
    message[0] = 0;
    message.set([0, 0], 2);
    const sum = ~onesComplementSum(message, 0, message.length);
    message.set([(sum >> 8) & 0xff, sum & 0xff], 2);
    // Fragments of at most 1480 bytes.
    for (let at = 0; at < message.length; at += 1480) {
      const data = message.subarray(at, at + 1480);
      const reply = new Uint8Array(header + data.length);
      reply.set(frame.subarray(0, header));
      reply.set(frame.subarray(6, 12), 0);
      reply.set(MAC, 6);
      reply.set([(header - 14 + data.length) >> 8, (header - 14 + data.length) & 0xff], 16);
      const more = at + data.length < message.length ? 0x2000 : 0;
      reply.set([(more | (at / 8)) >> 8, (at / 8) & 0xff], 20);
      reply.set(frame.subarray(30, 34), 26);
      reply.set(frame.subarray(26, 30), 30);
      reply.set([0, 0], 24);
      const check = ~onesComplementSum(reply, 14, header);
      reply.set([(check >> 8) & 0xff, check & 0xff], 24);
      reply.set(data, header);
      this.#reply(reply);
    }
  }
}
