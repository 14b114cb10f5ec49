// Writes snapshots over one another for as long as it lives; run by files.test.ts, which kills it.
import { snapshotFolder } from "../../src/index.ts";
import { startSteady } from "./steady.ts";

const [folder] = process.argv.slice(2);
const { vm } = await startSteady();
const store = await snapshotFolder(folder as string);
for (let n = 0; ; n++) {
  await vm.snapshot({ store, name: "one.pvs", compress: n % 2 === 0 });
  process.stdout.write(`${n}\n`);
}
