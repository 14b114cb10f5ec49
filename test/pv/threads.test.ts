// The time page under another thread's eyes: what a reader takes by the version protocol is one publication, never parts of two.
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import * as L from "../../spec/layout.ts";
import * as P from "../../spec/paravirt.ts";
import { buildCpuid, installCpuModel } from "../../src/vcpu/cpu-model.ts";
import { instantiateCore } from "../../src/vmm/core.ts";
import { allocateMemory, layOut, vcpuAddress, writeHeader } from "../../src/vmm/memory.ts";
import { machineSlots, writeSlots } from "../../src/vmm/slots.ts";
import { ALL_PV } from "./machine.ts";

const PAGE = 0x9000;
/** A reader that has seen so many publications has been disturbed often enough. */
const VERSIONS = 50;
const LIMIT_MS = 20_000;

/** Reads as Linux's pvclock_clocksource_read does, and counts reads whose two times do not belong together. */
const READER = `
const { parentPort, workerData: { buffer, at, done } } = require("node:worker_threads");
const words = new Int32Array(buffer);
const longs = new BigUint64Array(buffer);
const end = performance.now() + ${LIMIT_MS};
let reads = 0, torn = 0;
const versions = new Set();
while (versions.size < ${VERSIONS} && performance.now() < end) {
  for (let n = 0; n < 1000; n++) {
    const before = Atomics.load(words, at >> 2);
    const tsc = longs[(at + ${P.PVCLOCK_TSC_TIMESTAMP}) >> 3];
    const ns = longs[(at + ${P.PVCLOCK_SYSTEM_TIME}) >> 3];
    if (before & 1 || before === 0 || Atomics.load(words, at >> 2) !== before) continue;
    reads++;
    if (tsc !== ns) torn++;
    versions.add(before);
  }
}
Atomics.store(new Int32Array(done), 0, 1);
parentPort.postMessage({ reads, torn, versions: versions.size });
`;

it("is read whole or not at all", { timeout: 2 * LIMIT_MS }, async () => {
  const map = layOut({ ramBytes: 1 << 20, romBytes: 0, vcpuCount: 1 });
  const memory = allocateMemory(map, "shared");
  writeHeader(memory, map, { kind: "real", psPerInstruction: 1000, tscKhz: 1_000_000, apic: true });
  writeSlots(memory, machineSlots(map, 0));
  const vcpu = vcpuAddress(0);
  const view = new DataView(memory.buffer);
  installCpuModel(view, vcpu, buildCpuid(ALL_PV));
  const module = new WebAssembly.Module(
    readFileSync(new URL("../../build/paravane.shared.wasm", import.meta.url)) as BufferSource,
  );
  const core = await instantiateCore(module, memory, { nowNs: () => performance.now() * 1e6, fillPage: () => 0 });
  core.initVm();
  core.resetVcpu(vcpu);
  // A TSC that counts the VM's nanoseconds: both times of the page are equal in every publication.
  view.setBigInt64(vcpu + L.TSC_OFFSET, 0n, true);
  view.setBigUint64(vcpu + L.KVM_SYSTEM_TIME, BigInt(PAGE | 1), true);

  const done = new Int32Array(new SharedArrayBuffer(4));
  const workerData = { buffer: memory.buffer, at: map.ramBase + PAGE, done: done.buffer };
  const worker = new Worker(READER, { eval: true, workerData });
  const result = new Promise<{ reads: number; torn: number; versions: number }>((resolve, reject) => {
    worker.on("error", reject);
    worker.on("message", resolve);
  });
  await new Promise((resolve) => worker.on("online", resolve));
  for (const end = performance.now() + LIMIT_MS; Atomics.load(done, 0) === 0 && performance.now() < end; ) {
    for (let n = 0; n < 100; n++) core.clockStopped(vcpu);
  }
  const { torn, versions } = await result;
  await worker.terminate();
  expect(torn).toBe(0);
  // or nothing changed while it was read
  expect(versions).toBeGreaterThanOrEqual(VERSIONS);
});
