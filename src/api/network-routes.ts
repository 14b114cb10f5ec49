// Routes of the host's networks.
import { checkFields } from "../host/fields.ts";
import { NETWORK_FIELDS, NETWORK_SCHEMA, networkSettings } from "../host/network-fields.ts";
import { VmError } from "../vmm/error.ts";
import { jsonResponse, NO_CONTENT, readJson } from "./request.ts";
import type { Route } from "./route.ts";
import { NETWORK_VIEW_SCHEMA } from "./schemas.ts";

export const NETWORK_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/networks",
    id: "networks",
    summary: "The networks that VMs' cards can be connected to",
    answer: { status: 200, description: "All of them.", schema: { type: "array", items: NETWORK_VIEW_SCHEMA } },
    handle: (_request, { host }) => jsonResponse(200, host.networks.list),
  },
  {
    method: "POST",
    path: "/v1/networks",
    id: "addNetwork",
    summary: "Make a network: a switch, with a gateway and links where they are asked for",
    body: NETWORK_SCHEMA,
    answer: { status: 201, description: "The network.", schema: NETWORK_VIEW_SCHEMA },
    handle: async (request, { host }) => {
      const settings = networkSettings(checkFields(NETWORK_FIELDS, readJson(request)));
      await host.networks.add(settings);
      return jsonResponse(
        201,
        host.networks.list.find(({ name }) => name === settings.name),
      );
    },
  },
  {
    method: "DELETE",
    path: "/v1/networks",
    id: "removeNetwork",
    summary: "Take a network away on which there are no cards",
    query: [{ name: "network", description: "which one", schema: { type: "string" } }],
    answer: { status: 204, description: "It is gone." },
    handle: (request, { host }) => {
      const name = request.query.get("network");
      if (name === null)
        throw new VmError("bad-config", "network is missing; give the name of a network in the query.", {
          field: "network",
        });
      host.networks.remove(name);
      return NO_CONTENT;
    },
  },
];
