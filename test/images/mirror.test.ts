import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTar } from "../../src/images/archive.ts";
import { AptSource } from "../../src/images/node/apt.ts";
import { MirrorSource } from "../../src/images/node/mirror.ts";
import { openPackageSource } from "../../src/images/node/packages.ts";
import { isInstalled } from "../../src/images/node/process.ts";

// A Debian mirror of three small packages on the loopback interface.
const directory = mkdtempSync(join(tmpdir(), "paravane-mirror-"));
const files = new Map<string, Uint8Array>();
let server: Server;
let url: string;

function makeDeb(name: string): Uint8Array {
  const tree = join(directory, name);
  mkdirSync(join(tree, "usr", "bin"), { recursive: true });
  writeFileSync(join(tree, "usr", "bin", name), `I am ${name}\n`, { mode: 0o755 });
  execFileSync("tar", ["--xz", "-C", tree, "-cf", join(directory, "data.tar.xz"), "./usr"]);
  writeFileSync(join(directory, "debian-binary"), "2.0\n");
  execFileSync("tar", ["--xz", "-C", tree, "-cf", join(directory, "control.tar.xz"), "--files-from=/dev/null"]);
  execFileSync("ar", ["rc", `${name}.deb`, "debian-binary", "control.tar.xz", "data.tar.xz"], { cwd: directory });
  return new Uint8Array(readFileSync(join(directory, `${name}.deb`)));
}

beforeAll(async () => {
  const stanza = (name: string, extra: string, deb: Uint8Array): string =>
    `Package: ${name}\nArchitecture: i386\nVersion: 1.0-1\n${extra}Filename: pool/${name}.deb\nSize: ${deb.length}\nSHA256: ${createHash("sha256").update(deb).digest("hex")}\n`;
  const depends: Record<string, string> = {
    tool: "Depends: library (>= 1.0), awk | other\nPre-Depends: tool-data:any\n",
    library: "",
    "tool-data": "Depends: tool\n",
    mawk: "Provides: awk (= 1)\n",
    spoiled: "",
  };
  const stanzas = Object.entries(depends).map(([name, extra]) => {
    const deb = makeDeb(name);
    files.set(
      `/debian/pool/${name}.deb`,
      name === "spoiled" ? deb.map((byte, index) => (index === 200 ? byte ^ 1 : byte)) : deb,
    );
    return stanza(name, extra, deb);
  });
  const index = execFileSync("xz", ["-c"], { input: stanzas.join("\n") });
  files.set("/debian/dists/bookworm/main/binary-i386/Packages.xz", new Uint8Array(index));
  server = createServer((request, response) => {
    const file = files.get(request.url ?? "");
    response.statusCode = file ? 200 : 404;
    response.end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian/`;
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

describe("packages straight from a mirror", () => {
  it("are found in its index, checked and unpacked", async () => {
    const source = await MirrorSource.open(url, "i386", {});
    expect(await source.dependencies("tool")).toEqual(["library", "awk"]);
    const [tool] = await source.fetch(["tool"]);
    expect(tool).toMatchObject({ name: "tool", version: "1.0-1" });
    const entries = [...readTar((await tool?.dataTar()) as Uint8Array)];
    expect(entries.find((entry) => entry.path === "usr/bin/tool")).toMatchObject({ kind: "file", permissions: 0o755 });
  });

  it("come with what they depend on, virtual packages and circles included", async () => {
    const source = await MirrorSource.open(url, "i386", {});
    const names = (await source.fetchWithDependencies(["tool"])).map((debianPackage) => debianPackage.name);
    expect(names).toEqual(["library", "mawk", "tool", "tool-data"]);
  });

  it("with another digest than the index says, or missing, are refused by name", async () => {
    const source = await MirrorSource.open(url, "i386", {});
    await expect(source.fetch(["spoiled"])).rejects.toThrow(/package spoiled.*SHA-256/);
    await expect(source.fetch(["nothing"])).rejects.toThrow(/no package nothing in bookworm/);
    await expect(MirrorSource.open(url, "vax", {})).rejects.toThrow(/binary-vax.*answered 404; check the mirror's URL/);
  });

  it("can be given up", async () => {
    const aborted = MirrorSource.open(url, "i386", { signal: AbortSignal.abort(new Error("enough")) });
    await expect(aborted).rejects.toThrow("enough");
  });
});

const hasApt = await isInstalled("apt-get");
describe.skipIf(!hasApt)("packages through apt", () => {
  it("are not taken from a mirror without signatures, and the message says what to check", async () => {
    const opening = AptSource.open(join(directory, "apt state"), "i386", { mirror: url });
    await expect(opening).rejects.toThrow(
      /apt-get could read no package list.*check that http:\/\/127.*is a Debian mirror/,
    );
  }, 60_000);
});

it("a mirror that is no URL is refused", async () => {
  await expect(openPackageSource(directory, "i386", { mirror: "ftp.example" })).rejects.toThrow(
    /"ftp\.example" is no URL/,
  );
});
