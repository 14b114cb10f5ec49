// The guest of the CPU benchmark: the kernel of linux-tiny, and an initrd with our own programs as process 1.
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeCpio } from "../../src/images/cpio.ts";
import { sha256 } from "../../src/images/node/cache.ts";
import { VmError } from "../../src/vmm/error.ts";
import { type BenchGuest, openGuest, type Scratch } from "./guest-files.ts";

const SOURCES = fileURLToPath(new URL("../guest/", import.meta.url));
/** Integer code for a Pentium Pro; floating point on the x87 but where a file asks for SSE. */
const FLAGS = [
  ..."-m32 -march=i686 -O2 -std=gnu11 -ffreestanding -fno-math-errno -fno-strict-aliasing -mno-sse -mfpmath=387".split(
    " ",
  ),
  ..."-fno-pic -no-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none".split(" "),
  ..."-static -nostdlib -s -Wall -Wextra -Werror -Wl,--build-id=none".split(" "),
];

export interface BenchInit {
  readonly path: string;
  readonly program: Uint8Array;
}

/** Compiles bench/guest/. Throws VmError("host") without a gcc that can make 32-bit programs. */
export function compileInit(scratch: Scratch): BenchInit {
  const path = join(scratch.path, "init");
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith(".c"))
    .sort();
  const result = spawnSync("gcc", [...FLAGS, "-o", path, ...sources], { cwd: SOURCES, encoding: "utf8" });
  if (result.error !== undefined) {
    throw new VmError(
      "host",
      'The guest programs are compiled by gcc, which is not here; "apt-get install gcc gcc-multilib".',
    );
  }
  if (result.status !== 0) {
    const first = result.stderr.split("\n").find((line) => /error|cannot/.test(line)) ?? result.stderr;
    throw new VmError("host", `gcc -m32 cannot make the guest programs (Debian: gcc, gcc-multilib): ${first.trim()}`);
  }
  return { path, program: readFileSync(path) };
}

/** Throws as `openGuest` and `compileInit` do. */
export async function makeBenchGuest(init: BenchInit): Promise<BenchGuest> {
  const tiny = await openGuest("linux-tiny");
  const initrd = writeCpio([
    { kind: "directory", path: "dev" },
    { kind: "directory", path: "tmp" },
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "init", data: init.program, permissions: 0o755 },
  ]);
  return { ...tiny, name: "bench", initrd, initrdDigest: sha256(initrd) };
}

export function compilerVersion(): string {
  return execFileSync("gcc", ["-dumpfullversion"], { encoding: "utf8" }).trim();
}
