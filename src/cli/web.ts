// `paravane web`: the page that boots guests in a browser, served from this machine.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { PageImages } from "../platform/node/page-server.ts";
import { VmError } from "../vmm/error.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { untilSignal } from "./until-signal.ts";
import { parseChoice, parseInteger } from "./values.ts";

const DEFAULT_PORT = 8086;
const PORT_MAX = 65_535;

export interface WebOptions {
  readonly port?: string;
  readonly address?: string;
  /** False for --no-isolation. */
  readonly isolation?: boolean;
  /** What guests of its pages reach by this server: "pages", or "user" for the host's network too. */
  readonly relay?: string | true;
}

const RELAY_KINDS = ["user", "pages"] as const;

export async function web(options: WebOptions, io: CliIo): Promise<number> {
  const { servePage } = await import("../platform/node/page-server.ts");
  const reach = options.relay === true ? "user" : options.relay;
  if (reach !== undefined) parseChoice(reach, "--relay", RELAY_KINDS);
  const { openRelay } = await import("../platform/node/relay.ts");
  using relay = reach === undefined ? undefined : await openRelay(reach === "user" ? { gateway: {} } : {});
  await using server = await servePage({
    folder: pageFolder(),
    port: options.port === undefined ? DEFAULT_PORT : parseInteger(options.port, "--port", 0, PORT_MAX),
    ...(options.address === undefined ? {} : { address: options.address }),
    isolated: options.isolation ?? true,
    images: cachedImages(),
    ...(relay === undefined ? {} : { relay }),
  });
  io.stderr.write(`The page is at ${server.url} (Ctrl-C ends)\n`);
  await untilSignal();
  return EXIT_OK;
}

/** Where the built page lies. Throws VmError("not-found") where it was not built. */
export function pageFolder(): string {
  const folder = join(findPackage().root, "dist", "web");
  if (!existsSync(join(folder, "index.html")))
    throw new VmError("not-found", `There is no page in ${folder}; build it with: npm run build`, { folder });
  return folder;
}

/** What `paravane images pull` brought. */
export function cachedImages(): PageImages {
  const cache = async () => new (await import("../images/node/index.ts")).ImageCache();
  return {
    list: async () =>
      (await (await cache()).manifests()).flatMap(({ name, title, kind, append, memoryBytes, files }) =>
        // A disk is a file that the user chooses in the page, and ROMs of cards are of no use without a network.
        kind === "disk" || kind === "roms"
          ? []
          : [
              {
                name,
                title,
                kind,
                append,
                files: Object.keys(files),
                ...(memoryBytes === undefined ? {} : { memoryBytes }),
              },
            ],
      ),
    read: async (image, file) => await (await import("../images/node/index.ts")).readImageFile(image, file),
  };
}
