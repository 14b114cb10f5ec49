// A web server for the page: the files of one folder and the guest images of the cache, with the headers that let a page
// share memory between its threads and let it do nothing else.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { VmError } from "../../vmm/error.ts";
import type { Relay } from "./relay.ts";
import { refuseUpgrade } from "./web-socket.ts";

export interface PageServerOptions {
  /** Folder of the built page. */
  readonly folder: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Default "127.0.0.1". */
  readonly address?: string;
  /** Whether the page may share memory between threads (COOP and COEP). Default true. */
  readonly isolated?: boolean;
  /** Guest images beside the page. Default none. */
  readonly images?: PageImages;
  /** Pages may put their guests on a switch of this server. Default: there is no such thing. */
  readonly relay?: Relay;
}

/** The guest images that a server offers, as images.json tells the page. */
export interface PageImages {
  list(): Promise<readonly PageImage[]>;
  /** Throws VmError("not-found") for what it does not list. */
  read(image: string, file: string): Promise<Uint8Array>;
}

export interface PageImage {
  readonly name: string;
  readonly title: string;
  readonly kind: "linux" | "firmware";
  readonly append: string;
  readonly memoryBytes?: number;
  /** "kernel", "initrd", "firmware", "vgabios". */
  readonly files: readonly string[];
}

export interface PageServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * What a page may do: run our scripts and Wasm, and talk to this server. Any other page may frame it. `startDigest` is that of
 * the script which stands in the page (base64 of SHA-256); without it that script does not run, and the page begins later.
 */
const contentSecurityPolicy = (startDigest: string | undefined): string =>
  [
    "default-src 'none'",
    `script-src 'self' 'wasm-unsafe-eval'${startDigest === undefined ? "" : ` 'sha256-${startDigest}'`}`,
    // A frame without an origin starts its worker by a script of a few lines.
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
const RELAY_PATH = "/relay";
const PACKED_TYPES = new Set([".html", ".js", ".css", ".json", ".svg", ".wasm"]);
/** Chunks of the bundle: another content has another name. */
const DIGEST_NAME = /-[0-9A-Z]{8}\.js$/;
const BYTES_TYPE = "application/octet-stream";
const gzipAsync = promisify(gzip);

/** Throws VmError("host") when the port cannot be bound. */
export async function servePage(options: PageServerOptions): Promise<PageServer> {
  const address = options.address ?? "127.0.0.1";
  const files = new PageFiles(options.folder);
  const server = createServer((request, response) => {
    answer(request, response, files, options).catch((error: unknown) => fail(response, error));
  });
  server.on("upgrade", (request, socket, head) => {
    if (options.relay !== undefined && pathOf(request.url ?? "") === RELAY_PATH)
      options.relay.upgrade(request, socket, head);
    else refuseUpgrade(socket, "404 Not Found");
  });
  await listen(server, options.port, address);
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : options.port;
  return {
    url: `http://${address.includes(":") ? `[${address}]` : address}:${port}/`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const why = (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "it is in use" : cause.message;
      const message = `Port ${port} of ${address} cannot be served: ${why}; choose another with --port.`;
      reject(new VmError("host", message, { port, address }, { cause }));
    });
    server.listen(port, address, resolve);
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  files: PageFiles,
  { isolated = true, images, relay }: PageServerOptions,
): Promise<void> {
  const headers = headersOf(isolated, await files.startDigest());
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return end(response, 405, "only GET and HEAD are served");
  }
  const path = pathOf(request.url ?? "/");
  if (path === undefined) return end(response, 400, "that is no address");
  if (path === "/images.json") return json(response, (await images?.list()) ?? []);
  if (path === "/relay.json") return json(response, relay === undefined ? {} : { path: RELAY_PATH.slice(1) });
  const image = /^\/images\/([\w.+-]+)\/(\w+)$/.exec(path);
  if (image?.[1] !== undefined && image[2] !== undefined && images !== undefined)
    return bytes(response, await images.read(image[1], image[2]));
  await files.send(request, response, path);
}

function headersOf(isolated: boolean, startDigest: string | undefined): Record<string, string> {
  return {
    "Content-Security-Policy": contentSecurityPolicy(startDigest),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    // Other pages may import the library and frame the guest; a frame without an origin is another page too.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    ...(isolated
      ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
      : {}),
  };
}

