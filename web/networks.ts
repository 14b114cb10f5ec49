// What the guests of a page can be connected to: a switch of the page's own, and a relay where its server has one.
import { type Host, VmError } from "../src/index.ts";
import { beside } from "./beside.ts";
import { fetchJson } from "./fetch.ts";
import { type NetworkChoice, PAGE_NETWORK, RELAY_NETWORK } from "./guest-request.ts";

let relay: Promise<string | undefined> | undefined;

/** Address of the server's relay; undefined where it has none. */
export function relayUrl(): Promise<string | undefined> {
  relay ??= fetchJson<{ readonly path?: string }>("./relay.json").then(
    ({ path }) => (path === undefined ? undefined : beside(`./${path}`).replace(/^http/, "ws")),
    () => undefined,
  );
  return relay;
}

/** Makes the network that a guest asks for; nobody connects to a relay before one does. Throws VmError("not-found"). */
export async function requireNetwork(host: Host, choice: NetworkChoice): Promise<void> {
  const name = choice === "relay" ? RELAY_NETWORK : PAGE_NETWORK;
  if (choice === "off" || host.networks.list.some((network) => network.name === name)) return;
  const url = choice === "relay" ? await relayUrl() : undefined;
  if (choice === "relay" && url === undefined)
    throw new VmError("not-found", "This page's server has no relay; it would by: paravane web --relay", {});
  await host.networks.add({ name, ...(url === undefined ? {} : { relay: url }) });
}
