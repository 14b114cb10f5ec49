// The management API over HTTP: on a Unix socket, or on a loopback port with a token.
import { timingSafeEqual } from "node:crypto";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { Api } from "../../api/api.ts";
import { type ApiRequest, type ApiResponse, errorResponse, jsonResponse } from "../../api/request.ts";
import { VmError } from "../../vmm/error.ts";

/** A client that sends a request slower than this is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 1000;

export type ListenAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "loopback"; readonly port: number; readonly token: string };

export interface ApiServer extends AsyncDisposable {
  /** The port that was bound, where 0 was asked for. */
  readonly port: number | undefined;
}

/** Throws VmError("host") when the address cannot be bound. */
export async function serveApi(api: Api, address: ListenAddress): Promise<ApiServer> {
  const server = createServer((request, response) => void answer(api, address, request, response));
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  if (address.kind === "socket") await prepareSocket(address.path);
  await listen(server, address);
  if (address.kind === "socket") chmodSync(address.path, 0o600);
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : undefined,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A socket that a killed server left behind is removed; one that somebody serves is not. */
async function prepareSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const served = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (served) throw new VmError("host", `${path} is served already; choose another with --listen.`, { path });
  rmSync(path, { force: true });
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const where = address.kind === "socket" ? address.path : `127.0.0.1:${address.port}`;
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(new VmError("host", `Cannot listen on ${where}: ${cause.code ?? cause.message}.`, {}, { cause })),
    );
    const done = (): void => {
      server.removeAllListeners("error");
      resolve();
    };
    if (address.kind === "socket") server.listen(address.path, done);
    else server.listen(address.port, "127.0.0.1", done);
  });
}

async function answer(
  api: Api,
  address: ListenAddress,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  try {
    if (address.kind === "loopback" && !authorized(request, address.token)) {
      await send(response, unauthorized(), gone.signal);
      return;
    }
    const { bodyBytes: limit } = api.limits;
    const body = await readBody(request, limit);
    if (body === undefined) {
      const message = `The body has more than ${limit} bytes.`;
      const answered = errorResponse(new VmError("bad-config", message, { field: "body", limit }));
      // What of it is still under way is not read.
      await send(response, { ...answered, status: 413, headers: { connection: "close" } }, gone.signal);
      return;
    }
    const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
    const call: ApiRequest = {
      method: request.method ?? "GET",
      path,
      query: new URLSearchParams(query),
      body,
      signal: gone.signal,
    };
    await send(response, await api.handle(call), gone.signal);
  } catch (error) {
    if (!response.headersSent) await send(response, errorResponse(error), gone.signal);
    else response.destroy();
  }
}

function unauthorized(): ApiResponse {
  const answer = jsonResponse(401, {
    error: {
      code: "unauthorized",
      message: "This port wants the header Authorization: Bearer TOKEN; the server printed where the token is.",
      details: {},
    },
  });
  return { ...answer, headers: { "www-authenticate": "Bearer" } };
}

/** Also against pages in a browser: without the token nothing is read, and no cross-origin header is ever sent. */
function authorized(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** Undefined where it is longer than the limit. */
async function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function send(response: ServerResponse, answered: ApiResponse, gone: AbortSignal): Promise<void> {
  const { status, contentType, headers, body } = answered;
  const whole = body instanceof Uint8Array;
  response.writeHead(status, {
    ...(status === 204 ? {} : { "content-type": contentType }),
    ...(whole && status !== 204 ? { "content-length": body.length } : {}),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  if (whole) {
    response.end(body);
    return;
  }
  response.flushHeaders();
  for await (const chunk of body) {
    if (gone.aborted) break;
    if (!response.write(chunk)) await drained(response, gone);
  }
  response.end();
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    gone.addEventListener("abort", () => resolve(), { once: true });
  });
}
