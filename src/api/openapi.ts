// The OpenAPI 3.1 document of the management API, made from the table of routes.
import { BYTES_TYPE, JSON_TYPE } from "./request.ts";
import type { Route } from "./route.ts";

const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "details"],
      properties: {
        code: { type: "string", description: "stable: bad-config, bad-state, not-found..." },
        message: { type: "string", description: "one sentence that names the thing and what is accepted" },
        details: { type: "object" },
      },
    },
  },
};

export function openApiDocument(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const methods = paths[route.path] ?? {};
    paths[route.path] = methods;
    methods[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Paravane", version, description: "Management of the VMs of one host." },
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "Not asked for on a Unix socket." } },
      schemas: { Error: ERROR_SCHEMA },
    },
    security: [{ token: [] }],
  };
}

function operation(route: Route): Record<string, unknown> {
  const { answer, body } = route;
  const path = route.path.includes("{name}")
    ? [{ name: "name", in: "path", required: true, description: "name of a VM", schema: { type: "string" } }]
    : [];
  const query = (route.query ?? []).map((parameter) => ({ ...parameter, in: "query", required: false }));
  const content =
    answer.status === 204 ? {} : { content: { [answer.contentType ?? JSON_TYPE]: { schema: answer.schema ?? {} } } };
  return {
    operationId: route.id,
    summary: route.summary,
    ...(path.length + query.length > 0 ? { parameters: [...path, ...query] } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            content: body === BYTES_TYPE ? { [BYTES_TYPE]: { schema: {} } } : { [JSON_TYPE]: { schema: body } },
          },
        }),
    responses: {
      [answer.status]: { description: answer.description, ...content },
      default: {
        description: "What is wrong.",
        content: { [JSON_TYPE]: { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}
