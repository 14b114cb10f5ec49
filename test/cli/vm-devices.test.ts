// The verbs for the devices, the screen and the keyboard of a VM on a running host, as people type them.
import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServedHost } from "./served-host.ts";

const MIB = 2 ** 20;
const served = new ServedHost();
const { folder, socket } = served;
const paravane: ServedHost["paravane"] = (...args) => served.paravane(...args);
const ok = (...args: string[]): string => {
  const result = paravane(args);
  expect(result, args.join(" ")).toMatchObject({ code: 0, err: "" });
  return result.out;
};
const info = (vm: string) => JSON.parse(ok("info", vm));

let server: ChildProcess;
beforeAll(async () => {
  for (const name of ["a.img", "b.iso", "c.iso"]) writeFileSync(join(folder, name), Buffer.alloc(MIB, name));
  server = (await served.start(["--listen", socket, "--pcpus", "1"])).child;
  ok("create", "hello", "--name", "web", "--balloon", "--start");
  writeFileSync(
    join(folder, "pc.json"),
    JSON.stringify({
      name: "pc",
      guest: "hello",
      display: "vga",
      drives: [
        { id: "cd", bus: "ide", media: "cdrom", file: join(folder, "b.iso") },
        { id: "hd", bus: "ide", file: join(folder, "a.img"), readOnly: true },
      ],
    }),
  );
  ok("create", "--file", join(folder, "pc.json"), "--start");
}, 120_000);
afterAll(async () => {
  expect(await served.stop(server)).toBe(0);
  served.close();
});

describe("attach and detach", { timeout: 120_000 }, () => {
  it("put disks into a VM that runs, and take them", () => {
    ok("attach", "web", "--drive", `id=data,if=virtio,file=${join(folder, "a.img")},readonly=on`);
    expect(info("web").devices.drives).toEqual(["data"]);
    // This guest knows nothing of ACPI.
    expect(paravane(["detach", "web", "data", "--timeout", "1s"])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^paravane: .*does not listen to ACPI.*\n$/),
    });
    ok("detach", "web", "data", "--force");
    expect(info("web").devices.drives).toEqual([]);
  });

  it("put network cards into a VM that runs, and take them", () => {
    ok("attach", "web", "--nic", "user,id=up,net=10.7.0.0/24,mac=02:00:00:00:00:07,hostfwd=tcp::0-:22");
    expect(info("web").nics).toMatchObject([
      { id: "up", model: "virtio", mac: "02:00:00:00:00:07", network: "user", up: true, forwards: [expect.anything()] },
    ]);
    ok("detach", "web", "up", "--force");
    expect(info("web").nics).toEqual([]);
  });
});

describe("insert and eject", { timeout: 120_000 }, () => {
  it("change the disc of a drive", () => {
    ok("eject", "pc", "cd");
    ok("insert", "pc", "cd", join(folder, "c.iso"));
    ok("insert", "pc", "cd", join(folder, "b.iso"), "--force");
    ok("eject", "pc", "cd", "--force");
  });
});

describe("set", { timeout: 120_000 }, () => {
  it("changes limits and memory while it runs", () => {
    ok("set", "web", "--limit", "console.bandwidth=20k/100ms", "disks.operations=100");
    expect(info("web").limits).toMatchObject({
      console: { bandwidth: { size: 20 * 1024, refillMs: 100 } },
      disks: { operations: { size: 100 } },
    });
    ok("set", "web", "--limit", "console.operations=7");
    expect(info("web").limits.console).toMatchObject({ bandwidth: { refillMs: 100 }, operations: { size: 7 } });
    ok("set", "web", "--limit", "console.bandwidth=none", "disks=none");
    expect(info("web").limits).toEqual({ console: { operations: { size: 7, refillMs: 1000, oneTimeBurst: 0 } } });
    ok("set", "web", "--memory", "2M");
    expect(info("web").resources.memory).toMatchObject({ limit: 2 * MIB });
  });
});

