// Writes docs/CLI-REFERENCE.md: every verb and option, as --help has them.
import { writeFileSync } from "node:fs";
import { cliReference } from "./cli-reference.ts";

writeFileSync(new URL("../docs/CLI-REFERENCE.md", import.meta.url), cliReference());
