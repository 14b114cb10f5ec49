// A screen as a PNG file.
import { encodePng } from "../display/png.ts";
import type { Screen } from "../display/screen.ts";
import { loadPlatform } from "../platform/platform.ts";

/** The bytes of the file. */
export async function screenshot(screen: Screen): Promise<Uint8Array> {
  const { deflate } = await loadPlatform();
  return await encodePng({ width: screen.width, height: screen.height, rgba: screen.rgba() }, deflate);
}
