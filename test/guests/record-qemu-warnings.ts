// Records what Debian's kernels warn of under QEMU, and shows that QEMU passes the same script:
//   npx tsx test/guests/record-qemu-warnings.ts [setup...]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { warnings } from "./kernel-log.ts";
import { ensureImage, linuxBoot, verdict } from "./linux-guest.ts";
import { SETUPS } from "./setups.ts";

const file = new URL("qemu-warnings.json", import.meta.url);
const recorded = JSON.parse(readFileSync(file, "utf8")) as { how: string; qemu: string; setups: object };
const setups = recorded.setups as Record<string, string[]>;
const names = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "paravane-qemu-"));
try {
  for (const { name, image, append, qemu } of SETUPS) {
    if (names.length > 0 && !names.includes(name)) continue;
    await ensureImage(image);
    const { boot } = await linuxBoot({ image, script: "basics.sh", ...(append === undefined ? {} : { append }) });
    writeFileSync(join(folder, "kernel"), boot.kernel);
    writeFileSync(join(folder, "initrd"), boot.initrd);
    const files = ["-kernel", join(folder, "kernel"), "-initrd", join(folder, "initrd"), "-append", boot.append];
    const machine = ["-nographic", "-monitor", "none", "-serial", "stdio", "-net", "none", "-no-reboot"];
    const { stdout } = spawnSync("qemu-system-i386", [...machine, ...qemu, ...files], {
      encoding: "latin1",
      timeout: 180_000,
      maxBuffer: 1 << 26,
      input: "",
    });
    const console_ = stdout.replaceAll("\r", "");
    const { passed, failed, exit } = verdict(console_);
    console.log(`${name}: ${passed.length} checks passed, exit ${exit} ${failed.join("; ")}`);
    setups[name] = warnings(console_);
  }
  recorded.qemu = spawnSync("qemu-system-i386", ["--version"], { encoding: "utf8" }).stdout.split("\n")[0] as string;
  recorded.how = "npx tsx test/guests/record-qemu-warnings.ts";
  writeFileSync(file, `${JSON.stringify(recorded, undefined, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
