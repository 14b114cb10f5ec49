// The first script of the page and of frames: what takes longest begins here, while the rest of the page loads.
import { pageMemory } from "../src/platform/web/core-module.ts";
import { earlyStart } from "../src/platform/web/early.ts";
import { startWebWorkerEarly } from "../src/platform/web/pcpu-thread.ts";
import { hidePage } from "./asked.ts";
import { beside } from "./beside.ts";
import { ROM_LIST, romUrl } from "./rom-list.ts";

/** File of each ROM by its name; tools/build-web.mjs puts it here. */
declare const ROM_FILES: Readonly<Record<string, string>>;

const query = new URLSearchParams(location.search);
if (query.get("threads") !== "in-process") startWebWorkerEarly(pageMemory());
const autostart = query.get("autostart") !== "off";
const file = ROM_FILES[query.get("rom") ?? ""];
if (file !== undefined && autostart) hidePage();
for (const url of [beside(ROM_LIST), ...(file === undefined ? [] : [romUrl({ file })])]) {
  const response = fetch(url);
  earlyStart().responses.set(url, response);
  // Whoever needs it hears of a failure.
  response.catch(() => {});
}
