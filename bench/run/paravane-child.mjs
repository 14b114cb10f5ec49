// Boots one guest in Paravane and copies its serial console to stdout; the parent takes the times. Plain JavaScript on
// the compiled library, which is what users run.
import { readFileSync } from "node:fs";
import { Vm } from "../../dist/index.js";

/** @type {import("./emulators.ts").GuestJob} */
const job = JSON.parse(process.argv[2] ?? "");
const vm = await Vm.create({
  memoryBytes: job.memoryBytes,
  boot: { kind: "linux", kernel: readFileSync(job.kernel), initrd: readFileSync(job.initrd), append: job.append },
  onReset: "exit",
});
vm.on("serial", ({ bytes }) => process.stdout.write(bytes));
// Nobody is left to read the console.
const abandon = () => process.exit(1);
process.on("disconnect", abandon);
process.send?.({ kind: "power-on", atMs: performance.timeOrigin + performance.now() });
vm.start();
const status = await vm.exited;
const error = status.kind === "crashed" ? status.error.message : undefined;
process.send?.({ kind: "end", status: status.kind, error });
process.off("disconnect", abandon);
process.disconnect?.();
