// Writes docs/openapi.json from the table of routes.
import { readFileSync, writeFileSync } from "node:fs";
import { openApiDocument } from "../src/api/openapi.ts";
import { ROUTES } from "../src/api/routes.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
writeFileSync(
  new URL("../docs/openapi.json", import.meta.url),
  `${JSON.stringify(openApiDocument(ROUTES, version), null, 2)}\n`,
);
