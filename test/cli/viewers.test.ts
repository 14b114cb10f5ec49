// Viewers that stay: what they are told when what they look at goes.
import type { ChildProcess } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import { ServedHost } from "./served-host.ts";

const served = new ServedHost();
afterAll(() => served.close());

/** A viewer that has printed something. */
async function viewer(args: readonly string[]): Promise<{ ended: Promise<{ code: number | null; err: string }> }> {
  const child = served.client(args);
  const err: Buffer[] = [];
  child.stderr?.on("data", (bytes: Buffer) => err.push(bytes));
  const ended = new Promise<{ code: number | null; err: string }>((resolve) =>
    child.on("close", (code) => resolve({ code, err: Buffer.concat(err).toString() })),
  );
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return { ended };
}

async function host(): Promise<ChildProcess> {
  const { child } = await served.start(["--listen", served.socket, "--pcpus", "1"]);
  expect(served.paravane(["create", "hello", "--name", "v", "--start"])).toMatchObject({ code: 0 });
  return child;
}

describe("a viewer", { timeout: 120_000 }, () => {
  it("of a console ends with its VM", async () => {
    const server = await host();
    const { ended } = await viewer(["console", "v"]);
    expect(served.paravane(["stop", "v", "--force"])).toMatchObject({ code: 0 });
    expect(served.paravane(["rm", "v"])).toMatchObject({ code: 0 });
    expect(await ended).toEqual({ code: 0, err: "paravane: v is gone\n" });
    expect(await served.stop(server)).toBe(0);
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("ends in one sentence when its host has %s", async (signal) => {
    const server = await host();
    const viewers = [await viewer(["console", "v"]), await viewer(["events", "--follow"])];
    server.removeAllListeners("exit");
    served.paravane(["pause", "v"]);
    server.kill(signal);
    const said = { code: 12, err: `paravane: the host at ${served.socket} has ended\n` };
    for (const { ended } of viewers) expect(await ended).toEqual(said);
  });
});