describe("screen, screenshot and type", { timeout: 120_000 }, () => {
  it("show what is there, as text, as JSON and as a picture", () => {
    ok("screen", "pc");
    expect(JSON.parse(ok("screen", "pc", "--json"))).toMatchObject({ kind: "text", lines: expect.any(Array) });
    const file = join(folder, "screen.png");
    ok("screenshot", "pc", "--output", file);
    expect(readFileSync(file).subarray(0, 4).toString("latin1")).toBe("\x89PNG");
    expect(paravane(["screenshot", "pc", "-o", "-"]).out).toContain("PNG");
    expect(paravane(["screen", "pc", "--wait", "never there", "--timeout", "200ms"])).toMatchObject({ code: 10 });
  });

  it("type text and keys", () => {
    ok("type", "pc", "echo hello\\n");
    ok("type", "pc", "--keys", "ctrl-alt-delete ret");
  });
});

describe("what is wrong is one sentence, and nothing changes", { timeout: 240_000 }, () => {
  it.each<[string[], number, string]>([
    [["attach", "web"], 2, "give --drive or --nic"],
    [["attach", "web", "--nic", "user,id=x", "--drive", "id=y,file=z"], 2, "one of them"],
    [["attach", "web", "--nic", "user"], 2, "id=NAME"],
    [["attach", "web", "--nic", "none"], 2, "user or switch=NETWORK"],
    [["attach", "web", "--nic", "tap,id=x"], 2, "tap"],
    [["attach", "web", "--nic", "user,id=x,colour=red"], 2, 'no property "colour"'],
    [["attach", "web", "--nic", "switch=nowhere,id=x"], 4, "nowhere"],
    [["attach", "web", "--nic", "user,id=x,model=rtl8139"], 2, "nic.model"],
    [["attach", "web", "--nic", "user,id=x,mtu=1"], 2, "mtu"],
    [["attach", "web", "--drive", "file=a.img,if=virtio"], 2, "id=NAME"],
    [["attach", "web", "--drive", "id=x,if=virtio,file=/no/such/file"], 4, "/no/such/file"],
    [["attach", "web", "--drive", `id=x,if=ide,file=${join(folder, "a.img")}`], 2, "virtio only"],
    [["attach", "nobody", "--nic", "user,id=x"], 4, "nobody"],
    [["detach", "web", "x"], 4, '"x"'],
    [["detach", "web", "x", "--timeout", "soon"], 2, "--timeout"],
    [["detach", "web"], 2, "missing required argument 'id'"],
    [["insert", "pc", "hd", join(folder, "b.iso")], 4, "hd"],
    [["insert", "pc", "cd", "/no/such/file"], 4, "/no/such/file"],
    [["insert", "pc", "cd"], 2, "missing required argument 'file'"],
    [["eject", "pc", "dvd"], 4, "dvd"],
    [["eject", "nobody", "cd"], 4, "nobody"],
    [["set", "web", "--limit", "disks=10M"], 2, "KIND.bandwidth"],
    [["set", "web", "--limit", "disks.bandwidth=fast"], 2, "10M/1s"],
    [["set", "web", "--limit", "tapes.bandwidth=1M"], 2, "tapes"],
    [["set", "web", "--memory", "lots"], 2, "--memory"],
    [["set", "web", "--memory", "1G"], 2, "memory"],
    [["set", "pc", "--memory", "1M"], 2, "balloon"],
    [["screen", "web"], 4, "display"],
    [["screen", "nobody"], 4, "nobody"],
    [["screen", "pc", "--wait", "("], 2, "--wait"],
    [["screen", "pc", "--timeout", "x"], 2, "--timeout"],
    [["screenshot", "web"], 4, "display"],
    [["screenshot", "pc", "-o", "/no/such/folder/x.png"], 12, "/no/such/folder/x.png"],
    [["type", "pc"], 2, "give a text or --keys"],
    [["type", "pc", "x", "--keys", "ret"], 2, "one of them"],
    [["type", "pc", "--keys", "hyper-x"], 2, "hyper"],
    [["type", "nobody", "x"], 4, "nobody"],
  ])("%j", (args, code, text) => {
    const result = paravane(args);
    expect(result.err).toContain(text);
    expect(result.err.trim().split("\n")).toHaveLength(1);
    expect(result.code).toBe(code);
    expect(result.out).toBe("");
  });
});
