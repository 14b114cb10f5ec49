// --share: what it says is what the machine gets, and what is wrong with it is one sentence that names it.
import { mkdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openShares, parseShares } from "../../src/cli/shares.ts";
import { UsageError } from "../../src/cli/values.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import { VmError } from "../../src/vmm/error.ts";
import { Scratch } from "../backends/block/tools.ts";

describe("--share", () => {
  it("takes a directory with tag and readonly, a comma in its name doubled, and gives each a tag of its own", () => {
    expect(parseShares(["/a", "b,,c,tag=x=y,readonly=on", "d"])).toEqual([
      { path: "/a", tag: "host", readOnly: false },
      { path: "b,c", tag: "x=y", readOnly: true },
      { path: "d", tag: "host2", readOnly: false },
    ]);
  });

  it.each([
    ["", /no directory/],
    [",tag=a", /no directory/],
    ["a,tga=b", /"tga".*tag/],
    ["a,tag", /tag/],
    ["a,readonly=maybe", /readonly.*maybe.*on.*off/],
  ])("refuses %j", (spec, says) => {
    expect(() => parseShares([spec])).toThrow(UsageError);
    expect(() => parseShares([spec])).toThrow(says);
  });

  it("refuses what is no directory, and leaves nothing open of those before it", async () => {
    using scratch = new Scratch();
    const requests = parseShares([scratch.path("."), scratch.path("missing")]);
    await expect(openShares(requests)).rejects.toThrow(/missing is no directory/);
  });

  it("makes shares that a configuration takes, and that cannot be written to when they are read-only", async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.path("folder"));
    using shares = await openShares(parseShares([`${scratch.path("folder")},readonly=on`, scratch.path("folder")]));
    const boot = { kind: "flat", image: new Uint8Array(1), address: 0 } as const;
    const [first, second] = checkConfig({ boot, ...shares.config }).shares;
    expect([first?.tag, second?.tag]).toEqual(["host", "host1"]);
    expect(() => first?.tree.makeDirectory(["new"], 0o755)).toThrow();
    second?.tree.makeDirectory(["new"], 0o755);
    const twice = await openShares(parseShares([scratch.path("."), `${scratch.path(".")},tag=host`]));
    expect(() => checkConfig({ boot, ...twice.config })).toThrow(VmError);
    twice[Symbol.dispose]();
  });
});
