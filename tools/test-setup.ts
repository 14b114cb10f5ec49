// Runs once before the tests: they drive the compiled core and command line, which must be those of this source.
import { build } from "./build.mjs";

export default async function setup(): Promise<void> {
  await build();
}
