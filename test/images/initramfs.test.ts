import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { prepareBoot } from "../../src/boot/index.ts";
import { withParents, writeCpio } from "../../src/images/cpio.ts";
import { INIT_BANNER, INIT_SCRIPT } from "../../src/images/init.ts";
import { buildInitramfs, busyboxApplets, overlayInitrd } from "../../src/images/initramfs.ts";
import { moduleEntries } from "../../src/images/modules.ts";
import { openImage } from "../../src/images/node/index.ts";
import { FakeMachine } from "../boot/fake-machine.ts";
import { qemuIsInstalled, runInQemu } from "../boot/qemu-handover.ts";

const directory = mkdtempSync(join(tmpdir(), "paravane-initramfs-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const encoder = new TextEncoder();

describe("cpio archives", () => {
  it("have the newc layout: hex fields, 4-byte alignment, a trailer", () => {
    const archive = writeCpio([
      { kind: "directory", path: "d" },
      { kind: "file", path: "d/f", data: encoder.encode("hello"), permissions: 0o755 },
      { kind: "character-device", path: "d/c", major: 5, minor: 1 },
    ]);
    const text = new TextDecoder("latin1").decode(archive);
    const header = (name: string): string[] => {
      const at = text.indexOf(`${name}\0`) - 110;
      expect(at % 4).toBe(0);
      expect(text.slice(at, at + 6)).toBe("070701");
      return text.slice(at + 6, at + 110).match(/.{8}/g) as string[];
    };
    expect(
      header("d/f")
        .map((field) => Number.parseInt(field, 16))
        .slice(1, 7),
    ).toEqual([0o100755, 0, 0, 1, 0, 5]);
    expect(
      header("d/c")
        .map((field) => Number.parseInt(field, 16))
        .slice(9, 11),
    ).toEqual([5, 1]);
    expect(header("TRAILER!!!")[6]).toBe("00000000");
    expect(archive.length % 512).toBe(0);
  });

  it("refuse paths that leave the root", () => {
    for (const path of ["/etc", "a/../b", "", "a//b", "."]) {
      expect(() => writeCpio([{ kind: "directory", path }])).toThrow(RangeError);
    }
  });

  it("get missing parents, and keep the last of two files of one path", () => {
    const file = (path: string, text: string) => ({ kind: "file", path, data: encoder.encode(text) }) as const;
    const entries = withParents([file("a/b/c", "1"), file("a/b/c", "2")]);
    expect(entries.map((entry) => entry.path)).toEqual(["a", "a/b", "a/b/c"]);
    expect(entries[2]).toEqual(file("a/b/c", "2"));
  });
});

describe("the base system", () => {
  it("is the same bytes each time it is built", () => {
    const busybox = encoder.encode("[\0[[\0sh\0\0");
    expect(buildInitramfs({ busybox })).toEqual(buildInitramfs({ busybox }));
  });
});

describe("busybox", () => {
  it("tells its applets without being run", () => {
    const table = "[\0[[\0ash\0busybox\0cat\0zcat\0\0other\0";
    expect(busyboxApplets(encoder.encode(`ELF junk [\0 ${table}`))).toEqual(["[", "[[", "ash", "cat", "zcat"]);
    expect(() => busyboxApplets(encoder.encode("no table"))).toThrow(/busybox-static/);
  });
});

describe("kernel modules", () => {
  const module = (path: string, depends: string) =>
    ({
      kind: "file",
      path: `lib/modules/6.1/kernel/${path}.ko`,
      data: encoder.encode(`\x7fELF\0license=GPL\0depends=${depends}\0name=x\0`),
    }) as const;
  const files = [
    module("fs/ext4/ext4", "mbcache,jbd2"),
    module("fs/jbd2/jbd2", ""),
    module("fs/mbcache", "crc-16"),
    module("lib/crc-16", ""),
    module("other", ""),
  ];

  it("come with what they depend on and a modules.dep that modprobe reads", () => {
    const { entries, missing } = moduleEntries(files, ["ext4", "virtio_blk"]);
    expect(missing).toEqual(["virtio_blk"]);
    expect(entries.map((entry) => entry.path.split("/").at(-1)).sort()).toEqual([
      "crc-16.ko",
      "ext4.ko",
      "jbd2.ko",
      "mbcache.ko",
      "modules.dep",
    ]);
    const dep = entries.find((entry) => entry.path === "lib/modules/6.1/modules.dep");
    const lines = new TextDecoder()
      .decode((dep as { data: Uint8Array }).data)
      .trim()
      .split("\n");
    expect(lines).toContain("kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko kernel/lib/crc-16.ko");
    expect(lines).toContain("kernel/lib/crc-16.ko:");
  });

  it("come with what they want loaded before them, by alias, in its portable form", () => {
    const text = (path: string, info: string) =>
      ({
        kind: "file",
        path: `lib/modules/6.1/kernel/${path}.ko`,
        data: encoder.encode(`\0${info.replaceAll(" | ", "\0")}\0`),
      }) as const;
    const fileSystem = text("fs", "depends= | softdep=pre: crypto-crc32c sha-x post: nothing");
    const crypto = [
      text("crc32c-intel", "alias=crypto-crc32c"),
      text("crc32c_generic", "alias=crc32c | alias=crypto-crc32c"),
    ];
    const { entries, missing } = moduleEntries([fileSystem, ...crypto], ["fs"]);
    expect(missing).toEqual([]);
    expect(entries.map((entry) => entry.path.split("/").at(-1))).toEqual(["fs.ko", "crc32c_generic.ko", "modules.dep"]);
  });

  it("that depend on each other do not loop", () => {
    const loop = [module("a", "b"), module("b", "a")];
    expect(moduleEntries(loop, ["a"]).entries).toHaveLength(3);
  });
});

describe("the init script", () => {
  it("is correct shell and prints its banner before anything else", () => {
    const path = join(directory, "init");
    writeFileSync(path, INIT_SCRIPT);
    execFileSync("sh", ["-n", path]);
    expect(INIT_SCRIPT.split("\n")[1]).toBe(`echo "${INIT_BANNER}"`);
  });

  it.each([
    ['console=ttyS0 paravane.run="ls -l /; echo a=b" quiet', "ls -l /; echo a=b"],
    ['"paravane.run=ls -l" quiet', "ls -l"],
    ["paravane.run=reboot", "reboot"],
    ["x.paravane.run=no paravane.runs=no", ""],
    ["", ""],
  ])("reads parameters as the kernel quotes them: %s", (commandLine, value) => {
    const body = /^parameter\(\) \{\n[\s\S]*?\n\}\n/m.exec(INIT_SCRIPT)?.[0] ?? "";
    const file = join(directory, "cmdline");
    writeFileSync(file, `${commandLine}\n`);
    const script = `${body.replace("/proc/cmdline", file)}parameter paravane.run`;
    expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim()).toBe(value);
  });
});

const pulled = await openImage("linux-tiny").catch(() => openImage("linux").catch(() => undefined));

describe.skipIf(!pulled || !qemuIsInstalled)("an initramfs unpacked by Linux itself", () => {
  const initrd = pulled?.initrd ?? new Uint8Array();
  const run = async (entries: Parameters<typeof overlayInitrd>[1], command: string): Promise<string> => {
    const machine = new FakeMachine(256 << 20);
    const append = `${pulled?.append} quiet ${command}`;
    const kernel = pulled?.kernel ?? new Uint8Array();
    await prepareBoot({ kind: "linux", kernel, initrd: overlayInitrd(initrd, entries), append }, machine);
    return (await runInQemu(machine, /paravane: exit \d+\r?\n/, 60_000)).replaceAll("\r", "");
  };

  it("has the files, modes, links and devices that were put in, and overlays win", async () => {
    const data = new Uint8Array(100_003).map((_, index) => index * 31);
    const digest = execFileSync("sha256sum", { input: data, encoding: "utf8" }).slice(0, 64);
    const script =
      "sha256sum /opt/data/big; ls -l /opt/data/run | cut -c1-10; readlink /opt/data/link; ls -l /opt/data/zero | cut -c1-10; cat /etc/hosts; exit 3\n";
    const output = await run(
      [
        { kind: "file", path: "opt/data/big", data },
        { kind: "file", path: "opt/data/run", data: encoder.encode(script), permissions: 0o751 },
        { kind: "symlink", path: "opt/data/link", target: "big" },
        { kind: "character-device", path: "opt/data/zero", major: 1, minor: 5, permissions: 0o640 },
        { kind: "file", path: "etc/hosts", data: encoder.encode("overlaid\n") },
      ],
      "paravane.script=/opt/data/run",
    );
    expect(output).toMatch(new RegExp(`${digest}[^]*-rwxr-x--x\nbig\ncrw-r-----\noverlaid\nparavane: exit 3`));
  }, 90_000);

  it("reports the status of a command, also of one that does not exist", async () => {
    expect(await run([], 'paravane.run="no-such-program"')).toContain("paravane: exit 127");
  }, 90_000);
});