/** The decoded path; undefined for what none of our pages asks for. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url, "http://page").pathname);
    return path.includes("\0") || path.includes("\\") ? undefined : path;
  } catch {
    return undefined;
  }
}

/** The files below a folder, packed once. */
class PageFiles {
  readonly #packed = new Map<string, { readonly modifiedMs: number; readonly bytes: Uint8Array }>();

  #start: { readonly modifiedMs: number; readonly digest: string } | undefined;

  constructor(private readonly folder: string) {}

  /** Of start.js, which the built pages have in them. */
  async startDigest(): Promise<string | undefined> {
    const file = join(this.folder, "start.js");
    const modifiedMs = (await stat(file).catch(() => undefined))?.mtimeMs;
    if (modifiedMs === undefined) return undefined;
    if (this.#start?.modifiedMs !== modifiedMs) {
      const digest = createHash("sha256")
        .update(await readFile(file))
        .digest("base64");
      this.#start = { modifiedMs, digest };
    }
    return this.#start.digest;
  }

  async send(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const file = join(this.folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    const found = file.startsWith(this.folder + sep) ? await stat(file).catch(() => undefined) : undefined;
    if (found === undefined || !found.isFile()) return end(response, 404, `there is no ${path} here`);
    const type = extname(file);
    response.setHeader("Content-Type", TYPES[type] ?? BYTES_TYPE);
    const etag = `"${found.size.toString(36)}-${found.mtimeMs.toString(36)}"`;
    response.setHeader("ETag", etag);
    if (DIGEST_NAME.test(path)) response.setHeader("Cache-Control", "public, max-age=31536000, immutable");
    if (request.headers["if-none-match"] === etag) return end(response, 304);
    if (PACKED_TYPES.has(type) && /\bgzip\b/.test(String(request.headers["accept-encoding"]))) {
      response.setHeader("Content-Encoding", "gzip");
      response.setHeader("Vary", "Accept-Encoding");
      return bytes(response, await this.#pack(file, found.mtimeMs));
    }
    await sendPart(request, response, file, found.size);
  }

  async #pack(file: string, modifiedMs: number): Promise<Uint8Array> {
    const known = this.#packed.get(file);
    if (known?.modifiedMs === modifiedMs) return known.bytes;
    const bytes = await gzipAsync(await readFile(file));
    this.#packed.set(file, { modifiedMs, bytes });
    return bytes;
  }
}

/** All of a file, or the one range that was asked for: guests read disks piece by piece. */
async function sendPart(
  request: IncomingMessage,
  response: ServerResponse,
  file: string,
  sizeBytes: number,
): Promise<void> {
  response.setHeader("Accept-Ranges", "bytes");
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range === null ? 0 : Number(range[1]);
  const last = range?.[2] ? Math.min(Number(range[2]), sizeBytes - 1) : sizeBytes - 1;
  if (range !== null) {
    if (start > last) {
      response.setHeader("Content-Range", `bytes */${sizeBytes}`);
      return end(response, 416, "there is nothing in that range");
    }
    response.statusCode = 206;
    response.setHeader("Content-Range", `bytes ${start}-${last}/${sizeBytes}`);
  }
  response.setHeader("Content-Length", last - start + 1);
  if (request.method === "HEAD" || last < start) return void response.end();
  await pipeline(createReadStream(file, { start, end: last }), response);
}

function bytes(response: ServerResponse, body: Uint8Array): void {
  if (!response.hasHeader("Content-Type")) response.setHeader("Content-Type", BYTES_TYPE);
  response.setHeader("Content-Length", body.length);
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader("Content-Type", TYPES[".json"] as string);
  bytes(response, new TextEncoder().encode(JSON.stringify(value)));
}

function end(response: ServerResponse, status: number, why = ""): void {
  response.statusCode = status;
  if (status !== 304) response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(status === 304 ? undefined : `${why}\n`);
}

/** Nothing of the server's insides is told. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  const missing = error instanceof VmError && error.code === "not-found";
  end(response, missing ? 404 : 500, error instanceof VmError ? error.message : "the file could not be read");
}
