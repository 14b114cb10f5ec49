// The oracle's own tools, where they can be checked without the CPU that they ask.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { requireRuns } from "../../tools/oracle/runs-here.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-oracle-tools-"));
afterAll(() => rmSync(folder, { recursive: true }));

function program(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o755 });
  return path;
}

describe("a compiled oracle", () => {
  it("that the kernel does not run is refused in one sentence", () => {
    // An ELF header of a class that no kernel knows.
    const elf = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 9, 9, 9, 0x28, 0x0a, 0x29, 0x0a);
    expect(() => requireRuns(program("elf", elf))).toThrow(/^this machine's kernel runs no 32-bit programs/);
    expect(() => requireRuns(join(folder, "missing"))).toThrow(/runs no 32-bit programs/);
  });

  it("that runs is taken, whether it complains of its empty input or not", () => {
    expect(() => requireRuns(program("quiet", "#!/bin/sh\nexit 0\n"))).not.toThrow();
    expect(() =>
      requireRuns(program("harness", "#!/bin/sh\necho 'oracle harness: no batch on stdin' >&2\nexit 2\n")),
    ).not.toThrow();
  });
});
