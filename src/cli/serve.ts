// `paravane serve`: a host for many VMs, managed over HTTP.
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { Api } from "../api/api.ts";
import { Host } from "../host/host.ts";
import { type ListenAddress, serveApi } from "../platform/node/http-server.ts";
import { defaultEndpoint, parseEndpoint, runtimeFolder, tokenFile } from "./endpoint.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { createProgress } from "./progress.ts";
import { untilSignal } from "./until-signal.ts";
import { parseFactor, parseInteger } from "./values.ts";
import { resolveVmSpec } from "./vm-spec.ts";

export interface RawServeOptions {
  listen?: string;
  token?: string;
  pcpus?: string;
  policy?: string;
  maxVms?: string;
  maxMemory?: string;
  overcommit?: string;
}

/** Serves until a signal; then every VM is stopped. Returns the exit code. */
export async function serve(raw: RawServeOptions, io: CliIo): Promise<number> {
  const endpoint = raw.listen === undefined ? defaultEndpoint() : parseEndpoint(raw.listen, "--listen");
  const progress = createProgress(io.stderr);
  await using host = await Host.create({
    ...(raw.pcpus === undefined ? {} : { pcpus: parseInteger(raw.pcpus, "--pcpus", 1, 256) }),
    ...(raw.policy === undefined ? {} : { policy: raw.policy }),
    ...(raw.maxMemory === undefined
      ? {}
      : { capacity: { memory: parseInteger(raw.maxMemory, "--max-memory", 1, 0x1000000) * 2 ** 20 } }),
    ...(raw.overcommit === undefined ? {} : { overcommit: { memory: parseFactor(raw.overcommit, "--overcommit") } }),
  });
  const api = new Api({
    host,
    resolve: (spec) => resolveVmSpec(spec, progress),
    version: findPackage().version,
    wallMs: () => Date.now(),
    limits: {
      ...(raw.maxVms === undefined ? {} : { vms: parseInteger(raw.maxVms, "--max-vms", 1, 100_000) }),
    },
  });
  const token = raw.token ?? randomBytes(24).toString("base64url");
  const address: ListenAddress =
    endpoint.kind === "socket" ? endpoint : { kind: "loopback", port: endpoint.port, token };
  await using server = await serveApi(api, address);
  let tokenPath: string | undefined;
  if (address.kind === "loopback") {
    tokenPath = tokenFile(server.port ?? address.port);
    mkdirSync(runtimeFolder(), { recursive: true, mode: 0o700 });
    writeFileSync(tokenPath, `${token}\n`, { mode: 0o600 });
    io.stdout.write(`paravane: serving on http://127.0.0.1:${server.port}, token in ${tokenPath}\n`);
  } else {
    io.stdout.write(`paravane: serving on ${address.path}\n`);
  }
  try {
    await untilSignal();
  } finally {
    if (tokenPath !== undefined) rmSync(tokenPath, { force: true });
    if (address.kind === "socket") rmSync(address.path, { force: true });
  }
  return EXIT_OK;
}
