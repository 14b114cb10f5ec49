// The management API: one row a route. The router, the OpenAPI document and its test read this table.
import { CONSOLE_ROUTES } from "./console-routes.ts";
import { DEVICE_ROUTES } from "./device-routes.ts";
import { EVENT_ROUTES, HOST_ROUTES } from "./host-routes.ts";
import { NETWORK_ROUTES } from "./network-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { jsonResponse } from "./request.ts";
import type { Route } from "./route.ts";
import { SNAPSHOT_ROUTES } from "./snapshot-routes.ts";
import { VM_ROUTES } from "./vm-routes.ts";

export const ROUTES: readonly Route[] = [
  ...HOST_ROUTES,
  ...VM_ROUTES,
  ...DEVICE_ROUTES,
  ...SNAPSHOT_ROUTES,
  ...NETWORK_ROUTES,
  ...CONSOLE_ROUTES,
  ...EVENT_ROUTES,
  {
    method: "GET",
    path: "/v1/openapi.json",
    id: "openapi",
    summary: "This API as an OpenAPI 3.1 document",
    answer: { status: 200, description: "The document." },
    handle: (_request, { version }) => jsonResponse(200, openApiDocument(ROUTES, version)),
  },
];
