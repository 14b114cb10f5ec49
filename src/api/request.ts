// Requests and answers without a transport: HTTP is one (src/platform/node/http-server.ts), a function call another.
import { VmError, type VmErrorCode } from "../vmm/error.ts";

export interface ApiRequest {
  readonly method: string;
  /** Without query: "/v1/vms/web". */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

export interface ApiResponse {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whole, or as it comes until the client goes or there is no more. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

export const JSON_TYPE = "application/json";
export const BYTES_TYPE = "application/octet-stream";
export const PNG_TYPE = "image/png";
export const LINES_TYPE = "application/x-ndjson";
export const TEXT_TYPE = "text/plain; version=0.0.4";

export function jsonResponse(status: number, value: unknown): ApiResponse {
  return { status, contentType: JSON_TYPE, body: new TextEncoder().encode(`${JSON.stringify(value)}\n`) };
}

export const NO_CONTENT: ApiResponse = { status: 204, contentType: JSON_TYPE, body: new Uint8Array(0) };

/** HTTP status of each error code. */
export const ERROR_STATUS: Readonly<Record<VmErrorCode, number>> = {
  "bad-config": 400,
  "bad-image": 422,
  "bad-snapshot": 422,
  "bad-state": 409,
  "not-found": 404,
  admission: 409,
  "guest-crash": 500,
  timeout: 504,
  io: 500,
  host: 500,
  internal: 500,
};

export function errorResponse(error: unknown): ApiResponse {
  const { code, message, details } =
    error instanceof VmError
      ? error
      : { code: "internal" as const, message: error instanceof Error ? error.message : String(error), details: {} };
  return jsonResponse(ERROR_STATUS[code], { error: { code, message, details } });
}

/** The body as JSON; nothing counts as {}. */
export function readJson(request: ApiRequest): unknown {
  if (request.body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(request.body));
  } catch (cause) {
    throw new VmError("bad-config", "The body is not JSON.", { field: "body" }, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new VmError("bad-config", "The body is no JSON object, such as {}.", { field: "body" });
}

/** An integer of the query, or its default. */
export function queryInteger(request: ApiRequest, name: string, fallback: number, most: number): number {
  const text = request.query.get(name);
  if (text === null) return fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) {
    throw new VmError("bad-config", `${name} is "${text}"; it takes a whole number from 0 to ${most}`, { field: name });
  }
  return value;
}

export function queryFlag(request: ApiRequest, name: string): boolean {
  const text = request.query.get(name);
  if (text === null || text === "false") return false;
  if (text === "true" || text === "") return true;
  throw new VmError("bad-config", `${name} is "${text}"; it takes true or false`, { field: name });
}
