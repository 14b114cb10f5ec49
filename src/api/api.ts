// Requests to handlers: finds the route, checks the limits, turns errors into answers.
import type { Host } from "../host/host.ts";
import type { VmSpecResolver } from "../host/vm-spec.ts";
import { VmError } from "../vmm/error.ts";
import { EventFeed } from "./event-feed.ts";
import { type ApiRequest, type ApiResponse, errorResponse } from "./request.ts";
import type { ApiContext, ApiLimits, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

export const DEFAULT_LIMITS: ApiLimits = { bodyBytes: 1024 * 1024, vms: 1000 };

export class Api {
  readonly #context: ApiContext;

  constructor(parts: {
    readonly host: Host;
    readonly resolve: VmSpecResolver;
    readonly version: string;
    readonly wallMs: () => number;
    readonly limits?: Partial<ApiLimits>;
  }) {
    const { host, resolve, version, wallMs, limits } = parts;
    this.#context = {
      host,
      version,
      limits: { ...DEFAULT_LIMITS, ...limits },
      events: new EventFeed(host, wallMs),
      resolve,
    };
  }

  get limits(): ApiLimits {
    return this.#context.limits;
  }

  /** Never rejects: what is wrong is an answer. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    try {
      const { route, name, refusal } = findRoute(request);
      if (refusal !== undefined) return refusal;
      const vm = name === undefined ? (undefined as never) : this.#context.host.vm(name);
      return await route.handle(request, this.#context, vm);
    } catch (error) {
      return errorResponse(error);
    }
  }
}

type Found =
  | { readonly route: Route; readonly name: string | undefined; readonly refusal?: undefined }
  | { readonly route?: undefined; readonly name?: undefined; readonly refusal: ApiResponse };

function findRoute(request: ApiRequest): Found {
  const given = request.path.split("/");
  const matching = ROUTES.filter(({ path }) => {
    const wanted = path.split("/");
    return wanted.length === given.length && wanted.every((part, i) => part === "{name}" || part === given[i]);
  });
  if (matching.length === 0) {
    throw new VmError("not-found", `There is no ${request.path} here; GET /v1/openapi.json lists what there is.`, {
      path: request.path,
    });
  }
  const route = matching.find(({ method }) => method === request.method);
  if (route === undefined) {
    const methods = matching.map(({ method }) => method);
    const message = `${request.path} takes ${methods.join(", ")}, not ${request.method}.`;
    const answer = errorResponse(new VmError("bad-config", message, { methods }));
    return { refusal: { ...answer, status: 405, headers: { allow: methods.join(", ") } } };
  }
  const at = route.path.split("/").indexOf("{name}");
  if (at < 0) return { route, name: undefined };
  try {
    return { route, name: decodeURIComponent(given[at] ?? "") };
  } catch (cause) {
    throw new VmError("bad-config", `${given[at]} in the path is not percent-encoded UTF-8.`, {}, { cause });
  }
}
