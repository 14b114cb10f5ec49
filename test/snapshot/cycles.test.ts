// A guest under load is saved and restored a thousand times at whatever instruction it happens to be at, and notices
// nothing: its pages, their generations, its FPU, its interrupts and its time.
import { afterAll, describe, expect, it } from "vitest";
import { MemorySnapshots, Vm } from "../../src/index.ts";
import { Listener, sleep, startSteady } from "./steady.ts";

const CYCLES = 1000;
/** The longest chain of parents before a full snapshot is taken again. */
const CHAIN = 5;

let running: Vm | undefined;
afterAll(async () => {
  await running?.stop();
});

describe("a guest under load", () => {
  it(`survives ${CYCLES} cycles of saving, ending and restoring`, async () => {
    const store = new MemorySnapshots();
    const listener = new Listener();
    const first = await startSteady();
    let vm: Vm = first.vm;
    running = vm;
    let taken = 0;
    let parent: string | undefined;
    let hashes = 0;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      // Sometimes at once, mostly after some thousand instructions.
      if (cycle % 4 !== 0) await sleep(Math.random() * 3);
      expect(vm.state).toBe("running");
      const hashed = cycle % 50 === 0;
      if (hashed || cycle % 3 === 0) await vm.pause();
      const name = `cycle${cycle}`;
      const incremental = parent !== undefined && cycle % CHAIN !== 0;
      const options = incremental ? { parent: parent as string } : { track: true };
      const info = await vm.snapshot({ store, name, compress: cycle % 20 === 0, ...options });
      taken += info.memoryBytes;
      if (!incremental) for (let old = cycle - CHAIN; old < cycle; old++) store.delete(`cycle${old}`);
      parent = name;
      const hash = hashed ? await vm.stateHash() : undefined;
      await vm.stop();
      const clock = cycle % 7 === 0 ? "now" : "resume";
      const identity = hashed ? "same" : "new";
      vm = await Vm.restore({ store, name }, { clock: hashed ? "resume" : clock, identity, track: true });
      running = vm;
      if (hash !== undefined) {
        expect(await vm.stateHash()).toBe(hash);
        hashes++;
      }
      listener.follow(vm);
      vm.start();
      if (listener.failed !== undefined) break;
    }
    expect(listener.failed).toBeUndefined();
    const steps = listener.steps;
    while (listener.failed === undefined && listener.steps < steps + 640 && vm.state === "running") await sleep(5);
    expect(listener.failed).toBeUndefined();
    expect(vm.state).toBe("running");
    expect(hashes).toBe(CYCLES / 50);
    // It did something in each: not the same moment a thousand times.
    expect(listener.steps).toBeGreaterThan(first.listener.steps + CYCLES);
    expect(taken).toBeGreaterThan(CYCLES * 4096);
  }, 240_000);
});
