// `paravane bench virt`: the table, and the three files of its report.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import { fakeIo } from "./fake-machine.ts";

it("prints a table, and leaves HTML, Markdown and JSON that say the same", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "paravane-bench-"));
  try {
    const io = fakeIo();
    const argv = [
      "bench",
      "virt",
      "--only",
      "port-out,call-return",
      "--repeats",
      "2",
      "--percent",
      "2",
      "--out",
      folder,
    ];
    expect(await runCommandLine(argv, io), io.errText()).toBe(0);
    expect(io.outText()).toMatch(/^Processor and hypercalls +full, ns +assisted, ns +para, ns /);
    expect(io.outText()).toMatch(/^port out +[\d,.]+ ±\d+%/m);
    expect(io.outText()).toMatch(/^Exits by reason, for one operation +form +exits$/m);
    expect(io.outText()).toMatch(/^port out +full, assisted, para +1 port-out$/m);
    const [html = "", markdown = "", json = ""] = ["html", "md", "json"].map((ending) =>
      readFileSync(join(folder, `virt.${ending}`), "utf8"),
    );
    expect(html).toContain("<td>port out</td>");
    expect(markdown).toContain("| port out |");
    const { operations, forms } = JSON.parse(json);
    expect(forms).toEqual(["full", "assisted", "para"]);
    expect(operations.map(({ operation }: { operation: string }) => operation)).toEqual(["port-out", "call-return"]);
    expect(operations[0].forms.assisted.exits).toEqual({ "port-out": 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
