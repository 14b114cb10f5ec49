// The client's side of the management API.
import { type IncomingMessage, request } from "node:http";
import { VmError, type VmErrorCode } from "../vmm/error.ts";
import { type Endpoint, findToken } from "./endpoint.ts";

export class ApiClient {
  readonly #options: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly #headers: Readonly<Record<string, string>>;

  constructor(private readonly endpoint: Endpoint) {
    if (endpoint.kind === "socket") {
      this.#options = { socketPath: endpoint.path };
      this.#headers = {};
    } else {
      this.#options = { host: "127.0.0.1", port: endpoint.port };
      this.#headers = { authorization: `Bearer ${findToken(endpoint.port)}` };
    }
  }

  /** The answer's JSON; undefined where it has none. Throws VmError as the server has it, or "host" without a server. */
  async json(method: string, path: string, body?: unknown): Promise<unknown> {
    const bytes = await this.bytes(method, path, body === undefined ? undefined : JSON.stringify(body));
    return bytes.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  }

  async bytes(method: string, path: string, body?: string | Uint8Array): Promise<Uint8Array> {
    return await readAll(this.#chunks(await this.#send(method, path, body)));
  }

  /** An answer without an end. Abort the signal to leave. */
  async stream(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#chunks(await this.#send("GET", path, undefined, signal), signal);
  }

  /** What comes, until the server ends it. Throws VmError("host") where the server ends itself before. */
  async *#chunks(response: IncomingMessage, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    try {
      yield* response as AsyncIterable<Buffer>;
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new VmError("host", `the host at ${this.#where} has ended`, { where: this.#where }, { cause });
    }
  }

  get #where(): string {
    return this.endpoint.kind === "socket" ? this.endpoint.path : `127.0.0.1:${this.endpoint.port}`;
  }

  #send(method: string, path: string, body?: string | Uint8Array, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request(
        { ...this.#options, method, path, headers: this.#headers, ...(signal ? { signal } : {}) },
        (response) => {
          if ((response.statusCode ?? 500) < 400) resolve(response);
          else readAll(this.#chunks(response)).then((bytes) => reject(errorOf(bytes, response.statusCode)), reject);
        },
      );
      call.on("error", (cause: NodeJS.ErrnoException) => reject(signal?.aborted ? cause : this.#unreachable(cause)));
      call.end(body);
    });
  }

  #unreachable(cause: NodeJS.ErrnoException): VmError {
    const where = this.#where;
    // Somebody listened, and went before the answer.
    const message =
      cause.code === "ECONNRESET"
        ? `the host at ${where} has ended`
        : `nobody answers at ${where} (${cause.code ?? cause.message}); start a host with: paravane serve`;
    return new VmError("host", message, { where }, { cause });
  }
}

export function vmPath(name: string, rest = ""): string {
  return `/v1/vms/${encodeURIComponent(name)}${rest}`;
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

function errorOf(bytes: Uint8Array, status: number | undefined): VmError {
  try {
    const { error } = JSON.parse(new TextDecoder().decode(bytes)) as {
      error: { code: VmErrorCode; message: string; details: Record<string, unknown> };
    };
    return new VmError(error.code, error.message, error.details);
  } catch {
    return new VmError("host", `the server answered with status ${status ?? "?"} and no explanation`, { status });
  }
}
