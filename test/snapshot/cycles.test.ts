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
  it(`survives ${CYCLES} cycles of saving, ending and restoring`, { timeout: 240_000 }, async () => {
    const store = new MemorySnapshots();
    const first = await startSteady();
    let vm: Vm = first.vm;
    running = vm;
    // One for each life: what a guest says after its snapshot it says again after the restore.
    let listener = first.listener;
    const firstSteps = listener.steps;
    let taken = 0;
    let parent: string | undefined;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      // Sometimes at once, mostly after some thousand instructions.
      if (cycle % 4 !== 0) await sleep(Math.random() * 3);
      expect(listener.failed).toBeUndefined();
      expect(vm.state).toBe("running");
      const hashed = cycle % 50 === 0;
      if (hashed || cycle % 3 === 0) await vm.pause();
      const name = `cycle${cycle}`;
      const incremental = parent !== undefined && cycle % CHAIN !== 0;
      const base = incremental ? { parent: parent as string } : { track: true };
      const info = await vm.snapshot({ store, name, compress: cycle % 20 === 0, ...base });
      taken += info.memoryBytes;
      if (!incremental) for (let old = cycle - CHAIN; old < cycle; old++) store.delete(`cycle${old}`);
      parent = name;
      const hash = hashed ? await vm.stateHash() : undefined;
      await vm.stop();
      const clock = cycle % 7 === 0 && !hashed ? "now" : "resume";
      vm = await Vm.restore({ store, name }, { clock, identity: hashed ? "same" : "new", track: true });
      running = vm;
      if (hash !== undefined) expect(await vm.stateHash()).toBe(hash);
      listener = new Listener(vm);
      vm.start();
    }
    while (listener.failed === undefined && listener.lines.length < 20 && vm.state === "running") await sleep(5);
    expect(listener.failed).toBeUndefined();
    expect(vm.state).toBe("running");
    // It got on in most of them: not the same moment a thousand times.
    expect(listener.steps).toBeGreaterThan(firstSteps + CYCLES);
    expect(taken).toBeGreaterThan(CYCLES * 4096);
  });
});
