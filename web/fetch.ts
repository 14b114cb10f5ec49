// What lies beside the page, and what its address names.
import { VmError } from "../src/index.ts";
import { fetchOnce } from "../src/platform/web/early.ts";
import { beside } from "./beside.ts";

export async function fetchBytes(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await request(url)).arrayBuffer());
}

export async function fetchJson<T>(path: string): Promise<T> {
  return (await (await request(beside(path))).json()) as T;
}

export async function request(url: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetchOnce(url);
  } catch (cause) {
    throw new VmError("host", `${url} cannot be fetched.`, { url }, { cause });
  }
  if (response.ok) return response;
  const code = response.status === 404 ? "not-found" : "host";
  throw new VmError(code, `${url} answered ${response.status}.`, { url, status: response.status });
}
