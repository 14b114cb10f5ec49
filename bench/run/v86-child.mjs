// Boots one guest in v86 with Debian's SeaBIOS and copies its serial console to stdout; the parent takes the times.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { V86 } from "v86";

/** @type {import("./emulators.ts").GuestJob} */
const job = JSON.parse(process.argv[2] ?? "");
const image = (path) => ({ buffer: new Uint8Array(readFileSync(path)).buffer });
/** v86 has no power-off: the kernel's last line is the end. */
const LAST_LINE = /reboot: (Power down|System halted)/;

const emulator = new V86({
  wasm_path: fileURLToPath(new URL("v86.wasm", import.meta.resolve("v86"))),
  memory_size: job.memoryBytes,
  vga_memory_size: 2 << 20,
  bios: image(job.bios),
  vga_bios: image(job.vgabios),
  bzimage: image(job.kernel),
  initrd: image(job.initrd),
  cmdline: job.append,
  acpi: job.acpi,
  disable_jit: job.translator === false,
  disable_speaker: true,
  disable_keyboard: true,
  disable_mouse: true,
});

// Nobody is left to read the console.
process.on("disconnect", () => process.exit(1));

let line = "";
emulator.add_listener("serial0-output-byte", (byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 0x0a) return;
  process.stdout.write(line, "latin1");
  if (LAST_LINE.test(line)) process.exit(0);
  line = "";
});
emulator.add_listener("emulator-ready", () => {
  process.send?.({ kind: "power-on", atMs: performance.timeOrigin + performance.now() });
  void emulator.run();
});
