// One writer for each image.
import { spawn } from "node:child_process";
import { linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openDisk } from "../../../src/platform/node/disk.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.img");
writeFileSync(path, new Uint8Array(65536));
const message = /^.*a\.img is being written by another VM; let what is written go elsewhere: overlay=FILE keeps it/;

describe.runIf(process.platform === "linux")("an image that somebody writes", () => {
  it("is refused to a second writer, whatever its name, and free again when it is closed", async () => {
    const first = await openDisk(path);
    const other = join(folder, "same-a.img");
    linkSync(path, other);
    await expect(openDisk(path)).rejects.toThrow(message);
    await expect(openDisk(other)).rejects.toMatchObject({ code: "bad-state" });
    await first.close();
    await (await openDisk(other)).close();
  });

  it("can be read, with writes that are dropped or go to an overlay; an overlay has one writer too", async () => {
    const overlay = join(folder, "over.qcow2");
    const writer = await openDisk(path);
    for (const options of [{ readOnly: true }, { snapshot: true }] as const)
      await (await openDisk(path, options)).close();
    const over = await openDisk(path, { overlay });
    await expect(openDisk(path, { overlay })).rejects.toThrow(/over\.qcow2 is being written/);
    await over.close();
    await writer.close();
  });

  it("is waited for while its writer lets go", async () => {
    const first = await openDisk(path);
    const second = openDisk(path);
    setTimeout(() => void first.close(), 100);
    await (await second).close();
  });

  it("is free when the process of its writer was killed", { timeout: 60_000 }, async () => {
    const script = `
      const { openDisk } = await import("./src/platform/node/disk.ts");
      await openDisk(${JSON.stringify(path)});
      console.log("open");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await expect(openDisk(path)).rejects.toThrow(message);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    await (await openDisk(path)).close();
  });
});
