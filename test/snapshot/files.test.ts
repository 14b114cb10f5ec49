// Snapshots as files: whole or not there at all, whatever happens to the process that writes them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import {
  flattenSnapshot,
  inspectSnapshot,
  type SnapshotStore,
  snapshotFolder,
  Vm,
  verifySnapshot,
} from "../../src/index.ts";
import { fakeIo } from "../cli/fake-machine.ts";
import { Listener, sleep, startSteady } from "./steady.ts";

let folder: string;
let store: SnapshotStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "paravane-snapshots-"));
  store = await snapshotFolder(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a folder of snapshots", () => {
  it("keeps a chain, tells what is in it, makes one file of it, and restores from any", async () => {
    const { vm } = await startSteady({ name: "guest" });
    await vm.snapshot({ store, name: "base.pvs", track: true });
    await sleep(10);
    await vm.pause();
    await vm.snapshot({ store, name: "next.pvs", parent: "base.pvs" });
    const hash = await vm.stateHash();
    await vm.stop();

    const report = await inspectSnapshot({ store, name: "next.pvs" });
    expect(report).toMatchObject({ name: "next.pvs", formatVersion: 1, parent: { name: "base.pvs" }, external: [] });
    expect(report.config).toMatchObject({ name: "guest", memoryBytes: 4 << 20, clock: "real" });
    expect(report.devices).toMatchObject({ uart0: 1, "vm-generation": 1 });
    expect(report.images).toEqual([]);
    expect((await inspectSnapshot({ store, name: "base.pvs" })).images).toHaveLength(1);

    const flat = await flattenSnapshot({ store, name: "next.pvs" }, { store, name: "flat.pvs" });
    expect(flat.files).toEqual(["next.pvs", "base.pvs"]);
    await rm(join(folder, "base.pvs"));
    const restored = await Vm.restore({ store, name: "flat.pvs" }, { identity: "same" });
    expect(await restored.stateHash()).toBe(hash);
    await restored.stop();
    await expect(Vm.restore({ store, name: "next.pvs" })).rejects.toMatchObject({ code: "bad-snapshot" });
  });

  it("is for files of its own only", async () => {
    for (const name of ["../x", "a/b", "", "..", "/etc/passwd"]) {
      await expect(store.open(name)).rejects.toMatchObject({ code: "bad-snapshot" });
      await expect(store.create(name)).rejects.toMatchObject({ code: "bad-snapshot" });
    }
    await mkdir(join(folder, "folder.pvs"));
    await expect(store.open("folder.pvs")).rejects.toMatchObject({ code: "io" });
    await expect((await snapshotFolder(join(folder, "none"))).create("x")).rejects.toMatchObject({ code: "io" });
  });

  it("keeps the old snapshot and nothing of the new one when that cannot be written", async () => {
    await writeFile(join(folder, "old.pvs"), "old");
    const failing: SnapshotStore = {
      open: (name) => store.open(name),
      create: async (name) => {
        const sink = await store.create(name);
        let left = 3;
        return {
          ...sink,
          write: async (bytes) => (left-- > 0 ? sink.write(bytes) : Promise.reject(new Error("disk full"))),
        };
      },
    };
    const { vm } = await startSteady();
    const before = await readdir(folder);
    await expect(vm.snapshot({ store: failing, name: "old.pvs", track: true })).rejects.toThrow("disk full");
    expect(await readdir(folder)).toEqual(before);
    expect(await readFile(join(folder, "old.pvs"), "utf8")).toBe("old");
    expect(vm.state).toBe("running");
    await vm.snapshot({ store, name: "old.pvs" });
    await vm.stop();
    expect((await verifySnapshot({ store, name: "old.pvs" })).files).toEqual(["old.pvs"]);
  });
});

describe("a process killed while it writes", () => {
  it("leaves the snapshot of before, each time", { timeout: 120_000 }, async () => {
    const place = join(folder, "killed");
    await mkdir(place);
    const there = await snapshotFolder(place);
    let begun = 0;
    for (let round = 0; round < 12; round++) {
      const child = writer(place);
      const written = await lines(child, 2 + (round % 3));
      // Anywhere in the next one: packing, writing, syncing, renaming.
      await sleep(Math.random() * 40);
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
      expect(written).toBeGreaterThan(0);
      expect((await verifySnapshot({ store: there, name: "one.pvs" })).files).toEqual(["one.pvs"]);
      const left = (await readdir(place)).filter((name) => name !== "one.pvs");
      begun += left.length;
      for (const name of left) await rm(join(place, name));
      if (round % 4 !== 3) continue;
      const vm = await Vm.restore({ store: there, name: "one.pvs" });
      const listener = new Listener(vm);
      vm.start();
      while (listener.lines.length < 3 && vm.state === "running") await sleep(5);
      expect(listener.failed).toBeUndefined();
      await vm.stop();
    }
    // The kill came in the middle of a file at least sometimes.
    expect(begun).toBeGreaterThan(0);
  });
});

describe("the command line", () => {
  it("saves a guest on exit, says what it has, and goes on from it", { timeout: 60_000 }, async () => {
    const file = join(folder, "cli.pvs");
    const real = async () => (await import("../../src/cli/machine.ts")).processIo();
    const run = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
      const io = { ...fakeIo(), createVm: (await real()).createVm, restoreVm: (await real()).restoreVm };
      const code = await runCommandLine(args, io);
      return { code, out: io.outText(), err: io.errText() };
    };
    const first = await run("run", "steady", "--append", "", "--until", "steady 000000c0", "--snapshot-on-exit", file);
    expect(first.err).toMatch(/^paravane: saved in .*cli\.pvs \(\d+\.\d MiB\)$/m);
    expect(first.code).toBe(0);
    const inspected = await run("snapshot", "inspect", file);
    expect(inspected.out).toMatch(/^VM +steady$/m);
    expect(inspected.out).toMatch(/^parent +none/m);
    expect(JSON.parse((await run("snapshot", "inspect", file, "--json")).out)).toMatchObject({ name: "cli.pvs" });
    expect((await run("snapshot", "verify", file)).out).toBe("cli.pvs: whole\n");
    const flat = join(folder, "cli-flat.pvs");
    expect((await run("snapshot", "flatten", file, flat, "--no-compress")).code).toBe(0);
    const second = await run(
      "run",
      "--restore",
      flat,
      "--restore-clock",
      "now",
      "--until",
      "steady 00000240",
      "--timeout",
      "30",
    );
    expect(second.code).toBe(0);
    expect(second.out).not.toContain("steady 00000040");
    expect(second.out).toContain("steady 00000200");
    const other = await run("run", "--restore", flat, "--memory", "64M");
    expect(other.code).toBe(4);
    expect(other.err).toMatch(/^paravane: memoryBytes of the saved machine is 4194304; it cannot become 67108864\.$/m);
  });
});

function writer(place: string): ChildProcess {
  const script = fileURLToPath(new URL("kill-child.ts", import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", script, place], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Resolves once the child has written so many lines. */
async function lines(child: ChildProcess, count: number): Promise<number> {
  let seen = 0;
  for await (const chunk of child.stdout ?? []) {
    seen += String(chunk).split("\n").length - 1;
    if (seen >= count) return seen;
  }
  return seen;
}
