// Where the server of `paravane serve` listens, and how its clients find it.
import { lstatSync, readFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { parseInteger, UsageError } from "./values.ts";

export type Endpoint =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "loopback"; readonly port: number };

/** The user's own folder for sockets: $XDG_RUNTIME_DIR, or one in the folder for temporary files. */
export function runtimeFolder(): string {
  if (process.env.XDG_RUNTIME_DIR) return join(process.env.XDG_RUNTIME_DIR, "paravane");
  const { uid } = userInfo();
  const folder = join(tmpdir(), `paravane-${uid}`);
  requireOwn(folder, uid);
  return folder;
}

/** Anybody may make that folder: who did could pretend to be the host, or read its token. Throws UsageError. */
function requireOwn(folder: string, uid: number): void {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined || (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0)) return;
  throw new UsageError(
    `${folder} is no folder that only you can open: remove it, or set XDG_RUNTIME_DIR to one of yours`,
  );
}

export function defaultEndpoint(): Endpoint {
  return { kind: "socket", path: join(runtimeFolder(), "host.sock") };
}

/** The file with the token of a server on a loopback port; readable for its user only. */
export function tokenFile(port: number): string {
  return join(runtimeFolder(), `token-${port}`);
}

/** "127.0.0.1:8080", "localhost:8080", ":8080" or the path of a Unix socket. */
export function parseEndpoint(text: string, option: string): Endpoint {
  const port = /^(?:http:\/\/)?(?:127\.0\.0\.1|localhost)?:(\d+)\/?$/.exec(text)?.[1];
  if (port !== undefined) return { kind: "loopback", port: parseInteger(port, option, 0, 65535) };
  if (text === "" || /^https?:/.test(text) || /^[\w.]+:\d+$/.test(text))
    throw new UsageError(`${option}: "${text}" is neither the path of a socket nor a loopback port such as :8080`);
  return { kind: "socket", path: text };
}

/** --host, else PARAVANE_HOST, else the default socket. */
export function chooseEndpoint(given: string | undefined): Endpoint {
  if (given !== undefined) return parseEndpoint(given, "--host");
  const fromEnvironment = process.env.PARAVANE_HOST;
  return fromEnvironment ? parseEndpoint(fromEnvironment, "PARAVANE_HOST") : defaultEndpoint();
}

/** PARAVANE_TOKEN, else the file that the server wrote. */
export function findToken(port: number): string {
  if (process.env.PARAVANE_TOKEN) return process.env.PARAVANE_TOKEN;
  try {
    return readFileSync(tokenFile(port), "utf8").trim();
  } catch {
    throw new UsageError(
      `no token for port ${port}: no host of yours serves there (${tokenFile(port)} is missing); for one of somebody else set PARAVANE_TOKEN`,
    );
  }
}
